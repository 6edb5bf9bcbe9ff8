"""What was read so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

# Queries, and layouts of queries, that are told apart.
MAX_SHAPES = 20_000


@dataclass(slots=True)
class Counts:
    """What was read so far. `lines` counts all, `parsed` those that were looked into."""

    lines: int = 0
    bytes: int = 0
    parsed: int = 0
    rows: int = 0
    recovered: int = 0
    broken: int = 0
    unknown: int = 0
    queries: dict[str, int] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Add what another part held."""
        for name in ("lines", "bytes", "parsed", "rows", "recovered", "broken", "unknown"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for query, rows in other.queries.items():
            if query in self.queries or len(self.queries) < MAX_SHAPES:
                self.queries[query] = self.queries.get(query, 0) + rows

    def saw(self, query: str) -> None:
        """Count a row of a query; past `MAX_SHAPES` names only those already known."""
        if query in self.queries or len(self.queries) < MAX_SHAPES:
            self.queries[query] = self.queries.get(query, 0) + 1
