"""Each care that is taken in what the part in C is told is needed."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from typing import Any

import kit
import pytest
from test_judge import SOURCE, judging, lines_of, plain, row

from molehunt.detectors.matching import atoms, programs
from molehunt.detectors.matching.judge import has_judge
from molehunt.detectors.matching.machines import Machine

pytestmark = pytest.mark.skipif(
    not has_judge() and not os.environ.get("CI"), reason="the part in C was not built here"
)

Plant = Callable[[pytest.MonkeyPatch], None]


def unfolded(patch: pytest.MonkeyPatch) -> None:
    """Literals in the letter case of the rule."""
    patch.setattr(atoms, "fold", lambda text: text)


def first_of_several(patch: pytest.MonkeyPatch) -> None:
    """Of alternatives one taken for all of them."""
    right = programs._gate
    patch.setattr(
        programs,
        "_gate",
        lambda tree, prices, wanted=True: (
            (gate := right(tree, prices, wanted)) and frozenset([min(gate)])
        ),
    )


def gate_under_not(patch: pytest.MonkeyPatch) -> None:
    """A rule looked at only where what it excludes is there."""
    right = programs._gate
    patch.setattr(programs, "_gate", lambda tree, prices, _=True: right(tree, prices))


def letters_of_no_case(patch: pytest.MonkeyPatch) -> None:
    """Letters outside ASCII taken for themselves only."""
    patch.setattr(atoms, "_is_bytes", atoms._is_bytes.__wrapped__)
    patch.setattr(atoms, "_has_no_case", lambda _character: True)


def words_are_no_numbers(patch: pytest.MonkeyPatch) -> None:
    """Numbers passed over for keywords that they hold."""
    patch.setattr(atoms, "_no_number", lambda _value: True)


def one_number_less(patch: pytest.MonkeyPatch) -> None:
    """A range without its last number."""
    right = atoms._limits

    def limits(*told: Any) -> Any:
        found = right(*told)
        return found and (found[0], found[1] - 1, found[2])

    patch.setattr(atoms, "_limits", limits)


def only_in_ascii(patch: pytest.MonkeyPatch) -> None:
    """What a regular expression needs in ASCII asked of every text."""
    patch.setattr(atoms, "is_caseless", lambda *_: True)
    right = atoms.Column.literal

    def literal(self: atoms.Column, atom: int, text: str, kind: int) -> None:
        del self.wide[:]
        right(self, atom, text, kind)

    patch.setattr(atoms.Column, "literal", literal)


def one_character_more(patch: pytest.MonkeyPatch) -> None:
    """Longer texts needed than an expression needs."""
    right = atoms._least
    patch.setattr(atoms, "_least", lambda *told: right(*told) + 1)


def no_end(patch: pytest.MonkeyPatch) -> None:
    """Tables that do not tell what is at the end of a text."""
    right = programs.machine

    def machine(pattern: str, flags: str) -> Machine | None:
        found = right(pattern, flags)
        assert found is not None
        cells = array("H", found.table)
        for place in range(found.width - 1, len(cells), found.width):
            cells[place] = 0
        return found._replace(table=cells.tobytes())

    patch.setattr(programs, "machine", machine)


def no_end_later(patch: pytest.MonkeyPatch) -> None:
    """The same where they are gone through only if a verdict depends on it."""
    patch.setattr(programs, "NEARLY", 0)
    no_end(patch)


@pytest.mark.parametrize(
    ("fault", "item", "columns"),
    [
        (unfolded, "cmdline|contains: VNC", row(cmdline="xvncx")),
        (
            first_of_several,
            "cmdline|contains:\n        - zzzzzz\n        - vnc",
            row(cmdline="vnc"),
        ),
        (gate_under_not, "cmdline|contains: vnc", row(cmdline="sh")),
        (letters_of_no_case, "cmdline|contains: é", row(cmdline="É")),
        (words_are_no_numbers, "'9'", row(pid="97")),
        (one_number_less, "uid|lte: 1000", row()),
        (one_character_more, "cmdline|re: '[^/]{4,}$'", row(cmdline="abcd")),
        (one_character_more, "'|re': '^.*o{7}'", row(cwd="ooooooo")),
        (only_in_ascii, "cmdline|re|i: disk-x", row(cmdline="di\u017f\u212a-x")),
        (no_end, "cmdline|re: 'x[0-9]+vnc$'", row(cmdline="x11vnc")),
        (no_end, "cmdline|re: 'x[0-9]+\\b'", row(cmdline="x11")),
        (no_end_later, "cmdline|re: 'x[0-9]+vnc$'", row(cmdline="x11vnc")),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_faults_in_what_it_is_told_lose_findings(
    fault: Plant, item: str, columns: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each care that is taken is needed: without it, a finding is lost."""
    name = "keywords" if item.startswith("'") else "selection"
    listed = f"{name}:\n    {'- ' * (name == 'keywords')}{item}"
    negated = "not " * (fault is gate_under_not)
    rule = kit.rule(f"{listed}\ncondition: {negated}{name}", SOURCE)
    block = kit.block(plain(columns))
    assert lines_of(judging([rule], plain(columns)), block) == [(rule.id, 1)]
    fault(monkeypatch)
    assert not lines_of(judging([rule], plain(columns)), block)
