"""From a match to the event that correlations count: a plain tuple, fit to go between processes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice, product
from typing import Any, NamedTuple

from molehunt.correlation import NUMERIC, Correlation
from molehunt.rule import Rule, asks_removed
from molehunt.taxonomy import SUBJECT

from ..findings.fold import basis_of
from ..matching.evaluate import View
from ..matching.fields import FieldMap
from ..matching.match import Match
from ..records import Locator, Scalar, Value
from ..values import as_number, as_text, fold

POINT, ADDED, REMOVED, SNAPSHOT = "point", "added", "removed", "snapshot"
# A record with lists in several group-by fields belongs to many groups; past this, to the first.
MAX_ENTRIES = 256
_MAX_INTEGER = 2**63 - 1


class Entry(NamedTuple):
    """What one correlation makes of an event.

    `use` is the number of the correlation and the place in its `rules` (see `uses_of`), `group` the
    values of its group-by fields as text. `value` is what it counts: a number, or JSON text with
    case folded; None if the event has none. `carried` is a JSON object of the values that
    correlations of the correlation ask for, "" without any.
    """

    use: int
    group: tuple[str, ...]
    value: str | int | float | None
    carried: str


class Seen(NamedTuple):
    """The record behind an event, as far as evidence shows it."""

    query: str
    action: str
    observed_at: float | None
    event_at: float | None
    counter: int | None
    basis: str
    values: tuple[tuple[str, Value], ...]
    decorations: tuple[tuple[str, str], ...]


class Event(NamedTuple):
    """One sighting. `kind` is `point` for what happened at `at`, or `added`, `removed` and
    `snapshot` for what is known of a state, then `key` is the same for the same row.

    `exact` says that it began at `at`, and was not merely there by then. `at` is in seconds since
    1970 UTC. A `removed` one has no entries.
    """

    rule: str
    kind: str
    at: float
    exact: bool
    key: str
    where: Locator
    host: str
    host_name: str
    user: str
    entries: tuple[Entry, ...]
    seen: Seen | None
    fields: FieldMap


class Use(NamedTuple):
    """One place in the `rules` of one correlation, both by number."""

    correlation: int
    place: int


def uses_of(correlations: Sequence[Correlation]) -> tuple[Use, ...]:
    """Every place of every correlation. Equal rule sets give equal numbers, in any process."""
    return tuple(
        Use(number, place)
        for number, one in enumerate(correlations)
        for place in range(len(one.rules))
    )


def uses_by_rule(correlations: Sequence[Correlation]) -> dict[str, list[tuple[int, Use]]]:
    """The places that refer to each rule or correlation, by its id, with their numbers."""
    by_rule: dict[str, list[tuple[int, Use]]] = defaultdict(list)
    for number, use in enumerate(uses_of(correlations)):
        by_rule[correlations[use.correlation].rules[use.place]].append((number, use))
    return dict(by_rule)


class Wanted(NamedTuple):
    """What the correlations want of each rule: the uses by rule id, and rules whose rows are taken
    as changes because they ask for the action themselves."""

    correlations: tuple[Correlation, ...]
    uses: Mapping[str, tuple[tuple[int, Use], ...]]
    changes: frozenset[str]


def wanted_by(correlations: Sequence[Correlation], rules: Sequence[Rule]) -> Wanted:
    """The wishes of all correlations, by rule."""
    by_rule = uses_by_rule(correlations)
    changes = frozenset(rule.id for rule in rules if rule.id in by_rule and asks_removed(rule))
    uses = {rule: tuple(found) for rule, found in by_rule.items()}
    return Wanted(tuple(correlations), uses, changes)


def events_of(match: Match, wanted: Wanted) -> Iterator[Event]:
    """The event that a match is to the correlations of its rule: one, or none if it has no time or
    none of their group-by fields."""
    rule, record = match.rule, match.record
    uses = wanted.uses.get(rule.id)
    if uses is None or record.at is None:
        return
    basis = basis_of(record)
    kind = _kind(match, basis, wanted)
    entries: tuple[Entry, ...] = ()
    if kind != REMOVED:
        entries = tuple(_entries(match, uses, wanted.correlations))
        if not entries:
            return
    yield Event(
        rule=rule.id,
        kind=kind,
        at=record.at,
        exact=basis != "present",
        key="" if kind == POINT else _row_key(match),
        where=record.locator,
        host=record.host,
        host_name=record.decorations.get("hostname", ""),
        user=record.user or "",
        entries=entries,
        seen=None if kind == REMOVED else _seen(match, basis),
        fields=match.fields,
    )


def _kind(match: Match, basis: str, wanted: Wanted) -> str:
    if basis == "event" or match.rule.id in wanted.changes:
        return POINT
    action = match.record.action
    return action if action in (REMOVED, SNAPSHOT) else ADDED


def _row_key(match: Match) -> str:
    """The same for the same row of the same query on the same host, numbers as text or not."""
    record = match.record
    values = sorted((name, repr(_texts(value))) for name, value in record.values.items())
    text = repr((record.action == SNAPSHOT, record.query, fold(record.host), values))
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _texts(value: Value) -> tuple[str, ...]:
    return tuple(map(as_text, value)) if isinstance(value, tuple) else (as_text(value),)


def _seen(match: Match, basis: str) -> Seen:
    record = match.record
    return Seen(
        query=record.query,
        action=record.action,
        observed_at=record.observed_at,
        event_at=record.event_at,
        counter=record.counter,
        basis=basis,
        values=tuple(sorted(record.values.items())),
        decorations=tuple(sorted(record.decorations.items())),
    )


def _entries(
    match: Match, uses: tuple[tuple[int, Use], ...], correlations: Sequence[Correlation]
) -> Iterator[Entry]:
    view, subject = View(match.record, match.fields), match.rule.meta.subject
    for number, use in uses:
        one = correlations[use.correlation]
        fields = {name: one.field(use.place, name) for name in one.asks}
        found = {
            name: ((subject,) if subject else ()) if field == SUBJECT else view.values(field)
            for name, field in fields.items()
        }
        yield from entries_for(one, number, found)


def entries_for(
    one: Correlation, use: int, found: Mapping[str, tuple[Scalar, ...]]
) -> Iterator[Entry]:
    """The entries for one use from the values of the fields that the correlation asks for.

    Without a value for each group-by field there is none; with several values there are several.
    """
    carried = {name: list(found[name]) for name in one.carried if found[name]}
    text = json.dumps(carried, sort_keys=True) if carried else ""
    values = tuple(_values(one, found)) or (None,)
    groups = product(*(dict.fromkeys(map(as_text, found[name])) for name in one.group_by))
    for group, value in islice(product(groups, values), MAX_ENTRIES):
        yield Entry(use, group, value, text)


def _values(one: Correlation, found: Mapping[str, tuple[Scalar, ...]]) -> Iterator[Any]:
    """What is counted. "When you use multiple values in `field` they are linked by an AND"."""
    if one.type in NUMERIC:
        for value in found[one.value_fields[0]]:
            number = as_number(value)
            if number is not None:
                # SQLite holds integers of 64 bits.
                yield float(number) if abs(number) > _MAX_INTEGER else number
    elif one.value_fields:
        texts = ({fold(as_text(value)): None for value in found[name]} for name in one.value_fields)
        for several in product(*texts):
            yield json.dumps(several)
