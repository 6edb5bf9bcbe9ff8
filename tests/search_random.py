"""Random rules and rows for search servers: the same rules, rows under the pack's own names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import kit
from agreement.rounds import make_row, make_rule
from agreement.tables import OKTA

from molehunt.backends.model import Artefact, Profile, Refusal, Target
from molehunt.backends.subjects import subjects
from molehunt.data import load_yaml
from molehunt.detectors.matching.plan import reference_plan
from molehunt.detectors.records import Record
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.queries import pack_schedule
from molehunt.detectors.tying import record_of
from molehunt.rule import Rule, asks_removed
from molehunt.schema import tables
from molehunt.taxonomy import taxonomy

# What the differences of reviewed.yml speak of; rows with it are not compared.
ESCAPED = re.compile(r"\\x[0-9A-F]{2}")


class Judged(NamedTuple):
    """Rows, and which of them each rule matches by the slow evaluator."""

    rules: tuple[Rule, ...]
    records: tuple[Record, ...]
    matched: Mapping[str, frozenset[int]]


def logged_name(query: str) -> str | None:
    """A query's name as the pack logs it on Linux or Windows; None for another log."""
    if query == OKTA:
        return None
    name = query.rpartition("molehunt_")[2]
    known = {entry[0] for entry in _pack()}
    for one in (name, f"{name}_linux", f"{name}_windows"):
        if one in known:
            return f"pack_molehunt_{one}"
    return None


def _pack() -> list[tuple[str, Any]]:
    from molehunt.detectors.schedule.queries import pack_queries

    return list(pack_queries(load_yaml("pack.yml")))


def judged(seed: int, rules: int, rows: int) -> Judged:
    """Random rules with rows made for each, all from the seed."""
    rng = Random(seed)
    made = [one for n in range(rules) if logged_name((one := make_rule(rng, n)).query.name)]
    loaded = kit.ruleset(*(one.text for one in made))
    lines = []
    for one in made:
        for _ in range(rows):
            row, _, _ = make_row(rng, one)
            action = rng.choice(("added", "added", "snapshot", "removed"))
            more = {"action": action, "decorations": {"hostname": rng.choice(("lab", "LAB", ""))}}
            host = f"lab-{rng.randint(1, 3)}"
            name = logged_name(one.query.name)
            assert name is not None
            lines.append(kit.line(row, name, hostIdentifier=host, **more))
    return judge(loaded.rules, lines)


def judge(rules: Sequence[Rule], lines: Sequence[bytes]) -> Judged:
    """Lines as records, with the verdicts of the slow evaluator."""
    binder = Binder([("pack", pack_schedule(load_yaml("pack.yml")))], tables())
    plan = reference_plan(rules, taxonomy(), binder)
    records: list[Record] = []
    matched: dict[str, set[int]] = {rule.id: set() for rule in rules}
    for row in plan.rows([kit.block(*lines)], lambda _problem: None):
        bound = plan.bound(row)
        for rule, _, holds in plan.asking(bound):
            # What another schedule logged may look like it, and is not asked for.
            if bound.binding.how not in ("pack", "source"):
                continue
            if (row.action != "removed" or asks_removed(rule)) and holds(row):
                matched[rule.id].add(len(records))
        records.append(record_of(row, bound.binding, bound.tie))
    return Judged(tuple(rules), tuple(records), {r: frozenset(m) for r, m in matched.items()})


def compiled(
    target: Target, profile: Profile, rules: Sequence[Rule]
) -> tuple[list[Artefact], list[Refusal]]:
    """The rules for a target."""
    from molehunt.rule import RuleSet

    made = subjects(RuleSet(tuple(rules)), load_yaml("pack.yml"), taxonomy())
    found = [target.compile(one, profile) for one in made if one.bounds]
    return (
        [one for one in found if isinstance(one, Artefact)],
        [one for one in found if isinstance(one, Refusal)],
    )


def disagreements(
    session: Any, artefacts: Sequence[Artefact], given: Judged, limit: int
) -> list[str]:
    """Rules and rows on which a server and the evaluator differ, declared differences aside."""
    wrong = []
    by_id = {rule.id: rule for rule in given.rules}
    for artefact, answer in zip(artefacts, session.ask(artefacts), strict=True):
        assert answer.rule == artefact.rule
        if answer.error:
            wrong.append(f"{answer.error}\n{by_id[answer.rule].raw['detection']}\n{artefact.query}")
            continue
        assert answer.found is not None
        for place in sorted(answer.found ^ given.matched[answer.rule]):
            record = given.records[place]
            if not _declared(artefact, record, limit):
                who = "server" if place in answer.found else "evaluator"
                detection = by_id[answer.rule].raw["detection"]
                wrong.append(
                    f"only the {who}: {detection}\n{record.action} {dict(record.values)}"
                    f"\n{artefact.query}"
                )
    return wrong


def _declared(artefact: Artefact, record: Record, limit: int) -> bool:
    texts = [v for value in record.values.values() for v in _listed(value) if isinstance(v, str)]
    if "escaped_bytes" in artefact.differences and any(map(ESCAPED.search, texts)):
        return True
    return "keyword_limit" in artefact.differences and any(len(text) > limit for text in texts)


def _listed(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
