"""Why some mutants survive: reasons written by hand, next to the recordings.

docs/mutation.md describes the file. A reason for a mutant that does not exist any more, or that a
recording kills by now, is an error: the file never says more than is true.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from molehunt.levels import Level
from molehunt.problems import Problem
from molehunt.yamlfile import KeyPath, read_file

from .mutate import Mutation

SURVIVORS = "survivors.yml"
_HINT = "see docs/mutation.md"

Reasons = Mapping[tuple[str, str], tuple[str, int]]


def load_survivors(folder: str) -> tuple[str, Reasons, list[Problem]]:
    """The path of `survivors.yml` in the folder of the recordings; reasons with their lines by rule
    id and mutant name; and what is wrong with them. No file means no reasons."""
    path = os.path.join(folder, SURVIVORS)
    if not os.path.exists(path):
        return path, {}, []
    documents, problems = read_file(path)
    if not documents or documents[0].data is None:
        return path, {}, problems
    document = documents[0]
    if not isinstance(document.data, list):
        problems.append(Problem("must be a list of rules", path, document.line, hint=_HINT))
        return path, {}, problems
    reasons: dict[tuple[str, str], tuple[str, int]] = {}
    for index, entry in enumerate(document.data):
        where: KeyPath = (index,)
        if not isinstance(entry, dict) or set(entry) != {"rule", "why", "mutants"}:
            what = "an entry has exactly rule, why and mutants"
            problems.append(Problem(what, path, document.near(where), hint=_HINT))
            continue
        rule, why, names = str(entry["rule"]), str(entry["why"] or "").strip(), entry["mutants"]
        if not why or not isinstance(names, list) or not names:
            what = "an entry says why, for at least one mutant"
            problems.append(Problem(what, path, document.near(where), rule, _HINT))
            continue
        for number, name in enumerate(names):
            line = document.near((index, "mutants", number))
            if (rule, str(name)) in reasons:
                problems.append(Problem(f"mutant twice: {name}", path, line, rule))
            reasons[rule, str(name)] = (why, line)
    return path, reasons, problems


def stale(
    path: str, reasons: Reasons, mutations: Iterable[Mutation], known: Iterable[str]
) -> Iterator[Problem]:
    """An error for each reason that is not, or no longer, about a survivor. Reasons of rules that
    were not tried this time are only held against `known`, the ids of all rules."""
    tried = {found.rule.id: found for found in mutations}
    ids = set(known)
    for (rule, name), (_, line) in reasons.items():
        found = tried.get(rule)
        if rule not in ids:
            yield Problem("reason for a rule that does not exist", path, line, rule)
        elif found is None or found.problems:
            continue
        elif name not in {verdict.name for verdict in found.verdicts}:
            yield Problem(
                f"reason for a mutant that the rule does not have: {name}", path, line, rule
            )
        else:
            killer = next(v.killed_by for v in found.verdicts if v.name == name)
            if killer is not None:
                what = f"reason for a mutant that {killer} kills: {name}"
                yield Problem(what, path, line, rule, "delete it")


def must_be_excused(found: Mutation) -> bool:
    """Whether survivors must be killed or excused by a reason: from high on."""
    return found.level >= Level.HIGH


def unexplained(found: Mutation, reasons: Reasons) -> Iterator[Problem]:
    """One problem for all survivors that must have a reason and have none."""
    rule = found.rule
    left = [one for one in found.survivors if (rule.id, one.name) not in reasons]
    if left and must_be_excused(found):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        yield Problem(
            f"mutant survives: {left[0].name}{more}",
            rule.path,
            left[0].line,
            rule.id,
            "record rows that tell them from the rule, or write the reason in survivors.yml",
        )
