"""A plan of a correlation as one ES|QL query, with the windows of docs/correlations.md as they are.

The members' conditions are the query DSL of their own artefacts, factored, as text in one `QSTR`,
which says of a row what the search says; its score tells which of them found the row (`marks.py`).
There are no functions over neighbouring rows in ES|QL; the values of a group are collected
(`VALUES`) and expanded twice (`MV_EXPAND`), so that each window meets each thing in its group. That
is done only in groups that hold enough at all.

Needs Elasticsearch 8.19 or 9.1: `QSTR` in `STATS ... WHERE`.
https://www.elastic.co/docs/reference/query-languages/esql
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache

from molehunt.correlation import SNAPSHOT_GAP
from molehunt.detectors.matching.fields import Place
from molehunt.rule import Rule
from molehunt.schema import tables

from ..correlating.plan import Plan, Source
from ..model import Profile, Unsayable
from ..searching.dsl import ESCAPED_BYTES, KEYWORD_LIMIT, query_of
from ..searching.layout import Layout, SignIns
from ..searching.signins import Compared, kept_field, signin_query
from .esqltext import among, holds, padded, qstr
from .factoring import factored
from .marks import BITS, FIRST, marks_of, scored
from .querystring import querystring

LETTER_CASE, LOOK_BACK, APPROVALS = "letter_case", "look_back", "approvals"
ROW_IDENTITY, UNMAPPED, MILLISECONDS = "row_identity", "unmapped", "milliseconds"
LONGEST = 1_000_000
"""Characters in a statement (`EsqlParser.MAX_LENGTH`)."""
INGESTED = "event.ingested"
# A state that nothing has ended; times are milliseconds of 16 digits, which sort as text too.
_OPEN = "9999999999999"
_GAP = round(1000 * SNAPSHOT_GAP)


def esql(plan: Plan, layout: Layout) -> tuple[str, tuple[str, ...]]:
    """The query and its differences. It gives a row for each group: the values of the group-by
    fields, when the first and the last window ended, and when the latest of its rows came in.
    Raises `Unsayable`."""
    found = _Writer(plan, layout)
    query = "\n".join(found.lines())
    if layout.dynamic and found.log is None:
        raise Unsayable(UNMAPPED, "a column that no row has had yet is an error in ES|QL")
    if len(query) > LONGEST:
        raise Unsayable("too_long", f"a statement may have {LONGEST:,} characters")
    return query, tuple(sorted(found.differences | set(plan.differences)))


class _Writer:
    def __init__(self, plan: Plan, layout: Layout) -> None:
        self.plan, self.layout = plan, layout
        self.profile: Profile = layout.profile
        self.differences: set[str] = {LETTER_CASE, LOOK_BACK, APPROVALS}
        # Columns of the row that groups and values need, under short names.
        self.read: dict[str, str] = {}
        # What is told of a row by its score, each with its bit.
        self.flags: dict[str, int] = {}
        self.groups = [f"g{n}" for n in range(len(plan.correlation.group_by))]
        self.by = ", ".join(self.groups)
        self.counts = plan.kind == "event_count" and plan.least > 1
        # What the query of each source does not say: fields of one event that are compared.
        self.compared: dict[int, list[Compared]] = {}
        # The sign-in log that the rows are in; None if they are osquery's.
        self.log = layout.signins.get(plan.log)
        if self.log is not None:
            self.differences.add(MILLISECONDS)

    def lines(self) -> Iterator[str]:
        """The commands, in order."""
        rows = list(self.rows())
        index = self.profile.index if self.log is None else self.log.index
        yield f"FROM {index} METADATA _id{', _score' * bool(self.flags)}"
        yield from rows
        yield from self.events()
        if self.plan.lasting:
            yield from self.spans()
        else:
            yield "| EVAL start = at, end = at, new = 1"
        if self.plan.kind == "event_count" and self.plan.least == 1:
            # Any event is a window that holds enough.
            yield "| RENAME start AS w"
        else:
            yield from self.items()
            yield from self.windows()
        yield f"| STATS began = MIN(w), ended = MAX(w), newest = MAX(seen) BY {self.by}"
        named = (f"{g} AS `{name}`" for g, name in zip(self.groups, self.plan.names, strict=True))
        yield f"| RENAME {', '.join(named)}"
        times = (f"{name} = TO_DATETIME({name})" for name in ("began", "ended", "newest"))
        yield f"| EVAL {', '.join(times)}"
        yield "| SORT ended"

    # The rows of the log that any member matches, each with the sources that it belongs to.

    def rows(self) -> Iterator[str]:
        marks = marks_of(self.plan.sources, self.condition, self.named)
        more = dict(marks.kinds)
        if self.plan.lasting:
            more |= {
                "removed": querystring(dict(self.layout.acted("removed"))),
                "snapshot": querystring(dict(self.layout.acted("snapshot"))),
                "present": f"{self.profile.counter}:0",
            }
        told = more | (dict(marks.families) if len(marks.families) > 1 else {})
        self.flags = {name: FIRST << place for place, name in enumerate(list(told)[:BITS])}
        union = " ".join(self.scored(name, text) for name, text in marks.families.items())
        extra = [self.scored(name, text) for name, text in more.items() if name in self.flags]
        if extra:
            union = f"+({union}) {' '.join(extra)}"
        yield f"| WHERE {qstr(union)}"
        tests = {n: holds(found) for n, found in self.compared.items()}
        if tests:
            yield "| EVAL " + ", ".join(f"r{n} = CASE({t}, 1, 0)" for n, t in tests.items())
        by = [
            *(f"r{n}" for n in tests),
            "_id",
            "logged = TO_LONG(@timestamp)",
            f"came = TO_LONG({INGESTED})",
        ]
        for source in self.plan.sources:
            for place in (*source.group, *source.values):
                self.column(place)
        by += [f"{name} = TO_LOWER({column})" for column, name in self.read.items()]
        times = sorted({source.time for source in self.plan.sources if source.time})
        if times:
            texts = ", ".join(self.profile.column.format(name) for name in times)
            text = f"COALESCE({texts})" if len(times) > 1 else texts
            by.append(f"happened = TO_LONG(1000 * TO_DOUBLE({text}))")
        if self.log is not None and self.log.happened:
            by.append(f"happened = TO_LONG({self.log.happened})")
        if self.plan.lasting:
            by.append(f"row = {self.row()}")
        asked = {name: text for name, text in told.items() if name not in self.flags}
        stats = ", ".join(f"{name} = COUNT(*) WHERE {qstr(text)}" for name, text in asked.items())
        if self.flags:
            by.append("score = TO_INTEGER(_score)")
        yield f"| STATS {stats or 'found = COUNT(*)'} BY {', '.join(by)}"
        if self.flags:
            bits = (f"{name} = (score / {bit}) % 2" for name, bit in self.flags.items())
            yield f"| EVAL {', '.join(bits)}"
        needed = [[*needs, *[f"r{n}"] * (n in tests)] for n, needs in enumerate(marks.sources)]
        made = [f"m{n} = {' * '.join(needs)}" for n, needs in enumerate(needed) if needs]
        if made:
            yield f"| EVAL {', '.join(made)}"

    def named(self, names: Sequence[str]) -> str:
        """Rows of these queries of the pack."""
        if self.log is not None:
            raise Unsayable("alike", "which of its rules found a sign-in is not told apart")
        return querystring(dict(self.layout.named(names)))

    def scored(self, name: str, text: str) -> str:
        """A query that tells in the score of a row that it found it, if there is a bit for it."""
        return scored(text, self.flags[name]) if name in self.flags else f"({text})^0"

    def condition(self, sources: Iterable[Source]) -> str:
        """What the members ask, rows that went away included: they say how long a state lasted."""
        if self.log is not None:
            return self.signins(sources, self.log)
        found = []
        for source in sources:
            for member in source.members:
                assert isinstance(member.rule, Rule)
                asked = member if source.moments else replace(member, removed=True)
                query, differences = query_of(asked, self.layout)
                self.differences |= set(differences)
                found.append(query)
        return querystring(factored(found))

    def signins(self, sources: Iterable[Source], log: SignIns) -> str:
        """The same of members that read a sign-in log."""
        found = []
        for source, member in ((of, one) for of in sources for one in of.members):
            compared: list[Compared] = []
            query, differences = signin_query(member, self.layout, log, compared)
            self.differences |= set(differences)
            found.append(querystring(query))
            if compared:
                if len(source.members) > 1:
                    raise Unsayable("field_reference", "one of several members compares two fields")
                self.compared[self.plan.sources.index(source)] = compared
                self.differences.add(KEYWORD_LIMIT)
        return found[0] if len(found) == 1 else f"({' '.join(found)})"

    def row(self) -> str:
        """What is the same for the same row on the same host. Columns that the pack's queries name
        themselves are mapped with the first row that has them, and left out."""
        names = sorted(_mapped() & {name for one in self.plan.sources for name in one.columns})
        self.differences.add(ROW_IDENTITY)
        columns = [self.profile.host, *map(self.profile.column.format, names)]
        texts = ', "|", '.join(f'COALESCE({column}, "")' for column in columns)
        self.differences.add(KEYWORD_LIMIT)
        return f'HASH("md5", CONCAT({texts}))'

    def column(self, place: Place) -> str:
        """The short name of a column, which is read from now on."""
        if self.log is not None:
            return self.kept(place, self.log)
        if place.kind == "envelope" and place.name == "host":
            column = self.profile.host
        elif place.kind == "column":
            column = self.profile.column.format(place.name)
            self.differences.add(KEYWORD_LIMIT)
            if place.name not in _mapped():
                self.differences.add(UNMAPPED)
            if "control_text" in place.normalisers:
                self.differences.add(ESCAPED_BYTES)
        elif place.kind == "decoration" and self.profile.decoration:
            column = self.profile.decoration.format(place.name)
        else:
            raise Unsayable("envelope", f"the profile does not keep {place.kind} {place.name}")
        if set(place.normalisers) - {"control_text"}:
            raise Unsayable(
                "spelling", f"{place.name} is read in another spelling than it is logged"
            )
        return self.read.setdefault(column, f"c{len(self.read)}")

    def kept(self, place: Place, log: SignIns) -> str:
        """The short name of a field of a sign-in."""
        found = kept_field(place.name, log)
        if found.asked is not None:
            raise Unsayable("lost_field", f"{place.name} is taken apart, and has no value to group")
        if found.difference:
            self.differences.add(found.difference)
        if found.name in log.dynamic:
            self.differences.add(UNMAPPED)
        self.differences.add(KEYWORD_LIMIT)
        column = found.name if found.type == "keyword" else f"TO_STRING({found.name})"
        return self.read.setdefault(column, f"c{len(self.read)}")

    # An event for each row and source, with its group, its value and its time.

    def events(self) -> Iterator[str]:
        sources = self.plan.sources
        if len(sources) > 1:
            parts = ", ".join(f'CASE(m{n} > 0, "{n},", "")' for n in range(len(sources)))
            yield f'| EVAL m = SPLIT(CONCAT({parts}), ",")'
            yield '| MV_EXPAND m\n| WHERE m != ""'
        else:
            yield '| EVAL m = "0"'
            if self.compared:
                yield "| WHERE m0 > 0"
        places = self.choice(json.dumps(f"{source.place:03}") for source in sources)
        made = [f"p = {places}"]
        for number, name in enumerate(self.groups):
            columns = self.choice(self.column(source.group[number]) for source in sources)
            made.append(f"{name} = {columns}")
        made.append(f"v = {self.choice(map(self.value, sources))}")
        moments = self.choice("TRUE" if source.moments else "FALSE" for source in sources)
        made.append(f"moment = {moments}")
        yield f"| EVAL {', '.join(made)}"
        timed = [str(n) for n, source in enumerate(sources) if source.time]
        at = "logged"
        if self.log is not None and self.log.happened:
            at = "CASE(happened > 0, happened, logged)"
        if timed:
            at = f"CASE({among('m', timed)} AND happened > 0, happened, logged)"
        yield f"| EVAL at = {at}, seen = COALESCE(came, logged)"
        wanted = [f'{name} != ""' for name in self.groups] + ["at > 0"]
        if self.plan.kind == "value_count":
            wanted.append("v IS NOT NULL")
        yield f"| WHERE {' AND '.join(wanted)}"

    def value(self, source: Source) -> str:
        if self.plan.kind != "value_count":
            return '""'
        if source.label:
            return json.dumps(source.label.lower())
        # What has no value counts nothing.
        parts = [f'CASE({c} != "", {c}, NULL)' for c in map(self.column, source.values)]
        return parts[0] if len(parts) == 1 else "CONCAT(" + ', "\\t", '.join(parts) + ")"

    def choice(self, texts: Iterable[str]) -> str:
        """By source: one text for all, or a CASE over those that are alike."""
        by: dict[str, list[str]] = {}
        for number, text in enumerate(texts):
            by.setdefault(text, []).append(str(number))
        if len(by) == 1:
            return next(iter(by))
        parts = ", ".join(f"{among('m', numbers)}, {text}" for text, numbers in by.items())
        return f"CASE({parts}, NULL)"

    # A span for each state, as in detectors/correlating/states.py.

    def spans(self) -> Iterator[str]:
        kind = 'CASE(moment, "P", removed > 0, "R", snapshot > 0, "S", "A")'
        exact = 'CASE(moment, "1", snapshot > 0 OR present > 0, "0", "1")'
        yield f"| EVAL k = {kind}, x = {exact}"
        # A row of snapshots and the same row in differences are told apart, as are all moments.
        yield '| EVAL row = CASE(k == "P", _id, k == "S", CONCAT("S", row), row)'
        yield f"| EVAL e = CONCAT(k, x, {padded('at')}, {padded('seen')})"
        yield f"| STATS e = VALUES(e) BY row, p, v, {self.by}"
        yield "| EVAL o = e\n| MV_EXPAND e\n| MV_EXPAND o"
        yield (
            "| EVAL k = SUBSTRING(e, 1, 1), x = SUBSTRING(e, 2, 1), start ="
            " TO_LONG(SUBSTRING(e, 3, 16)), seen = TO_LONG(SUBSTRING(e, 19, 16)),"
            " ok = SUBSTRING(o, 1, 1), ot = TO_LONG(SUBSTRING(o, 3, 16))"
        )
        yield (
            '| STATS gone = MIN(CASE(ok == "R" AND ot > start, ot, NULL)),'
            ' again = MIN(CASE(ok == "S" AND ot > start, ot, NULL)),'
            ' had = MAX(CASE(ok == "A" AND ot < start, ot, NULL)),'
            ' lost = MAX(CASE(ok == "R" AND ot < start, ot, NULL))'
            f" BY row, p, v, {self.by}, k, x, start, seen"
        )
        yield '| WHERE k != "R"'
        yield (
            f'| EVAL end = CASE(k == "A", COALESCE(gone, {_OPEN}),'
            f' k == "S" AND again - start <= {_GAP}, again, start),'
            ' new = CASE(x == "1" AND (k == "P" OR had IS NULL OR COALESCE(lost, 0) > had), 1, 0)'
        )

    # All that is in a group, and the moments at which its windows end.

    def items(self) -> Iterator[str]:
        plan = self.plan
        text = f"CONCAT({padded('start')}, {padded('end')}, {padded('seen')}"
        text += ", TO_STRING(new), p, v" + (", _id)" if self.counts else ")")
        stats = ["i = VALUES(i)", "w = VALUES(start)"]
        if plan.kind == "value_count":
            stats.append("vs = VALUES(v)")
            enough = f"MV_COUNT(vs) >= {plan.least}"
        elif self.counts:
            enough = f"MV_COUNT(i) >= {plan.least}"
        else:
            stats += self.held()
            enough = self.enough()
        yield f"| EVAL i = {text}"
        yield f"| STATS {', '.join(stats)} BY {self.by}"
        yield f"| WHERE {enough}"
        yield f"| KEEP i, w, {self.by}"

    def windows(self) -> Iterator[str]:
        plan, by = self.plan, f"{self.by}, w"
        yield "| MV_EXPAND w\n| MV_EXPAND i"
        yield _OPENED
        yield f"| WHERE start <= w AND end >= w - {plan.timespan * 1000}"
        if plan.kind == "value_count":
            yield f"| STATS seen = MAX(seen) BY {by}, v"
            yield f"| STATS n = COUNT(*), seen = MAX(seen) BY {by}"
            yield f"| WHERE n >= {plan.least}"
        elif plan.kind == "event_count":
            yield f"| STATS n = COUNT(*), seen = MAX(seen) BY {by}"
            yield f"| WHERE n >= {plan.least}"
        elif plan.kind == "temporal":
            yield f"| STATS seen = MAX(seen), {', '.join(self.held())} BY {by}"
            yield f"| WHERE {self.enough()}"
        else:
            yield from self.order()

    def order(self) -> Iterator[str]:
        """The earliest of the first rule, then of each the earliest that began after the last."""
        if len(self.plan.ways) != 1:
            raise Unsayable("sequence", "an order with alternatives is not compiled")
        (way,) = self.plan.ways
        by = f"{self.by}, w"
        for number, place in enumerate(way):
            asked = f'p == "{place:03}"' + (" AND new == 1 AND start > t" if number else "")
            stats = [f"t = MIN(CASE({asked}, start, NULL))"]
            if number + 1 < len(way):
                stats.append("i = VALUES(i)")
            stats.append("seen = MAX(seen)")
            keep = ", t" if number else ""
            # `t` is both what was found so far and what is found now.
            if number:
                yield "| EVAL before = t"
                stats[0] = stats[0].replace("start > t", "start > before")
                keep = ", before"
            yield f"| STATS {', '.join(stats)} BY {by}{keep}"
            yield "| WHERE t IS NOT NULL"
            if number + 1 < len(way):
                yield "| RENAME seen AS latest\n| MV_EXPAND i"
                yield _OPENED

    def held(self) -> list[str]:
        """A count for each place that the condition is about."""
        return [f'h{place} = COUNT(*) WHERE p == "{place:03}"' for place in self.plan.asked]

    def enough(self) -> str:
        if self.plan.ways:
            ways = (" AND ".join(f"h{place} > 0" for place in way) for way in self.plan.ways)
            return " OR ".join(f"({way})" for way in ways)
        there = " + ".join(f"CASE(h{place} > 0, 1, 0)" for place in self.plan.asked)
        return f"{there} >= {self.plan.least}"


_OPENED = (
    "| EVAL start = TO_LONG(SUBSTRING(i, 1, 16)), end = TO_LONG(SUBSTRING(i, 17, 16)),"
    " seen = TO_LONG(SUBSTRING(i, 33, 16)), new = TO_LONG(SUBSTRING(i, 49, 1)),"
    " p = SUBSTRING(i, 50, 3), v = SUBSTRING(i, 53)"
)


@cache
def _mapped() -> frozenset[str]:
    """The columns of osquery's tables, all of which the integration maps."""
    return frozenset(name for table in tables().values() for name in table.columns)
