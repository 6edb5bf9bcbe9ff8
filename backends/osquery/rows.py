"""How many rows the detection packs log on a benign day, as the recordings of the project say.

Counted over the recordings whose manifest has `at_most`: days on which nothing is wrong, with all
that looks like it. `rows.json` holds the counts, since recordings do not ship; a test counts anew.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from molehunt.detectors.records import Record

from ..model import Artefact

DAY = 86400
_FILE = "rows.json"


def count_rows(
    recordings: Iterable[tuple[Sequence[Record], Mapping[str, frozenset[int]]]],
    artefacts: Sequence[Artefact],
    daily: frozenset[str],
) -> dict[str, Any]:
    """`host_days` by system, and `rows` by rule and system, over recordings given as records and
    the places of those that each rule matches.

    A host's day counts if the host has a row on it. A match of a rule is one row: differential
    queries log a state once. Rules of `daily` log a state again on each of its host's days after.
    """
    days: Counter[str] = Counter()
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    compiled = {one.rule for one in artefacts}
    for records, matched in recordings:
        seen: dict[tuple[str, str], set[int]] = defaultdict(set)
        for record in records:
            if (system := _system(record)) and record.observed_at is not None:
                seen[system, record.host].add(int(record.observed_at // DAY))
        for (system, _), found in seen.items():
            days[system] += len(found)
        for rule in compiled & matched.keys():
            for place in matched[rule]:
                record = records[place]
                if not (system := _system(record)) or record.observed_at is None:
                    continue
                day = int(record.observed_at // DAY)
                again = sum(one >= day for one in seen[system, record.host])
                rows[rule][system] += 1 + (again if rule in daily else 0)
    return {
        "host_days": dict(sorted(days.items())),
        "rows": {rule: dict(sorted(found.items())) for rule, found in sorted(rows.items())},
    }


def _system(record: Record) -> str:
    """The system of a row of the pack; "" for other logs and for older names without it."""
    if record.binding.how != "pack":
        return ""
    system = record.binding.query.rpartition("_")[2]
    return system if system in ("linux", "darwin", "windows") else ""


def render_rows(counted: Mapping[str, Any]) -> str:
    """The text of `rows.json`."""
    return json.dumps(counted, indent=1, sort_keys=True) + "\n"


@cache
def counted_rows() -> Mapping[str, Any]:
    """What `rows.json` holds."""
    text = files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


def rows_a_day(rules: Iterable[str], system: str) -> float:
    """Rows that a host of that system logs on a benign day for these rules, by id; rules that are
    not the project's count as none."""
    counted = counted_rows()
    total = sum(counted["rows"].get(rule, {}).get(system, 0) for rule in set(rules))
    days = counted["host_days"].get(system, 0)
    return round(float(total / days), 2) if days else 0.0
