"""Rounds of random rules over random lines, judged by the evaluator and the engine alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from random import Random
from typing import Any, NamedTuple

import kit
import yaml

from molehunt.detectors.matching import choose, judge, later
from molehunt.detectors.matching.judge import has_judge
from molehunt.detectors.matching.match import Match
from molehunt.detectors.matching.plan import FastPlan, compile_plan, reference_plan
from molehunt.detectors.reading.inputs import Block
from molehunt.detectors.schedule.binding import Binder
from molehunt.problems import Problem
from molehunt.rule import Rule
from molehunt.taxonomy import taxonomy

from .atoms import Atom, atom, escaped, text
from .spelling import line
from .tables import NORMALISED, OKTA, QUERIES, Query

# The share of lines in some rounds that are as osqueryd writes them.
PLAIN = 0.9
BASE = "00000000-0000-4000-8000-{:012d}"


@dataclass(frozen=True, slots=True)
class Made:
    """A rule with what is needed to satisfy it. `extra` names what it has besides its selection."""

    rule_id: str
    text: str
    query: Query
    atoms: tuple[tuple[str, Atom], ...]
    extra: str

    @property
    def simple(self) -> bool:
        """Whether the rule is its selection and no more."""
        return not self.extra

    @property
    def kinds(self) -> list[str]:
        """The constructs in the rule, for counting."""
        return [one.kind for _, one in self.atoms] + ([self.extra] if self.extra else [])


@dataclass(slots=True)
class Outcome:
    """Totals of some rounds. `wrong` describes each disagreement; `explained` are the matches that
    have evidence, which one of a filter alone has not."""

    pairs: int = 0
    matches: int = 0
    near_misses: int = 0
    explained: int = 0
    held: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def make_rule(rng: Random, number: int) -> Made:
    """A random rule on a random query."""
    query = rng.choice(QUERIES)
    fields = rng.sample(sorted(query.columns), min(len(query.columns), rng.randint(1, 3)))
    chosen = tuple((name, atom(rng, name)) for name in fields)
    detection: dict[str, Any] = {"selection": {a.key: a.value for _, a in chosen}}
    extra, condition = _extra(rng, detection, sorted(query.columns))
    detection["condition"] = condition
    document = {
        "title": f"Rule {number}",
        "id": BASE.format(number),
        "logsource": yaml.safe_load(query.logsource),
        "detection": detection,
        "level": "low",
    }
    return Made(document["id"], yaml.safe_dump(document, allow_unicode=True), query, chosen, extra)


def _extra(rng: Random, detection: dict[str, Any], others: list[str]) -> tuple[str, Any]:
    """Add a further construct to the detection: its name ("" for none) and the condition."""
    kind = rng.choice(
        ("", "", "", "", "filter", "keywords", "envelope", "fieldref", "maps", "list")
    )
    if kind == "filter":
        detection["filter_a"] = {f"{rng.choice(others)}|contains": escaped(text(rng))}
        detection["filter_b"] = {f"{rng.choice(others)}|endswith": escaped(text(rng))}
        return kind, "selection and not 1 of filter_*"
    if kind == "keywords":
        words = [escaped(text(rng)), escaped(text(rng, 2))]
        link = rng.choice(("", "|all"))
        detection["sel_words"] = {link: words} if link else words
        return kind + link, "1 of sel*"
    if kind == "envelope":
        hosts = ["lab-1", "lab-2"]
        detection["sel_envelope"] = {"osquery.host": hosts, "decorations.hostname": "LAB"}
        return kind, "all of sel*"
    if kind == "fieldref" and len(others) > 1:
        first, second = rng.sample(others, 2)
        how = rng.choice(("", "|startswith", "|endswith", "|contains", "|neq"))
        detection["sel_ref"] = {f"{first}|fieldref{how}": second}
        return kind + how, rng.choice(("selection and sel_ref", "selection or sel_ref"))
    if kind == "maps":
        one, two = atom(rng, rng.choice(others)), atom(rng, rng.choice(others))
        detection["sel_maps"] = [{one.key: one.value}, {two.key: two.value}]
        return "list of maps", "selection and sel_maps"
    if kind == "list":
        one = atom(rng, rng.choice(others))
        detection["other"] = {one.key: one.value}
        return "several conditions", ["selection", "other and not selection"]
    return "", "selection"


def make_row(rng: Random, made: Made) -> tuple[dict[str, Any], str, bool | None]:
    """A row for the rule: what was meant (`match` or `edited`) and the certain verdict."""
    row: dict[str, Any] = {column: text(rng) for column in made.query.columns.values()}
    row |= made.query.fixed
    meant = rng.choice(("match", "match", "edited", "edited", "edited", "edited"))
    for name, one in made.atoms:
        value = one.make(rng)
        # Several values: one that satisfies is enough. `neq` and the like look at all of them.
        several = rng.random() < 0.04 and one.on_nothing is False
        row[made.query.columns[name]] = [value, "another"] if several else value
    certain = (
        made.simple
        and made.query.name != OKTA
        and not NORMALISED & {name for name, _ in made.atoms}
    )
    # Sigma values that only look alike (two items on one column) leave no certainty.
    columns = [made.query.columns[name] for name, _ in made.atoms]
    certain = certain and len(set(columns)) == len(columns)
    if meant == "match":
        return row, meant, True if certain and not _odd(row) else None
    name, one = rng.choice(made.atoms)
    column = made.query.columns[name]
    verdict = _edit(rng, row, column, one)
    return row, meant, verdict if certain and not _odd(row) else None


def _odd(row: dict[str, Any]) -> bool:
    """Rows in which osquery's own escape text could be read into a value."""
    values = (v for value in row.values() for v in (value if isinstance(value, list) else [value]))
    return any(isinstance(v, str) and "\\x" in v for v in values)


def _edit(rng: Random, row: dict[str, Any], column: str, one: Atom) -> bool | None:
    """Change one thing; False if that surely ends the match."""
    value, kind = row[column], rng.randrange(4)
    if kind == 0:
        row[column] = rng.choice((None, ""))
        return one.on_nothing
    if kind == 1:
        del row[column]
        return one.on_nothing
    if kind == 2 and isinstance(value, str) and value:
        place = rng.randrange(len(value))
        row[column] = value[:place] + chr(ord(value[place]) ^ 1 or 33) + value[place + 1 :]
        return None
    row[column] = value.swapcase() if isinstance(value, str) else 987654321
    return None


class Written(NamedTuple):
    """The lines of a round, and those whose verdict is certain, and what each was meant to be."""

    body: list[bytes]
    expected: list[tuple[str, int, bool]]
    meant: list[tuple[str, int, str]]
    blocks: list[Block]


class Judged(NamedTuple):
    """A round with what the evaluator matches, before the engine is asked."""

    seed: int
    rules: tuple[Rule, ...]
    made: list[Made]
    written: Written
    reference: list[Match]

    @property
    def fired(self) -> set[tuple[str, int]]:
        """Rules with the lines in which they match."""
        return {(one.rule.id, one.record.locator.line) for one in self.reference}


def judged(seed: int, rules: int = 4, lines: int = 600) -> Judged:
    """One round: everything in it follows from the seed.

    Few rules a round, so that most pairs are a row with the rule that it was made for.
    """
    made = _rules(Random(seed), rules)
    # Anew each time: what was worked out for rules must not hide a fault that is planted later.
    loaded = kit.ruleset(*(item.text for item in made)).rules
    good = frozenset(rule.id for rule in loaded)
    written = _written(seed, rules, lines, good)
    plan = reference_plan(loaded, taxonomy(), _binder())
    reference = list(plan.matches(written.blocks, _ignore))
    return Judged(seed, loaded, [one for one in made if one.rule_id in good], written, reference)


def disagreements(one: Judged) -> Iterator[str]:
    """Where the engine, or what was certain of a line, differs from the evaluator, in words."""
    reference = list(map(_told, one.reference))
    for scan, plan in _plans(one):
        told = list(map(_told, plan.matches(one.written.blocks, _ignore)))
        if told != reference:
            yield _difference(one, scan, reference, told)
    fired = one.fired
    for rule, number, verdict in one.written.expected:
        if ((rule, number) in fired) is not verdict:
            text_of = next(item.text for item in one.made if item.rule_id == rule)
            should = "should match" if verdict else "should not match"
            yield f"seed {one.seed}: {should}\n{text_of}\n{one.written.body[number - 1]!r}"


def _plans(one: Judged) -> Iterator[tuple[str, FastPlan]]:
    """The engine in every form, and one more time where it has seen all the texts before."""
    for scan in ("hyperscan", "re2", ""):
        plan = compile_plan(one.rules, taxonomy(), _binder(), scan)
        with _eager(one.seed % 2 == 0):
            plan.tune(one.written.blocks[0].data)
        yield scan, plan
    if not has_judge():
        return
    for fits in (True, False):
        plan = compile_plan(one.rules, taxonomy(), _binder(), "re2", judges=True)
        with _curious(), _putting_off(one.seed % 2 == 0):
            if fits:
                assert plan.judge is not None
                plan.judge.fit(_whole_lines(one.written.blocks), {})
            yield f"judge {fits}", plan
            yield f"judge {fits}, again", plan


def _whole_lines(blocks: list[Block]) -> bytes:
    data = b"".join(block.data for block in blocks)
    return data[: data.rfind(b"\n") + 1]


@contextmanager
def _curious() -> Iterator[None]:
    """Every shape is taken in when it is first met."""
    before, judge.SHAPE_OFTEN = judge.SHAPE_OFTEN, 1
    try:
        yield
    finally:
        judge.SHAPE_OFTEN = before


def run(seed: int) -> Outcome:
    """One round, judged and counted."""
    one = judged(seed)
    outcome = seen(one)
    outcome.wrong += disagreements(one)
    outcome.matches = len(one.reference)
    outcome.explained = sum(bool(match.evidence) for match in one.reference)
    plan = reference_plan(one.rules, taxonomy(), _binder())
    rows = plan.rows(one.written.blocks, _ignore)
    outcome.pairs = sum(len(list(plan.asking(plan.bound(row)))) for row in rows)
    return outcome


def seen(one: Judged) -> Outcome:
    """Which constructs held and failed in a round, and the near misses; nothing else."""
    outcome, fired = Outcome(), one.fired
    kinds = {item.rule_id: item.kinds for item in one.made}
    for rule, number, what in one.written.meant:
        if (rule, number) in fired:
            outcome.held.update(kinds[rule])
        else:
            outcome.failed.update(kinds[rule])
            outcome.near_misses += what == "edited"
    return outcome


def _ignore(_: Problem) -> None:
    """What is wrong in the lines, which are made so."""


@contextmanager
def _eager(wanted: bool) -> Iterator[None]:
    """Expressions and pairs searched for wherever they can be, not only where they pay."""
    before = choose.PAYS, choose.COMMON
    if wanted:
        choose.PAYS, choose.COMMON = 2.0, -1.0
    try:
        yield
    finally:
        choose.PAYS, choose.COMMON = before


@contextmanager
def _putting_off(wanted: bool) -> Iterator[None]:
    """All that can be is looked for only where a rule asks, not only where it pays."""
    before = later.ALONE, later.SELDOM
    if wanted:
        later.ALONE, later.SELDOM = 0, 2.0
    try:
        yield
    finally:
        later.ALONE, later.SELDOM = before


@cache
def _binder() -> Binder:
    """One for all rounds, so that the pack's SQL is parsed once."""
    return kit.binder()


def _rules(rng: Random, count: int) -> list[Made]:
    return [make_rule(rng, number) for number in range(count)]


@lru_cache(maxsize=64)
def _written(seed: int, rules: int, count: int, good: frozenset[str]) -> Written:
    """Lines for the rules that load. Each planted fault looks at the same ones."""
    rng = Random(seed)
    made = [item for item in _rules(rng, rules) if item.rule_id in good]
    plain = PLAIN if seed % 3 == 2 else 0.0
    body: list[bytes] = []
    expected: list[tuple[str, int, bool]] = []
    meant: list[tuple[str, int, str]] = []
    for number in range(1, count + 1):
        item = rng.choice(made)
        row, what, verdict = make_row(rng, item)
        rows = [row] * (1 if rng.random() < 0.9 else 2)
        data, clean = line(rng, item.query.name, rows, plain > 0 and rng.random() < plain)
        body.append(data)
        meant.append((item.rule_id, number, what))
        # A removed row matches too (it closes), so the verdict holds for every shape with a row.
        if clean and verdict is not None:
            expected.append((item.rule_id, number, verdict))
    return Written(body, expected, meant, list(_blocks(rng, body)))


def _blocks(rng: Random, body: list[bytes]) -> Iterator[Block]:
    start, offset = 0, 0
    while start < len(body):
        end = min(len(body), start + rng.randint(1, 200))
        data = b"".join(item + b"\n" for item in body[start:end])
        if end == len(body) and rng.random() < 0.5:
            data = data[:-1]
        yield Block("log", offset, start + 1, data)
        start, offset = end, offset + len(data)


def _told(match: Match) -> tuple[Any, ...]:
    """All that a match is made of. Its time follows from that."""
    line = match.record.locator.line
    return (match.rule.id, line, match.closes, match.record, match.fields, match.evidence)


def _difference(one: Judged, scan: str, reference: list[Any], told: list[Any]) -> str:
    odd = sorted(set(map(repr, reference)) ^ set(map(repr, told)))[:1]
    first = next((a for a in [*reference, *told] if repr(a) in odd), None)
    if first is None:
        return f"seed {one.seed}, scan {scan!r}: the same matches in another order"
    rule = next(item.text for item in one.made if item.rule_id == first[0])
    who = "evaluator" if first in reference else "engine"
    line = one.written.body[first[1] - 1]
    return f"seed {one.seed}, scan {scan!r}: only the {who} matches\n{rule}\n{line!r}"
