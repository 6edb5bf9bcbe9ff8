"""A plan of a correlation as one KQL query, with the windows of docs/correlations.md as they are.

Each window meets each thing in its group: a table of the windows' ends is joined with the table of
what was there. Nothing is estimated (`dcount` is never used) and no join loses rows. `prev`, `scan`
and `row_window_session` would need fewer comparisons, but nothing at hand runs them.

Operators: <https://learn.microsoft.com/kusto/query/>.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from molehunt.correlation import SNAPSHOT_GAP
from molehunt.detectors.matching.fields import Place
from molehunt.rule import Rule

from ..asking import Asked
from ..correlating.plan import Plan, Source
from ..kusto.kqlobjects import each_object
from ..kusto.kqltext import FALSE, all_of, any_of, literal
from ..kusto.kqlwhere import Read, Where
from ..model import Bound, Profile, Unsayable
from .compiling import asked_of, collect, names_of, one_of, row_of
from .signins import ARRIVED, LOGS, extended

LETTER_CASE, LOOK_BACK, APPROVALS = "letter_case", "look_back", "approvals"
MILLISECONDS = "milliseconds"
ROW_TEXT = "row_text"
# A state that nothing has ended, in milliseconds; snapshots further apart are two states.
_OPEN = 9_999_999_999_999
_GAP = round(1000 * SNAPSHOT_GAP)
_NOTHING = "long(null)"
_TIMES = ("began", "ended")


def windows_query(plan: Plan, profile: Profile) -> tuple[str, tuple[str, ...]]:
    """The query and its differences. It gives a row for each group: the values of the group-by
    fields, when the first and the last window ended, and when the latest of its rows came in.
    Raises `Unsayable`."""
    found = _Writer(plan, profile)
    query = "\n".join(found.lines())
    return query, tuple(sorted(found.differences | set(plan.differences)))


class _Writer:
    def __init__(self, plan: Plan, profile: Profile) -> None:
        self.plan, self.profile = plan, profile
        self.differences: set[str] = {LETTER_CASE, LOOK_BACK, APPROVALS}
        self.read: dict[str, str] = {}
        self.groups = [f"g{n}" for n in range(len(plan.correlation.group_by))]
        self.by = ", ".join(self.groups)
        self.counts = plan.kind == "event_count" and plan.least > 1
        self.log = LOGS.get(plan.log)
        # What is in each object of a list that groups and counts are about, under short names.
        self.each: dict[str, str] = {}
        if self.log is not None:
            self.differences.add(MILLISECONDS)
        self.hashed = False

    def lines(self) -> Iterator[str]:
        """The statements, in order."""
        plan, by = self.plan, self.by
        yield from self.events()
        if plan.kind == "event_count" and plan.least == 1:
            # Any event is a window that holds enough.
            yield 'events\n| where k != "R"\n| extend w = at'
        else:
            yield from self.spans() if plan.lasting else self.moments()
            yield from self.windows()
            yield from self.held()
        yield f"| summarize began = min(w), ended = max(w), newest = max(seen) by {by}"
        times = (f"{name} = datetime(1970-01-01) + 1s * ({name} / 1000)" for name in _TIMES)
        yield f"| extend {', '.join(times)}"
        named = zip(plan.identifiers, self.groups, strict=True)
        columns = ", ".join(f"{name} = {group}" for name, group in named)
        yield f"| project {columns}, began, ended, newest"

    # An event for each row and source, with its group, its value and its time.

    def events(self) -> Iterator[str]:
        sources, profile = self.plan.sources, self.profile
        tests = [self.test(source) for source in sources]
        made = list(self.made())
        if self.log is None:
            yield f"let events = materialize({profile.index}"
            everything = sorted({name for source in sources for name in _names(source, profile)})
            yield f"| where {one_of(profile.query, everything)}"
            if self.read:
                yield extended(self.read)
        else:
            read = self.read | {"arrived": ARRIVED, "happened": _milliseconds(self.log.happened)}
            kept = ", ".join(["_ItemId", *sorted(read), *self.each])
            made_there = f"{extended(read)}{self.expanded()}\n| project {kept}"
            yield f"let events = materialize({self.log.source(made_there)}"
        if len(tests) == 1:
            yield f"| where {tests[0]}"
        else:
            marks = ",\n  ".join(f"iff({test}, {n}, int(null))" for n, test in enumerate(tests))
            yield f"| extend m = pack_array(\n  {marks})"
            yield "| mv-expand m to typeof(int)\n| where isnotnull(m)"
        yield f"| extend {', '.join(made)}"
        if self.hashed:
            yield "| extend row = hash_sha256(row)"
        wanted = [f"isnotempty({name})" for name in self.groups] + ["at > 0"]
        if self.plan.kind == "value_count":
            wanted.append("isnotempty(v)")
        yield f"| where {' and '.join(wanted)}"
        yield f"| summarize seen = max(seen) by row, p, v, {self.by}, k, x, at);"

    def expanded(self) -> str:
        """A row for each object of a list, and one for none, which is in no group."""
        if len(self.each) > 1:
            raise Unsayable("listed", "it is about more than one value of the objects of a list")
        return "".join(
            f"\n| extend {name} = {made}\n| mv-expand {name} to typeof(string)"
            for name, made in self.each.items()
        )

    def test(self, source: Source) -> str:
        """What the members ask, rows that went away included: they say how long a state lasted."""
        by: dict[tuple[str, ...], list[str]] = {}
        for member in source.members:
            assert isinstance(member.rule, Rule)
            for bound in member.bounds:
                asked = self.asked(member.rule, bound)
                parts = [asked.belongs, asked.test]
                if self.log is None and source.moments and not member.removed:
                    parts.insert(0, f'{self.profile.action} != "removed"')
                test = all_of(parts)
                if test != FALSE:
                    self.differences |= asked.differences
                    by.setdefault(tuple(names_of(bound, self.profile)), []).append(test)
        if not by:
            raise Unsayable("never", "no query of the pack has the columns that it needs")
        if self.log is not None:
            return any_of([any_of(tests) for tests in by.values()])
        return any_of(
            [
                all_of([one_of(self.profile.query, list(names)), any_of(tests)])
                for names, tests in by.items()
            ]
        )

    def asked(self, rule: Rule, bound: Bound) -> Asked:
        if self.log is None:
            found = asked_of(rule, bound.fields, self.profile)
            collect(self.read, found.read)
            return found
        where = Where(bound.fields, self.reader)
        test = any_of([where.condition(one) for one in rule.conditions])
        return Asked(where.belongs(), test, self.read, frozenset(where.differences))

    def reader(self, place: Place) -> Read | None:
        if self.log is not None:
            return self.log.reader(self.read, self.differences)(place)
        return row_of(place, self.profile, self.read)

    def made(self) -> Iterator[str]:
        sources = self.plan.sources
        yield f"p = {self.choice(str(source.place) for source in sources)}"
        for number, name in enumerate(self.groups):
            yield f"{name} = {self.choice(self.text(source.group[number]) for source in sources)}"
        yield f"v = {self.values()}"
        yield f"at = {self.choice(map(self.time, sources))}"
        yield f"seen = {ARRIVED if self.log is None else 'arrived'}"
        moments = self.choice("true" if source.moments else "false" for source in sources)
        action = self.profile.action
        if moments == "true":
            states = '"P"'
        else:
            self.differences.add(ROW_TEXT)
            states = f'iff({action} == "removed", "R", iff({action} == "snapshot", "S", "A"))'
        kind = {"true": '"P"', "false": states}.get(moments, f'iff({moments}, "P", {states})')
        yield f"k = {kind}"
        there = f'{action} == "snapshot" or {self.profile.counter} == 0'
        exact = {"true": "1", "false": f"iff({there}, 0, 1)"}
        yield f"x = {exact.get(moments, f'iff(not({moments}) and ({there}), 0, 1)')}"
        once = "_ItemId" if self.counts else '""'
        self.hashed = moments != "true"
        yield f"row = {self.row(moments, once) if self.hashed else once}"

    def row(self, moments: str, once: str) -> str:
        """What is the same for the same row of the same query on the same host. It is hashed in a
        step of its own: in one expression, what reads KQL by rewriting it writes it many times."""
        profile = self.profile
        parts = (
            f'iff({profile.action} == "snapshot", "S", "A")',
            profile.query,
            f"tolower({profile.host})",
            "tostring(Columns)",
        )
        text = f"strcat_delim({literal(chr(9))}, {', '.join(parts)})"
        return text if moments == "false" else f"iff({moments}, {once}, {text})"

    def text(self, place: Place) -> str:
        """A value of the row as groups and counts compare it."""
        if set(place.normalisers) - {"control_text"}:
            raise Unsayable("spelling", f"{place.name} is read in another spelling than it is kept")
        read = self.reader(place)
        assert read is not None
        if read.listed:
            raise Unsayable("listed", f"{place.name} has several values")
        if read.key:
            self.differences.add("json_text")
            self.each[f"t_{read.key}"] = each_object(read.expression, read.key)
            return f"tolower(t_{read.key})"
        if "control_text" in place.normalisers:
            self.differences.add("escaped_text")
        return f"tolower({read.expression})"

    def values(self) -> str:
        sources = self.plan.sources
        if self.plan.kind != "value_count":
            return '""'
        labels = [source.label.lower() for source in sources]
        if all(labels) and len(sources) > 1:
            return f"tostring(dynamic([{', '.join(map(literal, labels))}])[m])"
        return self.choice(map(self.value, sources))

    def value(self, source: Source) -> str:
        if source.label:
            return literal(source.label.lower())
        texts = list(map(self.text, source.values))
        if len(texts) == 1:
            return texts[0]
        # What lacks one of several values counts nothing.
        there = " and ".join(f"isnotempty({text})" for text in texts)
        return f'iff({there}, strcat_delim({literal(chr(9))}, {", ".join(texts)}), "")'

    def time(self, source: Source) -> str:
        if self.log is not None:
            return "happened"
        logged = "1000 * UnixTime"
        if not source.time:
            return logged
        read = self.reader(Place("column", source.time))
        assert read is not None
        real = f"toreal({read.expression})"
        return f"coalesce(iff({real} > 0, tolong(1000.0 * {real}), {_NOTHING}), {logged})"

    def choice(self, texts: Iterable[str]) -> str:
        """By source: one text for all, or `iff` over those that are alike."""
        by: dict[str, list[int]] = {}
        for number, text in enumerate(texts):
            by.setdefault(text, []).append(number)
        # The commonest needs no test.
        *others, last = sorted(by, key=lambda text: len(by[text]))
        made = last
        for text in others:
            numbers = by[text]
            test = f"m == {numbers[0]}" if len(numbers) == 1 else f"m in ({_listed(numbers)})"
            if {made, text} == {"true", "false"}:
                made = test if text == "true" else f"not({test})"
            else:
                made = f"iff({test}, {text}, {made})"
        return made

    # A span for each state, as in detectors/correlating/states.py.

    def spans(self) -> Iterator[str]:
        by = f"row, p, v, {self.by}"
        yield 'let spans = events\n| where k != "R"\n| join kind=leftouter ('
        yield f'  events\n  | where k != "P"\n  | project {by}, ok = k, ot = at) on {by}'
        yield (
            f'| summarize gone = min(iff(ok == "R" and ot > at, ot, {_NOTHING})),'
            f' again = min(iff(ok == "S" and ot > at, ot, {_NOTHING})),'
            f' had = max(iff(ok == "A" and ot < at, ot, {_NOTHING})),'
            f' lost = max(iff(ok == "R" and ot < at, ot, {_NOTHING}))'
            f" by {by}, k, x, at, seen"
        )
        yield (
            f'| extend end = iff(k == "A", coalesce(gone, {_OPEN}),'
            f' iff(k == "S" and again - at <= {_GAP}, again, at)),'
            ' new = iff(x == 1 and (k == "P" or isnull(had) or coalesce(lost, 0) > had), 1, 0);'
        )
        yield from self.items("spans")

    def moments(self) -> Iterator[str]:
        yield "let spans = events\n| extend end = at, new = x;"
        yield from self.items("spans")

    def items(self, spans: str) -> Iterator[str]:
        """What is in groups that hold enough at all, whatever the window."""
        columns = f"{self.by}, p, v, start = at, end, new" + (", row" if self.counts else "")
        yield f"let things = materialize({spans}\n| summarize seen = max(seen) by {columns});"
        yield "let items = materialize(things"
        if self.plan.kind == "value_count":
            yield f"| join kind=leftsemi (things\n  | distinct {self.by}, v"
            yield f"  | summarize n = count() by {self.by}"
            enough = f"n >= {self.plan.least}"
        elif self.plan.kind == "event_count":
            yield f"| join kind=leftsemi (things\n  | summarize n = count() by {self.by}"
            enough = f"n >= {self.plan.least}"
        else:
            yield "| join kind=leftsemi (things"
            yield f"  | summarize {self.places} by {self.by}"
            enough = self.enough
        yield f"  | where {enough}) on {self.by});"

    def windows(self) -> Iterator[str]:
        """Each window, known by its end, with each thing in it."""
        by = self.by
        yield f"let inside = materialize(items\n| project {by}, w = start\n| distinct {by}, w"
        yield f"| join kind=inner items on {by}"
        yield f"| where start <= w and end >= w - {self.plan.timespan * 1000}"
        kept = f"{by}, w, p, v, start, new, seen"
        yield f"| project {kept});"

    def held(self) -> Iterator[str]:
        """The windows that hold enough."""
        plan, by = self.plan, f"{self.by}, w"
        if plan.kind == "temporal_ordered":
            yield from self.order()
            return
        yield "inside"
        if plan.kind == "temporal":
            yield f"| summarize seen = max(seen), {self.places} by {by}"
            yield f"| where {self.enough}"
            return
        if plan.kind == "value_count":
            yield f"| summarize seen = max(seen) by {by}, v"
        yield f"| summarize n = count(), seen = max(seen) by {by}"
        yield f"| where n >= {plan.least}"

    def order(self) -> Iterator[str]:
        """The earliest of the first rule, then of each the earliest that began after the last."""
        if len(self.plan.ways) != 1:
            raise Unsayable("sequence", "an order with alternatives is not compiled")
        (way,), by = self.plan.ways, f"{self.by}, w"
        yield f"inside\n| where p == {way[0]}\n| summarize t = min(start) by {by}"
        for place in way[1:]:
            yield f"| join kind=inner (inside | where p == {place} and new == 1) on {by}"
            yield f"| where start > t\n| summarize t = min(start) by {by}"
        yield f"| join kind=inner (inside | summarize seen = max(seen) by {by}) on {by}"

    @property
    def places(self) -> str:
        """A count for each place that the condition is about."""
        return ", ".join(f"h{place} = countif(p == {place})" for place in self.plan.asked)

    @cached_property
    def enough(self) -> str:
        if self.plan.ways:
            each = [all_of([f"h{place} > 0" for place in way]) for way in self.plan.ways]
            return any_of(each)
        there = " + ".join(f"iff(h{place} > 0, 1, 0)" for place in self.plan.asked)
        return f"{there} >= {self.plan.least}"


def _milliseconds(moment: str) -> str:
    return f"datetime_diff('millisecond', {moment}, datetime(1970-01-01))"


def _names(source: Source, profile: Profile) -> Iterator[str]:
    for member in source.members:
        for bound in member.bounds:
            yield from names_of(bound, profile)


def _listed(numbers: Iterable[Any]) -> str:
    return ", ".join(map(str, numbers))
