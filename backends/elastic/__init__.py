"""Elastic Security: detection rules for Kibana."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..model import Artefact, Compiled, Engine, Evidence, Packing, Profile, Subject, Target


def targets() -> Sequence[Target]:
    """Kibana detection rules over Osquery Manager or Filebeat."""
    from .engine import missing_here, opener
    from .layouts import LAYOUTS

    engine = Engine("elasticsearch", Evidence.ENGINE, missing_here, opener(LAYOUTS))
    profiles = tuple(layout.profile for layout in LAYOUTS)
    title = "Elastic Security detection rules"
    return (Target("elastic", title, profiles, _compile, _package, (engine,)),)


def _compile(subject: Subject, profile: Profile) -> Compiled:
    from molehunt.correlation import Correlation

    from ..searching.compiling import compiled
    from .correlations import correlation
    from .kibana import rule_body
    from .layouts import LAYOUTS

    layout = next(one for one in LAYOUTS if one.profile.name == profile.name)
    if isinstance(subject.rule, Correlation):
        return correlation(subject, layout)
    return compiled(subject, layout, "elastic", rule_body)


def _package(artefacts: Sequence[Artefact], packing: Packing) -> Mapping[str, bytes]:
    from .kibana import package

    return package(artefacts, packing)
