"""What the part in C looks for only where a rule asks: cheaper, and the same is found."""

from __future__ import annotations

import json
import os
from array import array
from random import Random
from typing import Any

import kit
import pytest
from test_judge import SOURCE, judging, lines_of, plain, row

from molehunt.detectors.matching import later, programs
from molehunt.detectors.matching.judge import has_judge
from molehunt.detectors.matching.later import put_off
from molehunt.detectors.matching.plan import reference_plan
from molehunt.taxonomy import taxonomy

pytestmark = pytest.mark.skipif(
    not has_judge() and not os.environ.get("CI"), reason="the part in C was not built here"
)

ITEMS = (
    "cmdline|contains: ' -c '", "cmdline|contains: sh", "cmdline|contains|cased: Sh",
    "cmdline|startswith: ba", "cmdline|endswith: ' -c '", "cmdline: '*c ?'", "cmdline: '*s?*-c*'",
    "cmdline|contains: é", "cmdline|re: 's[a-z] -c'", "cmdline|re|i: '(ba|z)sh.*(-c|-k)'",
    "cwd|contains: /home", "cwd: /home/ab", "cwd: '/home*b*'", "cwd|re: '/h[a-z]{3}/.b$'",
    "username|contains: a", "cmdline|re: '^.{3,9}$'",
    "cwd|contains: '\\'", "cmdline|contains: '\"'",
)  # fmt: skip


def test_what_is_common_is_looked_for_where_a_rare_thing_is() -> None:
    """Not what a rule is looked at for, nor what is as rare."""
    prices = [0.001, 0.5, 0.001, 0.5, 0.5]
    gates = [frozenset([0]), frozenset([3]), None]
    asked_by = {0: [0], 1: [0], 2: [0], 3: [0, 1], 4: [0, 2]}
    assert put_off(range(5), (), asked_by, gates, prices) == {1}
    assert put_off((), range(5), asked_by, gates, prices) == set()
    rarer = [0.0001, *prices[1:]]
    assert put_off((), range(5), asked_by, gates, rarer) == {1, 2}


@pytest.mark.parametrize("forced", [False, True])
def test_the_evaluator_says_the_same(forced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of texts with escapes, beyond ASCII, empty, of digits and too long to be judged."""
    if forced:
        monkeypatch.setattr(later, "ALONE", 0)
        monkeypatch.setattr(later, "SELDOM", 2)
    rng = Random(3 if os.environ.get("CI") else os.urandom(4))
    pieces = ("sh", "ba", "Sh", " -c ", "/home", "/x", "b", "é", '"', "\\", "\t", "\u212a", "\x01")

    def text(most: int = 7) -> str:
        return "".join(rng.choices(pieces, k=rng.randint(0, most)))

    def columns() -> dict[str, str]:
        long = rng.random() < 0.02
        return row(
            path=rng.choice(("/rare", "/sh", "/sh", "/sh")),
            cmdline="sh -c " * 4000 if long else rng.choice((text(), text(), "7", "bash -c x")),
            cwd=rng.choice(("/home/ab", text(3))),
            username=rng.choice(("ana", text(2))),
        )

    put = machines = matched = 0
    for _ in range(40):
        rules = [
            kit.rule(
                "rare:\n    path|endswith: /rare\n"
                + "".join(f"s{n}:\n    {one}\n" for n, one in enumerate(rng.sample(ITEMS, 3)))
                + "condition: rare and "
                + rng.choice(("1 of s*", "all of s*", "s0 and not s1", "not s0 or (s1 and s2)")),
                SOURCE,
            )
            for _ in range(5)
        ]
        # Where everything is put off, so are expressions that rows of the sample are asked for.
        sample = [plain(columns() | ({} if forced else {"path": "/sh"})) for _ in range(60)]
        plan = judging(rules, *sample)
        (made,) = plan.judge.programs.values()  # type: ignore[union-attr]
        put += sum(made.off)
        machines += sum(made.off[atom] for atom in array("I", made.machines)[::6])
        block = kit.block(*(plain(columns()) for _ in range(60)))
        found = lines_of(reference_plan(rules, taxonomy(), kit.binder()), block)
        assert lines_of(plan, block) == found
        matched += len(found)
    assert put > 100
    assert bool(machines) == forced
    assert matched > 1000


def test_a_program_that_puts_off_what_rules_are_looked_at_for_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They would not be looked at."""

    def all_of(wanted: Any, needing: Any, *_: Any) -> frozenset[int]:
        return frozenset(wanted) | frozenset(needing)

    monkeypatch.setattr(programs, "put_off", all_of)
    rule = kit.rule("s:\n    cmdline|contains: vnc\ncondition: s", SOURCE)
    with pytest.raises(ValueError, match="put off that cannot be"):
        judging([rule])


def test_of_several_sets_the_rarest_is_looked_for() -> None:
    """The others where one of it stands, whichever is rare in the sample."""
    rule = kit.rule("s:\n    cmdline|re: '(vnc|rfb) .*(port|once)$'\ncondition: s", SOURCE)
    reference = reference_plan([rule], taxonomy(), kit.binder())
    texts = (
        "vnc port",
        "vnc once",
        "rfb x once",
        "vnc xxxxxx",
        "xxxxxx port",
        "portvnc x",
        "xvnc é once",
    )
    block = kit.block(*(plain(row(cmdline=one)) for one in texts))
    for common in ("vnc x", "a port"):
        sample = [plain(row(cmdline=f"{common}{n}")) for n in range(50)]
        asked = judging([rule], *sample).judge._native.begin(block.data)  # type: ignore[union-attr]
        assert [json.loads(b'"%b"' % text) for _, text, _ in asked] == list(texts[:3] + texts[5:])
        assert lines_of(judging([rule], *sample), block) == lines_of(reference, block) == [
            (rule.id, line) for line in (1, 2, 3, 7)
        ]  # fmt: skip
