"""The targets that installed pySigma backends are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pkgutil import iter_modules

from ..model import Artefact, Engine, Packing, Profile, Target
from .compiling import compiler
from .plain import DIALECTS

PROFILE = Profile(
    name="rows",
    index="logs",
    column="columns_{}",
    query="name",
    names=("pack_molehunt_{}", "pack/molehunt/{}", "pack/Global/molehunt_{}"),
    action="action",
    host="hostIdentifier",
    counter="counter",
    decoration="decorations_{}",
)
# For these the field names are the log's own.
NESTED = Profile(
    name="nested",
    index="osquery",
    column="columns.{}",
    query="name",
    names=PROFILE.names,
    action="action",
    host="hostIdentifier",
    counter="counter",
    decoration="decorations.{}",
)


_NOT = ("molehunt", "test")  # our own osquery backend, and one of pySigma's tests


def installed() -> tuple[Target, ...]:
    """A target for each module of `sigma.backends`, but for those of no other product."""
    try:
        from sigma import backends
    except ImportError:
        return ()
    names = sorted(one.name for one in iter_modules(backends.__path__) if one.ispkg)
    return tuple(_target(name) for name in names if name not in _NOT)


def _target(name: str) -> Target:
    return Target(
        f"pysigma:{name}",
        f"pySigma's {name} backend",
        _profiles(name),
        compiler(name),
        package,
        _engines(name),
        own=False,
    )


def _profiles(name: str) -> tuple[Profile, ...]:
    """VictoriaLogs takes the log's objects apart itself; tables have columns as they are made."""
    if name == "victorialogs":
        return (NESTED,)
    return (PROFILE,) if name in DIALECTS else (PROFILE, NESTED)


def _engines(name: str) -> tuple[Engine, ...]:
    if name == "sqlite":
        from .sqlite import SQLITE

        return (SQLITE,)
    if name == "databricks":
        from .emulator import SPARK as IMITATION
        from .spark import SPARK

        return (IMITATION, SPARK)
    if name == "clickhouse":
        from .chdb import CHDB
        from .emulator import CLICKHOUSE

        return (CLICKHOUSE, CHDB)
    if name == "victorialogs":
        from .victorialogs import VICTORIALOGS

        return (VICTORIALOGS,)
    return ()


def package(artefacts: Sequence[Artefact], _packing: Packing) -> Mapping[str, bytes]:
    """One file: queries by rule, with the title."""
    found = {
        one.rule: {"title": one.title, "queries": one.query, "language": one.language}
        for one in artefacts
    }
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    return {"queries.json": (text + "\n").encode()}
