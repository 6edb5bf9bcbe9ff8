"""Random correlations with random rows, and small cases, for targets that compile correlations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import correlation_kit as ck
import kit

from molehunt.correlation import Correlation
from molehunt.rule import RuleSet

STATES, EVENTS = "pack_molehunt_processes_linux", "pack_molehunt_process_events"
TYPES = ("event_count", "value_count", "temporal", "temporal_ordered")
NAMES = sorted(ck.RULES)
DAY = 86400
TOGETHER = {"type": "temporal", "rules": ["r1", "r3"], "group-by": ["cmdline"], "timespan": "10s"}


class Sample(NamedTuple):
    """Rules with correlations, a log, and what the oracle takes the log for."""

    loaded: RuleSet
    lines: list[bytes]
    occurred: Callable[[Correlation], Mapping[tuple[str, ...], Sequence[ck.Occurred]]]

    def groups(self, one: Correlation) -> set[tuple[str, ...]]:
        """The groups in which a correlation holds, by the oracle."""
        return {group for group, _, _ in ck.oracle_windows(one, self.occurred(one), 10**12)}


def _section(rng: Random, kind: str, value: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind, "group-by": ["cmdline"]}
    made["timespan"] = f"{rng.randint(1, 8)}s"
    made["rules"] = rng.sample(NAMES, rng.randint(1, 3))
    if kind == "value_count":
        made["condition"] = {"field": value, rng.choice(("gte", "gt")): rng.randint(1, 2)}
    elif kind == "event_count":
        made["condition"] = {"gte": 1 if value == "osquery.host" else rng.randint(1, 3)}
    elif kind == "temporal" and rng.random() < 0.5:
        del made["rules"]
        words = ("({} or {}) and {}", "{} and {}", "{} or {} and {}")
        made["condition"] = rng.choice(words).format(*rng.sample(NAMES, 3))
    elif kind == "temporal":
        made["condition"] = {"gte": rng.randint(1, len(made["rules"]))}
    return made


def _documents(rng: Random, service: str, value: str, each: int) -> list[str]:
    found = ck.rules(service)
    for number in range(each):
        text = ck.correlation(_section(rng, TYPES[number % 4], value), f"c{number}")
        found.append(text.replace("0000000000c1", f"0000000000d{number}"))
    return found


def _many(rng: Random, names: Sequence[str]) -> Iterator[str]:
    """For some groups of their own a few rows each: many small logs in one, since to start a query
    takes longer than to run it. One name has no value."""
    for number in range(24):
        for _ in range(rng.randint(3, 10)):
            name = rng.choice(names)
            yield f"{name}{number}" if name else ""


def moments(seed: int, each: int = 4) -> Sample:
    """Rows of an event table. Values are of `cwd`."""
    rng = Random(seed)
    rows = [
        {
            "path": rng.choice(("/a", "/b", "/ab", "/c", "/n")),
            "cmdline": group,
            "cwd": rng.choice(("v", "V", "w", "")),
            "pid": place,
            "time": ck.START + rng.randint(0, 16),
        }
        for place, group in enumerate(_many(rng, ("g", "g", "G", "")))
    ]
    loaded = kit.ruleset(*_documents(rng, "process_events", "cwd", each))
    return Sample(loaded, ck.lines(rows, EVENTS), lambda one: ck.occurred(one, rows))


def lasting(seed: int, each: int = 4) -> Sample:
    """Rows of a state table that come and go. Values are hosts."""
    rng = Random(seed)
    found: dict[Any, dict[str, Any]] = {}
    for group in _many(rng, ("g", "g", "g", "")):
        row = {"path": rng.choice(("/a", "/ab", "/b", "/c")), "cmdline": group}
        one = {
            "row": row,
            "host": rng.choice(("lab-01", "lab-02")),
            "action": rng.choice(("added", "added", "removed")),
            "counter": rng.choice((0, 1)),
            "time": ck.START + rng.randint(0, 16),
        }
        found[(*row.values(), one["host"], one["action"], one["time"])] = one
    sightings = list(found.values())
    loaded = kit.ruleset(*_documents(rng, "processes", "osquery.host", each))
    return Sample(loaded, list(map(_line, sightings)), lambda one: ck.states(one, sightings))


def _line(one: Mapping[str, Any]) -> bytes:
    return kit.line(
        one["row"] | {"pid": "7", "name": "x"},
        STATES,
        hostIdentifier=one["host"],
        action=one["action"],
        counter=one["counter"],
        unixTime=one["time"],
    )


def state(path: str, at: int, action: str = "added", **more: Any) -> bytes:
    """A line about a process at a second."""
    row = {"path": path, "cmdline": more.pop("cmdline", "g")}
    one = {"row": row, "host": "lab-01", "action": action, "counter": 1, "time": ck.START + at}
    return _line(one | more)


Case = tuple[tuple[str, int, str, int], ...]
_SEEN: Case = (("/a", 0, "snapshot", 1),)
# What was logged, and whether r1 and r3 come together within 10 seconds.
CASES: Mapping[str, Sequence[tuple[Case, bool]]] = {
    "temporal": (
        ((("/a", 0, "added", 1), ("/c", 100, "added", 1)), True),
        ((("/a", 0, "added", 1), ("/a", 20, "removed", 1), ("/c", 30, "added", 1)), True),
        ((("/a", 0, "added", 1), ("/a", 20, "removed", 1), ("/c", 31, "added", 1)), False),
        ((("/a", 20, "removed", 1), ("/c", 25, "added", 1)), False),
        ((*_SEEN, ("/a", 7 * DAY, "snapshot", 1), ("/c", 99, "added", 1)), True),
        (
            (
                *_SEEN,
                ("/a", 7 * DAY + 1, "snapshot", 1),
                ("/c", 99, "added", 1),
                ("/c", 100, "removed", 1),
            ),
            False,
        ),
    ),
    "temporal_ordered": (
        ((("/a", 0, "added", 1), ("/c", 1, "added", 1)), True),
        ((("/a", 0, "added", 1), ("/c", 0, "added", 1)), False),
        ((("/a", 0, "added", 1), ("/c", 1, "added", 0)), False),
        ((("/a", 0, "added", 0), ("/c", 1, "added", 1)), True),
        (
            (("/a", 0, "added", 1), ("/c", -1, "added", 1), ("/c", 2, "added", 1)),
            False,
        ),
    ),
}


def cases(kind: str) -> tuple[RuleSet, list[bytes], set[tuple[str, ...]]]:
    """The cases of a type as one log, each in a group of its own, and the groups that hold."""
    loaded = kit.ruleset(*ck.rules("processes"), ck.correlation(TOGETHER | {"type": kind}))
    lines, groups = [], set()
    for number, (sightings, found) in enumerate(CASES[kind]):
        name = f"g{number}"
        groups |= {(name,)} if found else set()
        for path, at, action, counter in sightings:
            lines.append(state(path, at, action, counter=counter, cmdline=name))
    return loaded, lines, groups


def engine_groups(loaded: RuleSet, lines: Sequence[bytes]) -> set[tuple[str, ...]]:
    """The groups that the correlator finds."""
    found = ck.results(loaded, ck.matches(loaded, *lines))
    return {tuple(map(str.lower, one.group)) for one in found}
