"""Builders that tests share: rules from YAML, logs from rows, verdicts from both plans."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from molehunt.data import load_yaml
from molehunt.detectors.matching.match import Match
from molehunt.detectors.matching.plan import compile_plan, reference_plan
from molehunt.detectors.reading.inputs import Block
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.config import load_schedule
from molehunt.detectors.schedule.queries import pack_schedule
from molehunt.problems import Problem
from molehunt.rule import Rule, RuleSet
from molehunt.rulefiles import builtin_rules_path
from molehunt.ruleset import load_rules
from molehunt.schema import tables
from molehunt.taxonomy import taxonomy

RULE = """\
title: Test Rule
id: 00000000-0000-4000-8000-000000000001
status: experimental
logsource: {logsource}
detection:
{detection}
level: medium
{more}
"""


# Ten times as fast, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parsed(text: str | bytes) -> Any:
    """The value of a YAML document."""
    return yaml.load(text, LOADER)


@cache
def shipped() -> RuleSet:
    """The shipped rules, read once in each process; nobody may change what they hold."""
    return load_rules([builtin_rules_path()])


def ruleset(*documents: str) -> RuleSet:
    """Load rules from YAML texts, one file each, in a throw-away folder."""
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(documents):
            Path(folder, f"rule_{number}.yml").write_text(dedent(text), encoding="utf-8")
        return load_rules([folder])


def rule(
    detection: str, logsource: str = "{product: osquery, service: processes}", more: str = ""
) -> Rule:
    """One good rule with the given detection (YAML, indented by nothing)."""
    body = "".join(f"    {line}\n" for line in dedent(detection).strip().splitlines())
    loaded = ruleset(RULE.format(logsource=logsource, detection=body.rstrip(), more=dedent(more)))
    assert not loaded.problems, [str(problem) for problem in loaded.problems]
    (found,) = loaded.rules
    return found


def binder(*config: str) -> Binder:
    """A binder over configuration files and the project's own pack."""
    schedules = []
    for path in config:
        schedule, problems = load_schedule([path])
        assert not problems, [str(problem) for problem in problems]
        schedules.append(("config", schedule))
    return Binder([*schedules, ("pack", pack_schedule(load_yaml("pack.yml")))], tables())


def line(columns: Mapping[str, Any], query: str = "processes", **envelope: Any) -> bytes:
    """An event line for one row."""
    document = {
        "name": query,
        "hostIdentifier": "lab-01",
        "calendarTime": "Mon Nov 23 10:22:00 2026 UTC",
        "unixTime": 1795429320,
        "epoch": 0,
        "counter": 1,
        "numerics": False,
        "columns": dict(columns),
        "action": "added",
    } | envelope
    return json.dumps(document, ensure_ascii=False).encode()


def block(*lines: bytes, file: str = "test.log") -> Block:
    """Lines as one block."""
    return Block(file, 0, 1, b"".join(item + b"\n" for item in lines))


def matches(rules: Sequence[Rule], *lines: bytes, binder_: Binder | None = None) -> list[Match]:
    """The matches of the engine, with and without the raw scan, checked against the evaluator's."""
    tie = binder_ or binder()
    problems: list[Problem] = []
    plans = [
        reference_plan(rules, taxonomy(), tie),
        compile_plan(rules, taxonomy(), tie, scan=""),
        compile_plan(rules, taxonomy(), tie, scan="hyperscan"),
        compile_plan(rules, taxonomy(), tie, scan="re2"),
    ]
    found = [list(plan.matches([block(*lines)], problems.append)) for plan in plans]
    told = [[(m.rule.id, m.record.locator, m.closes, m.evidence) for m in one] for one in found]
    assert told[0] == told[1] == told[2] == told[3]
    return found[0]


def fires(rules: Sequence[Rule], *lines: bytes, binder_: Binder | None = None) -> bool:
    """Whether any rule matches in the lines."""
    return bool(matches(rules, *lines, binder_=binder_))
