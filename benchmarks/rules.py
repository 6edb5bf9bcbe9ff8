"""Choose rule packs from a checkout of SigmaHQ/sigma: `rules.py CHECKOUT FOLDER LOG`.

Copies into FOLDER/all, FOLDER/492 and FOLDER/50th. `all` are the rules that can match on the
queries of the generated log, without those that match more than 0.08 % of it (a few hunting rules
would otherwise make most of the matches); rules with no selective literal stay in. `492` are all of
those for Linux, macOS, network and DNS, and others drawn with a fixed seed; `50th` is one in fifty
of `all`. Figures in the README are for commit 8eaafff1f2845a696050e05e72ba1140ee190698. Nothing of
SigmaHQ's is part of this project.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

from molehunt.commands.common import make_binder
from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.reading.parts import Part, part_blocks
from molehunt.rule import Rule
from molehunt.ruleset import load_rules
from molehunt.taxonomy import taxonomy

SAMPLE_BYTES = 40 << 20
MOST = 0.0008
SMALL = 492
FEW = 50
FIRST = ("dns_query", "network_connection")


def choose(checkout: str, log: str) -> tuple[list[Rule], list[Rule], list[Rule]]:
    """The rules of `all`, those of `492`, and those of `50th`."""
    rules = load_rules(sorted(str(path) for path in Path(checkout).glob("rules*"))).rules
    plan = compile_plan(rules, taxonomy(), make_binder([], []))
    sample = Part(log, 0, SAMPLE_BYTES)
    matched = Counter(match.rule.id for match in plan.matches(part_blocks(sample, print), print))
    most = MOST * plan.counts.lines
    active = [
        rule
        for rule, clauses in zip(rules, plan.clauses, strict=True)
        if clauses is not None and matched[rule.id] <= most
    ]
    small = [r for r in active if r.product in ("linux", "macos") or r.category in FIRST]
    rest = [rule for rule in active if rule not in small]
    random.Random(1).shuffle(rest)
    return active, small + rest[: SMALL - len(small)], active[::FEW]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout")
    parser.add_argument("folder", type=Path)
    parser.add_argument("log")
    options = parser.parse_args()
    chosen = choose(options.checkout, options.log)
    for name, rules in zip(("all", "492", "50th"), chosen, strict=True):
        folder = options.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, rule in enumerate(rules):
            shutil.copy(rule.path, folder / f"{number:04}_{Path(rule.path).name}")
        print(f"{folder}: {len(rules)} rules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
