"""A plan of a correlation as one SPL search, with the windows of docs/correlations.md as they are.

Nothing is joined and nothing is a subsearch, since both are cut off after some thousand rows:
`streamstats` runs over each group in the order of beginnings, with what ended latest so far.
Commands: <https://docs.splunk.com/Documentation/Splunk/latest/SearchReference/Streamstats>.

Whatever stands after BY is never empty: nothing is "-".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from molehunt.correlation import SNAPSHOT_GAP
from molehunt.detectors.matching.fields import Place
from molehunt.rule import Rule

from ..asking import Asked
from ..correlating.plan import Plan, Source
from ..model import Bound, Profile, Unsayable
from .compiling import ENVELOPE, asked_of, row_of
from .signins import LOGS, TARGET, SignInWhere, value_of
from .spltext import FALSE, string
from .splwhere import joined, names

LETTER_CASE, LOOK_BACK, APPROVALS = "letter_case", "look_back", "approvals"
ROW_TEXT = "row_text"
# A state that nothing has ended, in seconds; snapshots further apart are two states.
_OPEN, _GAP = 9_999_999_999, round(SNAPSHOT_GAP)
_SEPARATED = ' . "|" . '


def windows_search(plan: Plan, profile: Profile) -> tuple[str, tuple[str, ...]]:
    """The search and its differences. It gives a row for each group: the values of the group-by
    fields, when the first and the last window ended, and when the latest of its rows was indexed.
    Raises `Unsayable`."""
    found = _Writer(plan, profile)
    search = " | ".join(found.commands())
    return search, tuple(sorted(found.differences | set(plan.differences)))


class _Writer:
    def __init__(self, plan: Plan, profile: Profile) -> None:
        self.plan, self.profile = plan, profile
        self.differences: set[str] = {LETTER_CASE, LOOK_BACK, APPROVALS}
        self.read: dict[str, str] = {}
        self.groups = [f"g{n}" for n in range(len(plan.correlation.group_by))]
        self.by = " ".join(self.groups)
        self.log = LOGS.get(plan.log)
        # What is read of each of the targets of an event.
        self.targets: dict[str, str] = {}

    def commands(self) -> Iterator[str]:
        """The commands, in order."""
        plan, by = self.plan, self.by
        yield from self.events()
        if plan.kind == "event_count" and plan.least == 1:
            # Any event is a window that holds enough.
            yield 'where k!="R"'
            yield f"stats min(at) AS began max(at) AS ended max(seen) AS newest BY {by}"
        else:
            yield from self.spans() if plan.lasting else ["eval start=at, end=at, new=x"]
            yield from self.holds()
            yield f"eventstats max(hold) AS hold BY {by} start"
            yield "eval held=if(hold=1, start, null())"
            # What is in a window that holds: the next such window ends in time.
            yield "sort 0 -num(start)"
            yield f"streamstats min(held) AS next BY {by}"
            yield f"where next<=end+{plan.timespan}"
            yield f"stats min(next) AS began max(held) AS ended max(seen) AS newest BY {by}"
        named = zip(self.groups, plan.identifiers, strict=True)
        yield "rename " + ", ".join(f"{group} AS {name}" for group, name in named)

    # An event for each row and source, with its group, its value and its time.

    def events(self) -> Iterator[str]:
        tests = [self.test(source) for source in self.plan.sources]
        made = ", ".join(self.made() if self.log is None else self.made_of_signins())
        yield from self.rows() if self.log is None else self.signins()
        marks = ", ".join(f'if({test}, "{n}", null())' for n, test in enumerate(tests))
        yield f"eval m=mvappend({marks}, null())"
        yield "where isnotnull(m)"
        yield "mvexpand m limit=0"
        yield f"eval {made}"
        wanted = [f"len({name})>0" for name in self.groups] + ["at>0"]
        if self.plan.kind == "value_count":
            wanted.append("len(v)>0")
        yield f"where {' AND '.join(wanted)}"
        yield f"stats max(seen) AS seen max(x) AS x BY row p v {self.by} k at"

    def signins(self) -> Iterator[str]:
        """The events of a sign-in log, with what is read of them."""
        assert self.log is not None
        self.read["molehunt_time"] = self.log.time()
        yield self.log.head()
        yield f"where {self.log.belongs()}"
        yield "eval " + ", ".join(f"{name}={value}" for name, value in sorted(self.read.items()))
        yield "streamstats count AS once"
        if self.targets:
            # What has several targets is in the group of each.
            yield f'eval {TARGET}=coalesce(json_array_to_mv(json_extract(_raw, "target")), "")'
            yield f"mvexpand {TARGET} limit=0"
            made = (f"{name}={value}" for name, value in sorted(self.targets.items()))
            yield f"eval {', '.join(made)}"

    def made_of_signins(self) -> Iterator[str]:
        sources = self.plan.sources
        yield f"p={self.choice(str(source.place) for source in sources)}"
        for number, name in enumerate(self.groups):
            yield f"{name}={self.choice(self.text(source.group[number]) for source in sources)}"
        yield f"v={self.choice(map(self.value, sources))}"
        counted = self.plan.kind == "event_count" and self.plan.least > 1
        once = "tostring(once)" if counted else '"-"'
        yield f'at=molehunt_time, seen=_indextime, k="P", x=1, row={once}'

    def rows(self) -> Iterator[str]:
        """The rows of osquery, of both shapes, with what is read of them."""
        sources, profile = self.plan.sources, self.profile
        logged = {name for source in sources for name in _names(source, profile)}
        yield f"{profile.index} (" + " OR ".join(map(string, sorted(logged))) + ")"
        yield ENVELOPE
        yield "mvexpand molehunt_row limit=0"
        self.read["molehunt_time"] = 'coalesce(tonumber(json_extract(_raw, "unixTime")), 0)'
        self.read["molehunt_count"] = 'coalesce(tonumber(json_extract(_raw, "counter")), -1)'
        yield "eval " + ", ".join(f"{name}={value}" for name, value in sorted(self.read.items()))
        yield "streamstats count AS once"

    def test(self, source: Source) -> str:
        """What the members ask, rows that went away included: they say how long a state lasted."""
        by: dict[tuple[str, ...], list[str]] = {}
        for member in source.members:
            assert isinstance(member.rule, Rule)
            for bound in member.bounds:
                asked = self.asked(member.rule, bound)
                parts = [asked.belongs, asked.test]
                if self.log is None and source.moments and not member.removed:
                    parts.insert(0, f'{self.profile.action}!="removed"')
                test = joined(parts, "AND")
                if test != FALSE:
                    self.differences |= asked.differences
                    logged = [p.format(name) for p in self.profile.names for name in bound.queries]
                    by.setdefault(tuple(logged), []).append(test)
        if not by:
            raise Unsayable("never", "no query of the pack has the columns that it needs")
        if self.log is not None:
            return joined([test for tests in by.values() for test in tests], "OR")
        parts = [
            joined([names(self.profile.query, list(logged)), joined(tests, "OR")], "AND")
            for logged, tests in by.items()
        ]
        return joined(parts, "OR")

    def asked(self, rule: Rule, bound: Bound) -> Asked:
        if self.log is None:
            found = asked_of(rule, bound.fields, self.profile)
            self.read |= found.read
            return found
        where = SignInWhere(bound.fields, self.reader, log=self.log)
        test = joined([where.condition(one) for one in rule.conditions], "OR")
        return Asked(where.belongs(), test, self.read, frozenset(where.differences))

    def reader(self, place: Place) -> str | None:
        if self.log is not None:
            return self.log.reader(self.read, self.differences)(place)
        return row_of(place, self.profile, self.read)

    def made(self) -> Iterator[str]:
        sources, action = self.plan.sources, self.profile.action
        yield f"p={self.choice(str(source.place) for source in sources)}"
        for number, name in enumerate(self.groups):
            yield f"{name}={self.choice(self.text(source.group[number]) for source in sources)}"
        yield f"v={self.choice(map(self.value, sources))}"
        yield f"at={self.choice(map(self.time, sources))}"
        yield "seen=_indextime"
        moments = self.choice('"1"' if source.moments else '"0"' for source in sources)
        if moments != '"1"':
            self.differences.add(ROW_TEXT)
        yield f"moment={moments}"
        yield (
            f'k=case(moment="1", "P", {action}="removed", "R", {action}="snapshot", "S",'
            ' true(), "A")'
        )
        yield f'x=if(moment="0" AND ({action}="snapshot" OR molehunt_count=0), 0, 1)'
        counted = self.plan.kind == "event_count" and self.plan.least > 1
        once = "tostring(once)" if counted else '"-"'
        kind = f'if({action}="snapshot", "S", "A")'
        whole = (kind, self.profile.query, f"lower({self.profile.host})", "molehunt_row")
        yield f'row=if(moment="1", {once}, sha256({_SEPARATED.join(whole)}))'

    def text(self, place: Place) -> str:
        """A value of the row as groups and counts compare it."""
        if set(place.normalisers) - {"control_text"}:
            raise Unsayable("spelling", "SPL compares the value as osquery spells it")
        if "control_text" in place.normalisers:
            self.differences.add("escaped_text")
        if self.plan.log == "okta" and place.name.startswith("target."):
            name = "t_" + place.name.removeprefix("target.").replace(".", "_")
            self.targets[name] = value_of([place.name.removeprefix("target.")], TARGET)
            return f"lower({name})"
        if self.log is not None and (place.name in self.log.lists or self.log.several(place.name)):
            raise Unsayable("listed", f"{place.name} has several values")
        return f"lower({self.reader(place)})"

    def value(self, source: Source) -> str:
        if self.plan.kind != "value_count":
            return '"-"'
        if source.label:
            return string(source.label.lower())
        texts = list(map(self.text, source.values))
        if len(texts) == 1:
            return texts[0]
        # What lacks one of several values counts nothing.
        there = " AND ".join(f"len({text})>0" for text in texts)
        return f'if({there}, {_SEPARATED.join(texts)}, "")'

    def time(self, source: Source) -> str:
        if not source.time:
            return "molehunt_time"
        read = f"coalesce(tonumber({self.reader(Place('column', source.time))}), 0)"
        return f"if({read}>0, {read}, molehunt_time)"

    def choice(self, texts: Iterable[str]) -> str:
        """By source: one text for all, or a `case` over those that are alike."""
        by: dict[str, list[str]] = {}
        for number, text in enumerate(texts):
            by.setdefault(text, []).append(str(number))
        # The commonest needs no test.
        *others, last = sorted(by, key=lambda text: len(by[text]))
        if not others:
            return last
        made = ", ".join(f"{names('m', by[text])}, {text}" for text in others)
        return f"case({made}, true(), {last})"

    # A span for each state, as in detectors/correlating/states.py.

    def spans(self) -> Iterator[str]:
        by = f"row p v {self.by}"
        yield (
            'eval r=if(k="R", at, null()), s=if(k="S", at, null()), a=if(k="A", at, null()),'
            ' late=if(k="R", 1, 0)'
        )
        # Of one second what came stands before what went, both ways.
        yield "sort 0 -num(at), +num(late)"
        yield f"streamstats current=f min(r) AS gone min(s) AS again BY {by}"
        yield "sort 0 +num(at), +num(late)"
        yield f"streamstats current=f max(a) AS had max(r) AS lost BY {by}"
        yield 'where k!="R"'
        yield (
            f'eval start=at, end=case(k="A", coalesce(gone, {_OPEN}),'
            f' k="S" AND coalesce(again, {_OPEN})-at<={_GAP}, again, true(), at),'
            ' new=if(x=1 AND (k="P" OR isnull(had) OR coalesce(lost, 0)>coalesce(had, 0)), 1, 0)'
        )

    def holds(self) -> Iterator[str]:
        """`hold` is 1 in rows at whose start a window ends that holds enough."""
        if self.plan.kind == "temporal":
            yield from self.together()
        elif self.plan.kind == "temporal_ordered":
            yield from self.order()
        else:
            yield from self.counted()

    def together(self) -> Iterator[str]:
        """Of each rule what ended latest of all that began."""
        ways = self.plan.ways
        asked = self.plan.asked
        yield "eval " + ", ".join(f"e{n}=if(p={n}, end, null())" for n in asked)
        yield "sort 0 +num(start)"
        tops = " ".join(f"max(e{n}) AS e{n}" for n in asked)
        yield f"streamstats {tops} BY {self.by}"
        yield f"eventstats {tops} BY {self.by} start"
        there = {n: f"coalesce(e{n}, 0)>=start-{self.plan.timespan}" for n in asked}
        if ways:
            enough = joined([joined([there[n] for n in way], "AND") for way in ways], "OR")
        else:
            enough = "+".join(f"if({there[n]}, 1, 0)" for n in asked) + f">={self.plan.least}"
        yield f"eval hold=if({enough}, 1, 0)"

    def order(self) -> Iterator[str]:
        """Of each rule the chain up to it whose first end is latest; the last says it holds."""
        if len(self.plan.ways) != 1:
            raise Unsayable("sequence", "an order with alternatives is not compiled")
        (way,) = self.plan.ways
        ranks = ", ".join(f"p={place}, {-rank}" for rank, place in enumerate(way))
        yield f"eval rank=case({ranks}, true(), 0), e0=if(p={way[0]}, end, null())"
        # Of one second nothing came after the other: the later rules stand first.
        yield "sort 0 +num(start), +num(rank)"
        for rank, place in enumerate(way[1:], 1):
            yield f"streamstats current=f max(e{rank - 1}) AS b{rank} BY {self.by}"
            mine = f"p={place} AND new=1 AND isnotnull(b{rank})"
            yield f"eval e{rank}=if({mine}, min(end, b{rank}), null())"
        last = len(way) - 1
        if last:
            yield f"eval hold=if(coalesce(e{last}, 0)>=start-{self.plan.timespan}, 1, 0)"
        else:
            yield "eval hold=if(isnotnull(e0), 1, 0)"

    def counted(self) -> Iterator[str]:
        """How many values are there: one more where one comes in, one less where it goes out."""
        if self.plan.kind == "event_count":
            yield "eval v=row"
        by = self.by
        yield f"eval until=end+{self.plan.timespan}"
        yield "sort 0 +num(start)"
        yield f"streamstats current=f max(until) AS before BY {by} v"
        yield "eval fresh=if(start>coalesce(before, -1), 1, 0)"
        yield f"streamstats sum(fresh) AS part BY {by} v"
        yield f"eventstats max(until) AS close BY {by} v part"
        yield 'eval d=if(fresh=1, mvappend("in", "out"), "in")'
        yield "mvexpand d limit=0"
        yield ('eval t=if(d="in", start, close), step=if(d="in", fresh, -1), late=if(d="in", 0, 1)')
        # Both ends of a window belong to it: what goes out at a moment is still there.
        yield "sort 0 +num(t), +num(late)"
        yield f"streamstats sum(step) AS n BY {by}"
        yield f"eventstats max(n) AS n BY {by} t late"
        yield 'where d="in"'
        yield f"eval hold=if(n>={self.plan.least}, 1, 0)"


def _names(source: Source, profile: Profile) -> Iterator[str]:
    for member in source.members:
        for bound in member.bounds:
            for name in bound.queries:
                yield from (pattern.format(name) for pattern in profile.names)
