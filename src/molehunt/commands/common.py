"""What several commands do alike: load rules and schedules, pick rules, show problems."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from molehunt.detectors.report.safe import printable
from molehunt.detectors.schedule.binding import Binder
from molehunt.detectors.schedule.config import load_schedule
from molehunt.detectors.schedule.queries import pack_schedule

from ..correlation import Correlation
from ..data import load_yaml
from ..exits import Exit
from ..problems import Problem, Severity, UsageError
from ..rule import Rule, RuleSet
from ..rulefiles import builtin_rules_path
from ..schema import tables

MAX_SHOWN = 50


def load(paths: Sequence[str] | None) -> RuleSet:
    """The rules of `--rules`, or those inside the package."""
    from ..ruleset import load_rules

    return load_rules(named(paths))


def named(paths: Sequence[str] | None) -> list[str]:
    """Where the rules are: `--rules`, or the folder inside the package."""
    return list(paths) if paths else [builtin_rules_path()]


def make_binder(config: Sequence[str], problems: list[Problem]) -> Binder:
    """The binder over the user's configuration and molehunt's own pack."""
    schedules = []
    for path in config:
        if not Path(path).exists():
            raise UsageError(f"--config: no such file: {path}")
        schedule, found = load_schedule([path])
        problems += found
        schedules.append(("config", schedule))
    schedules.append(("pack", pack_schedule(load_yaml("pack.yml"))))
    return Binder(schedules, tables())


def pick(rules: Iterable[Rule], wanted: str) -> list[Rule]:
    """The rules that a user means by an id, the beginning of one, a title, or a file."""
    return [rule for rule in rules if _is_meant(rule, wanted)]


def pick_correlations(correlations: Iterable[Correlation], wanted: str) -> list[Correlation]:
    """The same for correlations."""
    return [one for one in correlations if _is_meant(one, wanted)]


def _is_meant(rule: Rule | Correlation, wanted: str) -> bool:
    word = wanted.casefold()
    return bool(
        (len(word) >= 4 and rule.id.casefold().startswith(word))
        or rule.title.casefold() == word
        or (rule.path and Path(rule.path).name.casefold() in (word, word + ".yml"))
        or rule.path == wanted
    )


def show(problems: Iterable[Problem]) -> Exit:
    """Print problems to stderr, many alike only in part. Returns BAD_INPUT if any is an error."""
    listed = list(dict.fromkeys(problems))
    for problem in listed[:MAX_SHOWN]:
        print(printable(str(problem)), file=sys.stderr)
    if len(listed) > MAX_SHOWN:
        print(f"… and {len(listed) - MAX_SHOWN} more problems", file=sys.stderr)
    bad = any(problem.severity is Severity.ERROR for problem in listed)
    return Exit.BAD_INPUT if bad else Exit.DONE
