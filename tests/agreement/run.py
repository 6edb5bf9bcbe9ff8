"""Compare the engine with the evaluator on many random pairs: `run.py --pairs N [--seed S]`.

A pair is one rule that looks at one row. Exit code 1 on any disagreement.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agreement.rounds import Outcome, run

MAX_SHOWN = 5


def main() -> int:
    """Run rounds on all cores until the pairs are reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    started, total, seed = time.monotonic(), Outcome(), options.seed
    with ProcessPoolExecutor() as pool:
        while total.pairs < options.pairs:
            for outcome in pool.map(run, range(seed, seed + 64), chunksize=4):
                add(total, outcome)
            seed += 64
    print(
        f"{total.pairs} pairs, {total.matches / total.pairs:.1%} match, "
        f"{total.near_misses / total.pairs:.1%} miss by one edit, "
        f"{len(total.wrong)} disagreements, {time.monotonic() - started:.0f} s"
    )
    for kind in sorted(total.held | total.failed):
        print(f"  {kind}: {total.held[kind]} held, {total.failed[kind]} did not")
    for wrong in total.wrong[:MAX_SHOWN]:
        print(wrong)
    return 1 if total.wrong else 0


def add(total: Outcome, part: Outcome) -> None:
    """Add one round to the totals."""
    total.pairs += part.pairs
    total.matches += part.matches
    total.near_misses += part.near_misses
    total.explained += part.explained
    total.held += Counter(part.held)
    total.failed += Counter(part.failed)
    total.wrong += part.wrong


if __name__ == "__main__":
    sys.exit(main())
