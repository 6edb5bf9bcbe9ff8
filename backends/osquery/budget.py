"""What the detection packs ask of one host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from molehunt.detectors.schedule.sql import SqlProblem, shape_of
from molehunt.schema import tables

from .compiling import pack_sources
from .rows import rows_a_day

DAY = 86400
# What docs/osquery_backend.md promises for each system; a test holds the shipped rules to it.
MOST_QUERIES = 1000
MOST_RUNS = 100_000
MOST_JOINS = 2
MOST_ROWS = 5


def budget(
    system: str, packs: Mapping[str, Mapping[str, Any]], rules: Iterable[str] = ()
) -> dict[str, Any]:
    """For one system: queries, runs a day, runs a day by table, the most joins in a query, and rows
    a day of the `rules` (ids) on the benign recordings. Event packs count as if all their events
    were on."""
    entries = list(_of(system, packs))
    reads: Counter[str] = Counter()
    runs, joins = 0, 0
    shapes = dict(_heads())
    for entry in entries:
        times = DAY // int(entry["interval"])
        runs += times
        head = entry["query"].partition(" WHERE ")[0]
        if head not in shapes:
            shape = shape_of(head, tables())
            shapes[head] = () if isinstance(shape, SqlProblem) else tuple(
                use.table for use in shape.tables
            )  # fmt: skip
        used = shapes[head]
        joins = max(joins, len(used) - 1)
        reads.update({used[0]: times} if used else {})
    return {
        "system": system,
        "queries": len(entries),
        "snapshots": sum(bool(entry["snapshot"]) for entry in entries),
        "runs_a_day": runs,
        "runs_a_day_by_table": dict(sorted(reads.items())),
        "most_joins": joins,
        "rows_a_day": rows_a_day(rules, system),
    }


def _heads() -> Iterator[tuple[str, tuple[str, ...]]]:
    """The beginnings of the pack's own queries, with the tables that they read."""
    for source in pack_sources().values():
        yield source.sql.partition(" WHERE ")[0], tuple(use.table for use in source.shape.tables)


_WHAT_ROWS_ARE = (
    "Rows a day: what one host logs for molehunt's own rules on a day of the project's benign",
    "recordings, days that were written to look suspicious. Your fleet will differ; `molehunt",
    "baseline` over your own logs says by how much.",
)


def _of(system: str, packs: Mapping[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for pack in packs.values():
        if pack["platform"] == system:
            yield from pack["queries"].values()


def exceeded(cost: Mapping[str, Any]) -> list[str]:
    """In words, what of a system's cost is above the promise."""
    limits = (
        ("queries", MOST_QUERIES),
        ("runs_a_day", MOST_RUNS),
        ("most_joins", MOST_JOINS),
        ("rows_a_day", MOST_ROWS),
    )
    return [
        f"{cost['system']}: {name} is {cost[name]}, at most {limit}"
        for name, limit in limits
        if cost[name] > limit
    ]


def budget_page(costs: Sequence[Mapping[str, Any]]) -> str:
    """The budget as Markdown."""
    lines = [
        "# What these packs ask of a host",
        "",
        "| system | queries | of them daily snapshots | runs a day | most joins | rows a day |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for cost in costs:
        lines.append(
            f"| {cost['system']} | {cost['queries']} | {cost['snapshots']} |"
            f" {cost['runs_a_day']} | {cost['most_joins']} | {cost['rows_a_day']} |"
        )
    lines += ["", *_WHAT_ROWS_ARE]
    lines += ["", "Runs a day by the table that is read first:", ""]
    for cost in costs:
        told = ", ".join(f"{name} {n}" for name, n in cost["runs_a_day_by_table"].items())
        lines.append(f"- {cost['system']}: {told}")
    over = [one for cost in costs for one in exceeded(cost)]
    lines += ["", *(f"**Above the budget:** {one}" for one in over)] if over else []
    return "\n".join(lines) + "\n"
