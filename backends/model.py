"""What every target takes and gives, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from molehunt.correlation import Correlation
    from molehunt.detectors.matching.fields import FieldMap
    from molehunt.detectors.records import Record
    from molehunt.rule import Rule


class Evidence(IntEnum):
    """How well it is known that a compiled query means what the rule means.

    `ENGINE`: it ran on the real engine over the recordings and found the same records. `EMULATOR`:
    the same on something that imitates the engine. `PARSER`: the engine's own parser accepts it.
    `SCHEMA`: its file has the form that the product documents. `NONE`: nothing is known.
    """

    NONE = 0
    SCHEMA = 1
    PARSER = 2
    EMULATOR = 3
    ENGINE = 4


class Unsayable(Exception):
    """What a store cannot say exactly. `code` is one of `backends/reviewed.yml`."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(frozen=True, slots=True)
class Bound:
    """One way in which a rule reads what the pack collects.

    `queries` are names of molehunt's pack as in `rules/pack.yml`, with the system behind them
    (`processes_linux`); on all of them the rule reads the same columns the same way, which `fields`
    tells. A log that is not osquery's (Okta) has no query names.
    """

    queries: tuple[str, ...]
    fields: FieldMap


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compiled: a rule with the ways it reads the pack, or a correlation with its members.

    A record matches a rule if for one of the `bounds` it comes from one of its queries, has the
    values of `fields.where`, and meets one of `rule.conditions`; rows with the action `removed`
    count only if `removed` is set. `members` are in the order of `Correlation.rules`.
    """

    rule: Rule | Correlation
    bounds: tuple[Bound, ...] = ()
    members: tuple[Subject, ...] = ()
    removed: bool = False


_NO_COLUMNS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Profile:
    """How one store spells an osquery row.

    `column` and `decoration` are patterns with `{}` for the name; `columns` are those kept under
    another name. `query` is the field with the query's name, `names` are the patterns under which
    a query of the pack is logged there (`pack_molehunt_{}`). `index` is where the rows are. A part
    of the envelope that the store does not keep is "".
    """

    name: str
    index: str
    column: str
    query: str
    names: tuple[str, ...]
    action: str
    host: str
    counter: str = ""
    time: str = ""
    decoration: str = ""
    columns: Mapping[str, str] = field(default_factory=lambda: _NO_COLUMNS)


@dataclass(frozen=True, slots=True)
class Artefact:
    """A compiled rule or correlation.

    `query` is what the engine runs, `body` the object that the product imports; both are JSON-able.
    `language` names what `query` is written in (`query_dsl`, `esql`, `sql`, `kql`, ...). The
    query of a correlation is `{"query": text, "group": [columns of its answer]}`, that of a rule in
    `esql` has no group and answers with the ids of its events.
    `differences` are codes of `backends/reviewed.yml`: ways in which the store is known to answer
    otherwise than the rule.
    """

    rule: str
    title: str
    target: str
    profile: str
    language: str
    query: Any
    body: Any
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a target cannot say what a rule says. `code` is one of `backends/reviewed.yml`."""

    rule: str
    title: str
    target: str
    profile: str
    code: str
    reason: str


Compiled: TypeAlias = Artefact | Refusal


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said to one artefact: the places (in the list that was loaded) of the records
    that it found, of a correlation the groups (values of `group-by`, case folded), or an error.
    `accepted` means that it only parsed the query."""

    rule: str
    found: frozenset[int] | None = None
    groups: frozenset[tuple[str, ...]] | None = None
    accepted: bool = False
    error: str = ""


class Session(Protocol):
    """A running engine."""

    def load(self, records: Sequence[Record]) -> None:
        """Give it the records, as the store of the profile would hold them. Once, before asking."""

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """Run each query; one answer each, in order. Errors are answers, not exceptions."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Something that runs or reads compiled queries.

    `missing()` says what is needed to have it here, or "" if it can be had. `open(profile)` starts
    it, or connects, and cleans up afterwards. `evidence` is what its agreement is worth.
    """

    name: str
    evidence: Evidence
    missing: Callable[[], str]
    open: Callable[[Profile], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Packing:
    """What packages need beside the artefacts: the pack's manifest (`rules/pack.yml`), all rules
    and correlations by id, the package version, and the organisation's file if one was given."""

    manifest: Mapping[str, Any]
    rules: Mapping[str, Rule | Correlation]
    version: str
    organisation: Any = None


@dataclass(frozen=True, slots=True)
class Target:
    """One product and how rules get there.

    `compile(subject, profile)` is pure, and `own` says that no code beyond molehunt's decides what
    comes out. `package(artefacts, packing)` gives files by their name
    below the output folder. `profiles` has the default first.
    """

    name: str
    title: str
    profiles: tuple[Profile, ...]
    compile: Callable[[Subject, Profile], Compiled]
    package: Callable[[Sequence[Artefact], Packing], Mapping[str, bytes]]
    engines: tuple[Engine, ...] = ()
    own: bool = True

    def profile(self, name: str = "") -> Profile:
        """The profile of that name, or the default. Raises KeyError with the names there are."""
        for one in self.profiles:
            if name in ("", one.name):
                return one
        raise KeyError(", ".join(one.name for one in self.profiles))
