"""Elastic Security: detection rules for Kibana."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ..model import (
    Artefact,
    Compiled,
    Engine,
    Evidence,
    Packing,
    Profile,
    Refusal,
    Session,
    Subject,
    Target,
)

if TYPE_CHECKING:
    from ..searching.layout import Layout


def targets() -> Sequence[Target]:
    """Kibana detection rules over Osquery Manager or Filebeat."""
    from .layouts import LAYOUTS

    engine = Engine("elasticsearch", Evidence.ENGINE, _missing, _open)
    profiles = tuple(layout.profile for layout in LAYOUTS)
    title = "Elastic Security detection rules"
    return (Target("elastic", title, profiles, _compile, _package, (engine,)),)


def _missing() -> str:
    from .engine import SERVER

    return SERVER.missing()


def _open(profile: Profile) -> AbstractContextManager[Session]:
    from .engine import SERVER

    return SERVER.session(_layout(profile))


def _layout(profile: Profile) -> Layout:
    from .layouts import LAYOUTS

    return next(one for one in LAYOUTS if one.profile.name == profile.name)


def _compile(subject: Subject, profile: Profile) -> Compiled:
    from molehunt.correlation import Correlation

    from ..searching.compiling import compiled
    from .comparing import FIELD_REFERENCE, comparing
    from .correlations import correlation
    from .kibana import rule_body

    layout = _layout(profile)
    if isinstance(subject.rule, Correlation):
        return correlation(subject, layout)
    made = compiled(subject, layout, "elastic", rule_body)
    if isinstance(made, Refusal) and made.code == FIELD_REFERENCE:
        return comparing(subject, layout, made)
    return made


def _package(artefacts: Sequence[Artefact], packing: Packing) -> Mapping[str, bytes]:
    from .kibana import package

    return package(artefacts, packing)
