"""Random rules over random rows for compile targets, with the evaluator's verdicts."""

from __future__ import annotations

from random import Random
from typing import Any

import kit
from agreement.rounds import make_row, make_rule
from agreement.tables import OKTA

from molehunt.backends.compiling import compile_all
from molehunt.backends.corpus import Corpus
from molehunt.backends.model import Artefact, Target
from molehunt.backends.proving import prove
from molehunt.backends.subjects import subjects
from molehunt.data import load_yaml
from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.queries import pack_schedule
from molehunt.detectors.tying import record_of
from molehunt.rule import Rule, asks_removed
from molehunt.schema import tables
from molehunt.taxonomy import taxonomy

NAMES = {
    "pack_molehunt_processes": "pack_molehunt_processes_linux",
    "pack/Global/molehunt_listening_ports": "pack/Global/molehunt_listening_ports_linux",
    "pack_molehunt_process_open_sockets": "pack_molehunt_process_open_sockets_linux",
}
# Letters whose case the emulators fold in ways of their own; targets declare or spell them out.
TRAPS = frozenset("K\u212aİıſßΣςσéÉ")
RULES = kit.shipped()


def made(seed: int, rules: int = 8, rows: int = 40) -> tuple[tuple[Rule, ...], Corpus]:
    """Random rules that load, and rows for each of them, judged. Rows are as osquery's: no lists,
    no trapped letters, no text that looks like osquery's escapes."""
    rng = Random(seed)
    chosen = [one for one in (make_rule(rng, n) for n in range(rules)) if one.query.name != OKTA]
    loaded = kit.ruleset(*(one.text for one in chosen))
    lines = []
    for one in chosen:
        for _ in range(rows):
            row, _, _ = make_row(rng, one)
            if _as_logged(row):
                name = NAMES.get(one.query.name, one.query.name)
                action = rng.choice(("added", "added", "removed", "snapshot"))
                lines.append(kit.line(row, name, action=action))
    binder = Binder([("pack", pack_schedule(load_yaml("pack.yml")))], tables())
    plan = compile_plan(loaded.rules, taxonomy(), binder, scan="")
    plan.tells = False
    records: list[Any] = []
    matched: dict[str, set[int]] = {rule.id: set() for rule in loaded.rules}
    for row in plan.rows([kit.block(*lines)], lambda _: None):
        bound = plan.bound(row)
        if bound.binding.how == "pack":
            for rule, _, holds in plan.asking(bound):
                if (row.action != "removed" or asks_removed(rule)) and holds(row):
                    matched[rule.id].add(len(records))
        records.append(record_of(row, bound.binding, bound.tie))
    frozen = {rule: frozenset(found) for rule, found in matched.items()}
    return loaded.rules, Corpus(tuple(records), frozen)


def _as_logged(row: dict[str, Any]) -> bool:
    return not any(
        isinstance(value, (list, dict, bool, float))
        or (isinstance(value, str) and ("\\x" in value or TRAPS & set(value)))
        for value in row.values()
    )


def compiled(target: Target, rules: tuple[Rule, ...]) -> list[Artefact]:
    """What the target makes of rules; refusals left out."""
    from molehunt.rule import RuleSet

    found = subjects(RuleSet(rules), load_yaml("pack.yml"), taxonomy())
    made_ = compile_all(target, target.profile(), found)
    return [one for one in made_ if isinstance(one, Artefact)]


def wrong(target: Target, engine: int, seed: int) -> tuple[list[str], int]:
    """Disagreements in words, and how many records were rightly found."""
    rules, corpus = made(seed)
    artefacts = compiled(target, rules)
    verdicts = prove(target.engines[engine], target.profile(), artefacts, corpus)
    told = []
    for verdict in verdicts:
        if verdict.disagrees:
            places = (*verdict.missed, *verdict.extra)[:2]
            rows = [dict(corpus.records[place].values) for place in places]
            which = next(rule for rule in rules if rule.id == verdict.artefact.rule)
            told.append(
                f"seed {seed}: missed {verdict.missed[:3]} extra {verdict.extra[:3]}"
                f" {verdict.error}\n{which.raw['detection']}\n{verdict.artefact.query}\n{rows}"
            )
    return told, sum(verdict.positives for verdict in verdicts)
