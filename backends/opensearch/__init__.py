"""OpenSearch: alerting monitors and the index template that they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from ..model import (
    Artefact,
    Compiled,
    Engine,
    Evidence,
    Packing,
    Profile,
    Session,
    Subject,
    Target,
)


def targets() -> Sequence[Target]:
    """Alerting monitors over `osquery-*`, `okta-*` and `entra-signins-*`."""
    from .layouts import LAYOUT

    engine = Engine("opensearch", Evidence.ENGINE, _missing, _open)
    title = "OpenSearch alerting monitors"
    return (Target("opensearch", title, (LAYOUT.profile,), _compile, _package, (engine,)),)


def _missing() -> str:
    from .engine import SERVER

    return SERVER.missing()


def _open(_profile: Profile) -> AbstractContextManager[Session]:
    from .engine import SERVER
    from .layouts import LAYOUT

    return SERVER.session(LAYOUT)


def _compile(subject: Subject, _profile: Profile) -> Compiled:
    from ..searching.compiling import compiled
    from .layouts import LAYOUT
    from .monitors import monitor

    return compiled(subject, LAYOUT, "opensearch", monitor)


def _package(artefacts: Sequence[Artefact], packing: Packing) -> Mapping[str, bytes]:
    from .monitors import package

    return package(artefacts, packing)
