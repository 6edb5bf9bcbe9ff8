"""What several commands do alike: load rules and schedules, pick rules, show problems."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from molehunt.detectors.report.safe import printable

from ..correlation import Correlation
from ..data import load_yaml
from ..exits import Exit
from ..joins import Join
from ..problems import Problem, Severity, UsageError
from ..rule import Rule, RuleSet
from ..rulefiles import builtin_rules_path
from ..schema import tables
from ..taxonomy import taxonomy

if TYPE_CHECKING:
    from molehunt.detectors.enriching.inputs import Inputs
    from molehunt.detectors.findings.organisation import Organisation
    from molehunt.detectors.proof.manifest import Scenario
    from molehunt.detectors.schedule.binding import Binder
    from molehunt.detectors.schedule.queries import Schedule

MAX_SHOWN = 50
# Of warnings that say the same of different places.
MAX_ALIKE = 3


def load(paths: Sequence[str] | None) -> RuleSet:
    """The rules of `--rules`, or those inside the package."""
    from ..ruleset import load_rules

    return load_rules(named(paths))


def named(paths: Sequence[str] | None) -> list[str]:
    """Where the rules are: `--rules`, or the folder inside the package."""
    return list(paths) if paths else [builtin_rules_path()]


def make_binder(config: Sequence[str], problems: list[Problem]) -> Binder:
    """The binder over the user's configuration and molehunt's own pack."""
    from molehunt.detectors.schedule.binding import Binder
    from molehunt.detectors.schedule.kept import know_sql

    schedules = []
    for path in config:
        if not Path(path).exists():
            raise UsageError(f"--config: no such file: {path}")
        from molehunt.detectors.schedule.config import load_schedule

        schedule, found = load_schedule([path])
        problems += found
        schedules.append(("config", schedule))
    schedules.append(("pack", _own_schedule()))
    return know_sql(Binder(schedules, tables()))


@cache
def _own_schedule() -> Schedule:
    from molehunt.detectors.schedule.queries import pack_schedule

    return pack_schedule(load_yaml("pack.yml"))


def inputs_of(scenario: Scenario, problems: list[Problem]) -> Inputs:
    """What only an organisation has, as a scenario names it."""
    from molehunt.detectors.enriching.inputs import load_inputs

    return load_inputs(scenario.entities, scenario.mmdb, taxonomy().stores, problems)


def pick(rules: Iterable[Rule], wanted: str) -> list[Rule]:
    """The rules that a user means by an id, the beginning of one, a title, or a file."""
    return [rule for rule in rules if _is_meant(rule, wanted)]


def pick_correlations(correlations: Iterable[Correlation], wanted: str) -> list[Correlation]:
    """The same for correlations."""
    return [one for one in correlations if _is_meant(one, wanted)]


def choose(rules: Sequence[Rule], wanted: Sequence[str]) -> list[Rule]:
    """The rules that any of the words means, each once; all without words.

    Raises UsageError for a word that means none.
    """
    chosen: dict[str, Rule] = {}
    for word in wanted:
        found = pick(rules, word)
        if not found:
            raise UsageError(f"no rule with id, title or file '{word}'")
        chosen |= {rule.id: rule for rule in found}
    return list(chosen.values()) if wanted else list(rules)


def choose_all(
    ruleset: RuleSet, joins: Sequence[Join], wanted: Sequence[str]
) -> tuple[list[Rule], list[Correlation | Join]]:
    """The rules, and the correlations and joins, that any of the words means; all without words.

    Raises UsageError for a word that means none.
    """
    if not wanted:
        return list(ruleset.rules), [*ruleset.correlations, *joins]
    rules: dict[str, Rule] = {}
    correlations: dict[str, Correlation | Join] = {}
    for word in wanted:
        found = pick(ruleset.rules, word)
        others: list[Correlation | Join] = [*pick_correlations(ruleset.correlations, word)]
        others += [one for one in joins if word in (one.id, one.title)]
        if not found and not others:
            raise UsageError(f"no rule with id, title or file '{word}'")
        rules |= {rule.id: rule for rule in found}
        correlations |= {one.id: one for one in others}
    return list(rules.values()), list(correlations.values())


def organisation_of(scenario: Scenario, problems: list[Problem]) -> Organisation | None:
    """A scenario's approvals, if it has any."""
    if not scenario.organisation:
        return None
    from molehunt.detectors.findings.organisation_file import load_organisation

    organisation, found = load_organisation(scenario.organisation)
    problems += [problem for problem in found if problem.severity is Severity.ERROR]
    return organisation


def put(path: str | None, text: str) -> None:
    """Write a text to a file, or to stdout. Raises UsageError if the file cannot be written."""
    if path is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"--output: {path}: {error.strerror}") from None


def _is_meant(rule: Rule | Correlation, wanted: str) -> bool:
    word = wanted.casefold()
    return bool(
        (len(word) >= 4 and rule.id.casefold().startswith(word))
        or rule.title.casefold() == word
        or (rule.path and Path(rule.path).name.casefold() in (word, word + ".yml"))
        or rule.path == wanted
    )


def _few_of_a_kind(problems: Iterable[Problem]) -> tuple[list[Problem], dict[str, int]]:
    """All errors and the first warnings of each kind; how many more there are by kind."""
    shown: list[Problem] = []
    seen: Counter[str] = Counter()
    for problem in problems:
        seen[problem.what] += problem.severity is not Severity.ERROR
        if problem.severity is Severity.ERROR or seen[problem.what] <= MAX_ALIKE:
            shown.append(problem)
    return shown, {what: n - MAX_ALIKE for what, n in seen.items() if n > MAX_ALIKE}


def show(problems: Iterable[Problem]) -> Exit:
    """Print problems to stderr, many alike only in part. Returns BAD_INPUT if any is an error."""
    listed = list(dict.fromkeys(problems))
    shown, alike = _few_of_a_kind(listed)
    for problem in shown[:MAX_SHOWN]:
        print(printable(str(problem)), file=sys.stderr)
    if len(shown) > MAX_SHOWN:
        print(f"… and {len(shown) - MAX_SHOWN} more problems", file=sys.stderr)
    for what, number in alike.items():
        print(printable(f"… and {number} more: {what}"), file=sys.stderr)
    bad = any(problem.severity is Severity.ERROR for problem in listed)
    return Exit.BAD_INPUT if bad else Exit.DONE
