"""`molehunt tune`: a Sigma filter from false positives, proven before it is shown."""

from __future__ import annotations

import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from molehunt.detectors.matching.evaluate import View
from molehunt.detectors.matching.plan import FastPlan, compile_plan
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.detectors.records import Row
from molehunt.detectors.tying import record_of
from molehunt.detectors.values import as_text

from ..exits import Exit
from ..problems import Problem, Severity, UsageError
from ..rule import Rule
from ..schema import tables
from ..taxonomy import taxonomy
from ..tuning import Values, filter_document, propose
from .common import load, make_binder, show
from .explain import one_rule, rows_at


class Event(NamedTuple):
    """Where an event stands, its values by field, and whether the rule fires on it."""

    place: str
    values: Values
    fires: bool


def run(options: Namespace) -> Exit:
    """Propose a filter and write it. FOUND if none separates the two; nothing is written then."""
    rule = one_rule(options.rule, load(options.rules))
    problems: list[Problem] = []
    plans: dict[tuple[str, ...], FastPlan] = {}
    false = [
        event
        for place in options.events
        for event in _events(rule, place, options.config, plans, problems)
    ]
    true = [
        event
        for place in options.keep
        for event in _events(rule, place, options.config, plans, problems)
    ]
    for place, config in _recorded(rule, options.recordings, problems):
        true += _events(rule, place, config, plans, problems)
    _check(rule, false, true)
    true = [event for event in true if event.fires]
    found = propose([one.values for one in false], [one.values for one in true])
    if not found:
        print(
            "no filter: what the false positives have in common the true positives have too",
            file=sys.stderr,
        )
        return Exit.FOUND
    document = filter_document(str(uuid4()), rule.id, rule.title, rule.raw["logsource"], found)
    text = _yaml(document)
    wrong = list(_proven(rule, text, options, false, true))
    if wrong:
        # What cannot be proven is not shown.
        show(wrong)
        return Exit.FOUND
    _put(options.output, text)
    print(
        f"quiet on {len(false)} false positives, still fires on {len(true)} true ones",
        file=sys.stderr,
    )
    return show(problems)


def _check(rule: Rule, false: Sequence[Event], true: Sequence[Event]) -> None:
    """Raises UsageError where nothing could be proven."""
    for event in false:
        if not event.fires:
            raise UsageError(
                f"{event.place}: '{rule.title}' does not fire there: no false positive"
            )
    if not false:
        raise UsageError("no event at these places")
    for event in false:
        same = next((one for one in true if one.fires and one.values == event.values), None)
        if same is not None:
            raise UsageError(f"{event.place} is a true positive too: {same.place}")
    if not any(event.fires for event in true):
        raise UsageError(
            "no true positive to keep: record one (docs/recordings.md), or name one with --keep"
        )


def _recorded(
    rule: Rule, folder: str | None, problems: list[Problem]
) -> Iterator[tuple[str, Sequence[str]]]:
    """The places of the records on which the rule must fire, with their configuration."""
    if folder is None or not Path(folder).is_dir():
        return
    scenarios, found = load_scenarios(folder)
    problems += found
    for scenario in scenarios:
        for one in scenario.fires:
            if one.rule == rule.id:
                for spot in one.spots:
                    yield f"{scenario.path(spot.log)}:{spot.line}:{spot.row}", scenario.config


def _events(
    rule: Rule,
    place: str,
    config: Sequence[str],
    plans: dict[tuple[str, ...], FastPlan],
    problems: list[Problem],
) -> Iterator[Event]:
    """The events at a place that the rule looks at, with every field that the taxonomy has."""
    key = tuple(config)
    plan = plans.get(key)
    if plan is None:
        wide = replace(rule, asked=tuple(sorted({*rule.asked, *_fields(rule)})))
        binder = make_binder(config, problems)
        plan = plans[key] = compile_plan([wide], taxonomy(), binder, scan="")
    seen = False
    for row in rows_at(plan, place, problems):
        seen = True
        yield from _of_row(plan, place, row)
    if not seen:
        raise UsageError(f"no event at {place}")


def _of_row(plan: FastPlan, place: str, row: Row) -> Iterator[Event]:
    bound = plan.bound(row)
    asked = False
    for _, fields, holds in plan.asking(bound):
        asked = True
        view = View(record_of(row, bound.binding, bound.tie), fields)
        values: dict[str, str] = {}
        for name in fields.places:
            texts = view.values(name)
            if len(texts) == 1:
                values[name] = as_text(texts[0])
        yield Event(place, values, holds(row))
    if not asked:
        yield Event(place, {}, False)


def _fields(rule: Rule) -> Iterator[str]:
    for one in taxonomy().maps(rule.category, rule.product, rule.service):
        if one.fields is not None:
            yield from one.fields
        elif one.store == "osquery":
            yield from tables()[one.table].columns


def _yaml(document: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000, indent=4)


def _proven(
    rule: Rule, text: str, options: Namespace, false: Sequence[Event], true: Sequence[Event]
) -> Iterator[Problem]:
    """Load the rule with the filter and run both again; what is wrong with the outcome."""
    from ..ruleset import load_rules

    with tempfile.TemporaryDirectory(prefix="molehunt-") as folder:
        place = Path(folder, "filter.yml")
        place.write_text(text, encoding="utf-8")
        ruleset = load_rules([rule.path, str(place)])
        errors = [one for one in ruleset.problems if one.severity is Severity.ERROR]
        yield from errors
        filtered = next((one for one in ruleset.rules if one.id == rule.id), None)
    if errors or filtered is None:
        return
    if filtered.conditions == rule.conditions:
        yield Problem("the filter was not applied to the rule", rule.path)
        return
    configs = dict(_recorded(rule, options.recordings, []))
    plans: dict[tuple[str, ...], FastPlan] = {}
    for event, wanted in [*((one, False) for one in false), *((one, True) for one in true)]:
        config = configs.get(event.place, options.config)
        fires = any(one.fires for one in _events(filtered, event.place, config, plans, []))
        if fires != wanted:
            what = "would still fire" if fires else "would no longer fire"
            yield Problem(f"with the filter the rule {what} at {event.place}", rule.path)


def _put(path: str | None, text: str) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    if os.path.exists(path):
        raise UsageError(f"--output: {path} is there already; name another file")
    try:
        Path(path).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"--output: {path}: {error.strerror}") from None
