"""Rules and rows on which stores are known to differ, with what the rules match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

import kit

from molehunt.backends.compiling import compile_all
from molehunt.backends.model import Artefact, Target
from molehunt.backends.subjects import subjects
from molehunt.data import load_yaml
from molehunt.detectors.matching.plan import compile_plan
from molehunt.detectors.records import Record
from molehunt.detectors.tying import record_of
from molehunt.rule import RuleSet
from molehunt.taxonomy import taxonomy

MANIFEST = load_yaml("pack.yml")
PORTS = "{product: osquery, service: listening_ports}"
PROCESSES = "{product: osquery, service: processes}"


class Case(NamedTuple):
    """Rows of a query, and the places of those that each detection finds."""

    name: str
    logsource: str
    query: str
    rows: Sequence[dict[str, str]]
    found: dict[str, set[int]]

    def compiled(self, to: Target) -> list[Artefact]:
        """The queries of the detections, in their order."""
        rules = tuple(
            replace(kit.rule(one, self.logsource), id=str(UUID(int=number, version=4)))
            for number, one in enumerate(self.found)
        )
        made = compile_all(to, to.profile(), subjects(RuleSet(rules), MANIFEST, taxonomy()))
        found = [one for one in made if isinstance(one, Artefact)]
        assert len(found) == len(self.found)
        return found


def records(case: Case) -> tuple[Record, ...]:
    """The rows as they are read from a log."""
    any_rule = kit.rule("sel:\n    port: 1\ncondition: sel", PORTS)
    plan = compile_plan([any_rule], taxonomy(), kit.binder(), scan="")
    lines = [kit.line(row, case.query) for row in case.rows]
    read: list[Any] = list(plan.rows([kit.block(*lines)], lambda _: None))
    return tuple(record_of(row, plan.bound(row).binding, plan.bound(row).tie) for row in read)


def _is(field: str, wanted: str, negated: bool = False) -> str:
    return f"sel:\n    {field}: {wanted}\ncondition: {'not ' * negated}sel"


_NUMBERS = {
    _is("port|lt", "9"): {2, 3, 4},
    _is("port", "8"): {3},
    _is("port|gte", "9", negated=True): {2, 3, 4, 5, 6, 7},
}
_NAMES = ("A_b", "a%B", "axb", r"a\_b", r"C:\new", "c:\new", "it's", "a\nb", "", "é")
_TEXTS = {
    "'a_B'": {0},
    "'A%b'": {1},
    r"'a\\_b'": {3},
    r"'c:\\NEW'": {4},
    '"IT\'s"': {6},
    "'a?b'": {0, 1, 2, 7},
    "'*_*'": {0, 3},
    "'*'": {0, 1, 2, 3, 4, 5, 6, 7, 9},
    "'?'": {9},
    "'É'": {9},
    "''": {8},
    "null": {8},
    "['a_b', 'A%B']": {0, 1},
}
_SAID = ("ab", "ab\n", "a\nb", "AB", "", "it's ab")
_EXPRESSIONS = {
    "'ab$'": {0, 5},
    "'^a.b'": set[int](),
    "'a[^x]b'": {2},
    "'(?i)^ab$'": {0, 3},
    "'(?s)^a.b$'": {2},
    "'.*'": {0, 1, 2, 3, 5},
    r"'\sab'": {5},
    '"t\'s"': {5},
}

CASES = (
    Case(
        "numbers",
        PORTS,
        "pack_molehunt_listening_ports_linux",
        [{"port": text} for text in ("10", "9", "8.5", "08", "-1", "x", "", "0x1")],
        _NUMBERS,
    ),
    Case(
        "texts",
        PROCESSES,
        "pack_molehunt_processes_linux",
        [{"name": text} for text in _NAMES],
        {_is("name", wanted): places for wanted, places in _TEXTS.items()}
        | {
            _is("name", wanted, negated=True): set(range(len(_NAMES))) - places
            for wanted, places in _TEXTS.items()
        },
    ),
    Case(
        "expressions",
        PROCESSES,
        "pack_molehunt_processes_linux",
        [{"name": text} for text in _SAID],
        {_is("name|re", wanted): places for wanted, places in _EXPRESSIONS.items()},
    ),
)
