"""Lines for the rules of `correlation_kit`, and a correlation over them."""

from __future__ import annotations

from typing import Any

import correlation_kit as ck
import kit

from molehunt.detectors.findings.model import Finding
from molehunt.rule import RuleSet

DAY = 86400
COUNT: dict[str, Any] = {
    "type": "event_count",
    "rules": ["r1"],
    "group-by": ["cmdline"],
    "timespan": "1m",
    "condition": {"gte": 3},
}


def load(section: dict[str, Any], *more: str, service: str = "process_events") -> RuleSet:
    """The three rules of the kit, one correlation, and what more there is; all good."""
    loaded = kit.ruleset(*ck.rules(service), ck.correlation(section), *more)
    assert not loaded.problems, [str(problem) for problem in loaded.problems]
    return loaded


def event(second: float, path: str = "/a", group: str = "g", **more: Any) -> bytes:
    """An event line. Keys that are no columns go into the envelope."""
    envelope = {key: more.pop(key) for key in ("hostIdentifier", "decorations") if key in more}
    row = {"path": path, "cmdline": group, "cwd": "", "pid": "1", "uid": "0"} | more
    row["time"] = str(ck.START + int(second))
    return kit.line(row, "process_events", counter=3, **envelope)


def state(second: float, action: str, path: str = "/a", **more: Any) -> bytes:
    """A line of a state table."""
    group, name = more.pop("group", "g"), more.pop("name", "x")
    row = {"pid": "7", "name": name, "path": path, "cmdline": group}
    more = {"counter": 1, "unixTime": ck.START + int(second), "action": action} | more
    return kit.line(row, "processes", **more)


def hits(loaded: RuleSet, *logged: bytes) -> list[Finding]:
    """The findings of the correlation c1 alone."""
    return [one for one in ck.findings(loaded, *logged) if one.rule.endswith("c1")]


def seconds(found: Any) -> tuple[float, float]:
    """First and last seen after `START`."""
    return found.first_seen - ck.START, found.last_seen - ck.START
