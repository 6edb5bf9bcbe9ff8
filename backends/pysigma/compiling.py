"""One rule through an installed pySigma backend.

What the backend makes of it is not ours. So it counts for what it has been seen to do: rules on
which a backend was seen to disagree stand in `backends/reviewed.yml` and are refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from typing import Any

from molehunt.correlation import Correlation

from ..model import Artefact, Compiled, Profile, Refusal, Subject, Unsayable
from ..reviewed import load_reviewed
from .pipeline import pipeline
from .plain import DIALECTS, detection

DISAGREES = "disagrees"


def compiler(backend: str) -> Callable[[Subject, Profile], Compiled]:
    """`compile` of the target for the backend of that name."""
    return partial(compile_rule, backend)


def compile_rule(backend: str, subject: Subject, profile: Profile) -> Compiled:
    """A rule as queries, one for each way in which it reads the pack; any of them finds it."""
    rule, target = subject.rule, f"pysigma:{backend}"

    def refusal(code: str, reason: str) -> Refusal:
        return Refusal(rule.id, rule.title, target, profile.name, code, reason)

    if isinstance(rule, Correlation):
        return refusal("correlation", "states that last are rows at moments there")
    if any(bound.fields.store.name != "osquery" for bound in subject.bounds):
        return refusal("connector", "the layout of a store of sign-in logs is not known")
    dialect = DIALECTS.get(backend)
    normalised = _normalised(subject)
    unknown = {name for _, name in normalised} - ({"ip"} if dialect else set())
    if unknown:
        return refusal("normaliser", f"pySigma has nothing for {', '.join(sorted(unknown))}")
    if rule.id in _disagreeing(target):
        return refusal(DISAGREES, "the backend was seen to mean something else")
    raw, differences = dict(rule.raw), frozenset[str]()
    if dialect is not None:
        try:
            raw["detection"], differences = detection(
                rule.conditions, dialect, frozenset(field for field, _ in normalised)
            )
        except Unsayable as error:
            return refusal(error.code, str(error))
    pipelines = [pipeline(bound, profile, subject.removed, dialect) for bound in subject.bounds]
    try:
        found = _convert(backend, raw, pipelines, dialect.settings if dialect else ())
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises
        told = (str(error).splitlines() or [""])[0][:200]
        return refusal("backend", f"{type(error).__name__}: {told}")
    queries = [one for one in found if isinstance(one, str)]
    if not queries or len(queries) < len(found):
        return refusal("backend", "its queries are no texts")
    if dialect is not None:
        queries = [dialect.form.format(query) for query in queries]
    codes = ("escaped_text", *sorted(differences))
    return Artefact(rule.id, rule.title, target, profile.name, backend, queries, queries, codes)


def _normalised(subject: Subject) -> set[tuple[str, str]]:
    """Fields with what is done to their values, in any way in which the rule is read."""
    return {
        (field, name)
        for bound in subject.bounds
        for field, place in bound.fields.places.items()
        for name in place.normalisers
        if name != "control_text"
    }


def _convert(
    backend: str,
    raw: Mapping[str, Any],
    pipelines: Sequence[Any],
    settings: Sequence[tuple[str, Any]],
) -> list[Any]:
    from sigma.collection import SigmaCollection
    from sigma.rule import SigmaRule

    found: list[Any] = []
    for own in pipelines:
        # A pipeline changes the rule: each has its own.
        parsed = SigmaRule.from_dict(deepcopy(dict(raw)))
        writer = _class(backend)(own)
        for name, value in settings:
            setattr(writer, name, value)
        converted = writer.convert(SigmaCollection([parsed]))
        found += converted if isinstance(converted, list) else [converted]
    return found


@cache
def _class(backend: str) -> Any:
    """The class in the package `sigma.backends.NAME`; pySigma names it otherwise now and then."""
    from sigma.plugins import InstalledSigmaPlugins

    found = InstalledSigmaPlugins.autodiscover().backends
    package = f"sigma.backends.{backend}."
    return found.get(backend) or next(
        one for one in found.values() if f"{one.__module__}.".startswith(package)
    )


@cache
def _disagreeing(target: str) -> frozenset[str]:
    entries, _ = load_reviewed()
    return frozenset(
        rule
        for entry in entries
        if entry.target == target and entry.code == DISAGREES and entry.kind == "refusals"
        for rule in entry.rules
    )
