"""Find remote workers who are not who you hired: Sigma rules over osquery telemetry.

`molehunt.rules` says what to look for, `molehunt.detectors` finds it here, `molehunt.backends`
has a SIEM find it. This package holds the command line and the little that both sides share.
"""

from pathlib import Path as _Path

__version__ = "0.1.0"

_here = _Path(__file__).resolve().parent
if _here.parent.name == "src":  # a source checkout: the sub-packages lie at its root
    __path__.append(str(_here.parents[1]))
