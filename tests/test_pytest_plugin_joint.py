"""The pytest plugin has items for correlations and joins, and with an option for all mutants."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_mutation import ID
from test_mutation import repository as one_rule
from test_proof_correlations import (
    APPROVED,
    BASE,
    CORRELATIONS,
    MANIFEST,
    OTHER,
    PROCESS,
    ROWS,
    START,
    THEN,
    TWO_HOSTS,
    rule,
)

pytest_plugins = ["pytester"]
INI = "[pytest]\nmolehunt_recordings = recordings\nmolehunt_rules =\n    rules\n"
# Mutants of the two correlations that the recording does not kill.
LEFT = {
    TWO_HOSTS: ["type: value_count -> event_count", "group-by: name removed", "timespan doubled"],
    THEN: ["timespan halved", "timespan doubled"],
}


def repository(folder: Path, manifest: dict[str, Any]) -> None:
    """Two rules, two correlations over them, and one recording."""
    rules, scenario = folder / "rules", folder / "recordings" / "programs"
    rules.mkdir()
    scenario.mkdir(parents=True)
    (rules / "base.yml").write_text(rule(BASE, "a"), encoding="utf-8")
    (rules / "other.yml").write_text(rule(OTHER, "b"), encoding="utf-8")
    (rules / "correlations.yml").write_text(CORRELATIONS, encoding="utf-8")
    (scenario / "organisation.yml").write_text(APPROVED, encoding="utf-8")
    (scenario / "manifest.yml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    with (scenario / "a.results.log").open("w", encoding="utf-8") as log:
        for host, name, at, action in ROWS:
            row = {
                "name": "pack_molehunt_processes_linux",
                "hostIdentifier": host,
                "unixTime": START + at,
                "counter": 1,
                "columns": PROCESS | {"name": name},
                "action": action,
            }
            log.write(json.dumps(row) + "\n")


def ran(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Plain pytest in a process of its own."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_correlations_are_proven(pytester: pytest.Pytester) -> None:
    """Each has an item, which says what does not hold."""
    pytester.makefile(".ini", pytest=INI)
    repository(pytester.path, MANIFEST)
    done = ran(pytester, "-v")
    done.stdout.fnmatch_lines(
        ["*::A on Two Hosts is proven PASSED*", "*::A Then B is proven PASS*"]
    )
    assert done.ret == 0


def test_what_does_not_hold_of_a_correlation_fails_its_item_alone(
    pytester: pytest.Pytester,
) -> None:
    """As in `molehunt test`."""
    pytester.makefile(".ini", pytest=INI)
    changed = copy.deepcopy(MANIFEST)
    (entry,) = [one for one in changed["fires"] if one["rule"] == TWO_HOSTS]
    entry["hosts"] = ["first", "second"]
    repository(pytester.path, changed)
    done = ran(pytester, "-v")
    done.stdout.fnmatch_lines(
        ["*::A on Two Hosts is proven FAILED*", "*group *A*: the hosts are first, second, third*"]
    )
    done.assert_outcomes(failed=1, passed=8)


def test_the_option_mutates_correlations(pytester: pytest.Pytester) -> None:
    """A survivor of a high one fails its item; with a reason it does not; a reason that is not true
    fails too."""
    pytester.makefile(".ini", pytest=INI)
    repository(pytester.path, MANIFEST)
    without = ran(pytester, "-v")
    without.stdout.no_fnmatch_line("*mutants*")
    done = ran(pytester, "-v", "--molehunt-mutate", "-k", "mutants")
    done.stdout.fnmatch_lines(
        [
            "*::Program a [[]mutants[]] PASSED*",
            "*::A on Two Hosts [[]mutants[]] FAILED*",
            "*::A Then B [[]mutants[]] FAILED*",
            "*correlations.yml*mutant survives: *record rows*",
        ]
    )
    reasons = [
        {"rule": one, "why": "for the test", "mutants": names} for one, names in LEFT.items()
    ]
    survivors = pytester.path / "recordings" / "survivors.yml"
    survivors.write_text(yaml.safe_dump(reasons), encoding="utf-8")
    done = ran(pytester, "--molehunt-mutate", "-k", "mutants or survivors")
    assert done.ret == 0, done.outlines
    reasons[0]["mutants"] = [*reasons[0]["mutants"], "type: value_count -> median"]
    survivors.write_text(yaml.safe_dump(reasons), encoding="utf-8")
    done = ran(pytester, "--molehunt-mutate", "-k", "Two")
    done.stdout.fnmatch_lines(["*reason for a mutant that the rule does not have*median*"])
    assert done.ret == 1


def test_the_option_mutates_rules(pytester: pytest.Pytester) -> None:
    """A survivor of a rule fails its item, as in the command."""
    pytester.makefile(".ini", pytest=INI)
    one_rule(pytester.path, ["odd"], ["longer", "idle", "other", "local"])
    done = ran(pytester, "-v", "--molehunt-mutate", "-k", "mutants or survivors")
    done.stdout.fnmatch_lines(
        [
            "*reasons for survivors are sound PASSED*",
            "*::Odd Shell [[]mutants[]] FAILED*",
            f"*mutant survives: selection.Image|endswith: '/evensh' removed*{ID}*",
        ]
    )
    assert done.ret == 1
