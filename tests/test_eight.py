"""Texts looked at in eight places at once, where the processor does that well, and one by one."""

from __future__ import annotations

import os
from random import Random
from types import SimpleNamespace

import kit
import pytest
from test_judge import SOURCE, judging, lines_of, plain, row

from molehunt.detectors.matching import judge
from molehunt.detectors.matching.judge import has_judge
from molehunt.detectors.native import part_in_c
from molehunt.detectors.values import fold

pytestmark = pytest.mark.skipif(
    not has_judge() and not os.environ.get("CI"), reason="the part in C was not built here"
)

LETTERS = "abAB -/é\u212a"


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor without the instructions."""
    part = part_in_c()
    assert part is not None
    made = SimpleNamespace(Judge=lambda seed: part.Judge(seed, True))
    monkeypatch.setattr(judge, "part_in_c", lambda: made)


@pytest.mark.parametrize("plainly", [False, True])
def test_what_stands_where_is_found(plainly: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Literals of one to nine bytes, in texts of every length around eight, at every place of them;
    those of a processor that looks at eight places are those of one that looks at one."""
    if plainly:
        one_by_one(monkeypatch)
    rng = Random(5 if os.environ.get("CI") else os.urandom(4))

    def text(least: int, most: int) -> str:
        return "".join(rng.choices(LETTERS, k=rng.randint(least, most)))

    holds = {
        "contains": lambda text, part: part in text,
        "startswith": lambda text, part: text.startswith(part),
        "endswith": lambda text, part: text.endswith(part),
    }
    matched = 0
    for _ in range(12):
        wanted = [(rng.choice(("contains", "contains", *holds)), text(1, 9)) for _ in range(60)]
        rules = [
            kit.rule(f"s:\n    cmdline|{how}: '{part}'\ncondition: s", SOURCE).but(id=str(number))
            for number, (how, part) in enumerate(wanted)
        ]
        texts = [text(0, 40) for _ in range(80)]
        texts += ["b" * before + part for before in range(18) for _, part in wanted[:4]]
        # Rare ones are looked for at once only if the sample has none of them.
        plan = judging(rules, *(plain(row(cmdline=text(0, 20))) for _ in range(9)))
        block = kit.block(*(plain(row(cmdline=one)) for one in texts))
        expected = [
            (rule.id, line)
            for line, one in enumerate(texts, 1)
            for rule, (how, part) in zip(rules, wanted, strict=True)
            if holds[how](fold(one), fold(part))
        ]
        assert sorted(lines_of(plan, block)) == sorted(expected)
        matched += len(expected)
    assert matched > 2000
