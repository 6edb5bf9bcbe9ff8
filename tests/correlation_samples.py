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


def moments(seed: int, each: int = 8) -> Sample:
    """Rows of an event table. Values are of `cwd`."""
    rng = Random(seed)
    rows = [
        {
            "path": rng.choice(("/a", "/b", "/ab", "/c", "/n")),
            "cmdline": rng.choice(("g", "G", "h", "")),
            "cwd": rng.choice(("v", "V", "w", "")),
            "pid": place,
            "time": ck.START + rng.randint(0, 16),
        }
        for place in range(rng.randint(4, 14))
    ]
    loaded = kit.ruleset(*_documents(rng, "process_events", "cwd", each))
    return Sample(loaded, ck.lines(rows, EVENTS), lambda one: ck.occurred(one, rows))


def lasting(seed: int, each: int = 8) -> Sample:
    """Rows of a state table that come and go. Values are hosts."""
    rng = Random(seed)
    found: dict[Any, dict[str, Any]] = {}
    for _ in range(rng.randint(4, 14)):
        row = {"path": rng.choice(("/a", "/ab", "/b", "/c")), "cmdline": rng.choice(("g", "h", ""))}
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


def small() -> Iterator[tuple[str, list[bytes], bool]]:
    """Types with logs, and whether the correlation of r1 and r3 within 10 seconds holds."""
    weeks = [state("/a", 0, "snapshot"), state("/a", 7 * DAY + 1, "snapshot")]
    seen = [state("/a", 0, "snapshot"), state("/a", 7 * DAY, "snapshot")]
    gone = [state("/a", 0), state("/a", 20, "removed")]
    yield "temporal", [state("/a", 0), state("/c", 100)], True
    yield "temporal", [*gone, state("/c", 30)], True
    yield "temporal", [*gone, state("/c", 31)], False
    yield "temporal", [state("/a", 20, "removed"), state("/c", 25)], False
    yield "temporal", [*seen, state("/c", 99)], True
    yield "temporal", [*weeks, state("/c", 99), state("/c", 100, "removed")], False
    yield "temporal_ordered", [state("/a", 0), state("/c", 1)], True
    yield "temporal_ordered", [state("/a", 0), state("/c", 0)], False
    yield "temporal_ordered", [state("/a", 0), state("/c", 1, counter=0)], False
    yield "temporal_ordered", [state("/a", 0, counter=0), state("/c", 1)], True
    yield "temporal_ordered", [state("/a", 0), state("/c", -1), state("/c", 2)], False


def engine_groups(loaded: RuleSet, lines: Sequence[bytes]) -> set[tuple[str, ...]]:
    """The groups that the correlator finds."""
    found = ck.results(loaded, ck.matches(loaded, *lines))
    return {tuple(map(str.lower, one.group)) for one in found}
