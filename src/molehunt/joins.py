"""Joins as plain values: rules tied together across hosts or over a way, in `rules/joins/*.yml`.

What Sigma's correlations cannot say stands here and not in a file that looks like Sigma.
docs/joins.md says what a join means, `rules/join.schema.json` what its file may hold.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

from .data import NotYamlError, builtin_rules_path, read_bytes, yaml_of
from .levels import Level
from .problems import Problem
from .rule import Rule, RuleSet
from .rulefiles import JOINS

OWN, NEAR, ROUTER, STOP = "own", "near", "router", "stop"
LATITUDE, LONGITUDE = "source.geo.location.lat", "source.geo.location.lon"
RADIUS, STATED_BY = "molehunt.geo.radius_km", "molehunt.geo.stated_by"
NETWORK = "source.as.number"


class Travel(NamedTuple):
    """Beyond which a journey is too fast: at least so many kilometres, faster than so many in an
    hour."""

    kilometres: float
    speed: float


@dataclass(frozen=True, slots=True)
class Join:
    """One join. `uses` maps a rule id to what its rows tell (`own`, `near`, `router`, `stop`) and
    the field that tells it; `levels` are (number of hosts or journeys, level), ascending, by all
    hosts and, where one is of 0, also by those that stay; `days` how many days together it takes.
    `homes` are the networks that home routers have. With `travel` it is about journeys and not
    about days."""

    id: str
    title: str
    description: str
    status: str
    references: tuple[str, ...]
    techniques: tuple[str, ...]
    false_positives: tuple[str, ...]
    subject: str
    next_steps: tuple[str, ...]
    levels: tuple[tuple[int, Level], ...]
    days: int
    uses: Mapping[str, tuple[str, str]]
    path: str
    travel: Travel | None = None
    homes: tuple[str, ...] = ()

    @property
    def lines(self) -> Mapping[tuple[str | int, ...], int]:
        """None are kept: a problem of a join names its file."""
        return {}

    @property
    def asks_who_stays(self) -> bool:
        """Whether hosts that spend days elsewhere do not count in full: a level is of 0 hosts."""
        return self.levels[0][0] == 0

    def level(self, hosts: int) -> Level:
        """The level for so many hosts, or journeys."""
        return max((number, level) for number, level in self.levels if number <= hosts)[1]


def load_joins(paths: Sequence[str], rules: Sequence[Rule]) -> tuple[list[Join], list[Problem]]:
    """The joins below the rule folders, and what is wrong with those left out."""
    joins: list[Join] = []
    problems: list[Problem] = []
    for path in sorted(_files(paths)):
        try:
            data = yaml_of(path.read_text(encoding="utf-8").encode())
        except (OSError, UnicodeDecodeError, NotYamlError) as error:
            problems.append(Problem(f"cannot be read: {error}", str(path)))
            continue
        found = list(_problems(data, str(path), rules))
        problems += found
        if not found:
            joins.append(_join(data, str(path), rules))
    return joins, problems


def silenced(ruleset: RuleSet, joins: Sequence[Join]) -> RuleSet:
    """The rules, those that serve a join silent: they make no finding of their own."""
    used = {rule for one in joins for rule in one.uses}
    return replace(
        ruleset,
        rules=tuple(r.but(silent=True) if r.id in used else r for r in ruleset.rules),
    )


def _files(paths: Sequence[str]) -> Iterator[Path]:
    for path in paths:
        for place, _, names in os.walk(path):
            if os.path.basename(os.path.abspath(place)) == JOINS:
                yield from (Path(place, name) for name in names if fnmatchcase(name, "*.y*ml"))


def _problems(data: Any, path: str, rules: Sequence[Rule]) -> Iterator[Problem]:
    # Our own files are checked by the tests; the checker takes long to import.
    if not Path(path).resolve().is_relative_to(Path(builtin_rules_path()).resolve()):
        found = list(check_join(data, path))
        yield from found
        if found:
            return
    known = {rule.called: rule for rule in rules}
    for kind, use in _places(data):
        rule = known.get(use["rule"])
        if rule is None:
            what = f"join names a rule that is not loaded: {use['rule']}"
            yield Problem(what, path, rule=data["id"], hint="a join refers to rules by name")
            continue
        for field in (use["field"], *((LATITUDE, LONGITUDE) if kind == STOP else ())):
            if field not in rule.fields:
                what = f"join asks for a field that is not in rule {use['rule']}: {field}"
                yield Problem(what, path, rule=data["id"])


def check_join(data: Any, path: str) -> Iterator[Problem]:
    """How the parsed file breaks the schema."""
    import jsonschema

    schema = json.loads(read_bytes("join.schema.json"))
    plain = json.loads(json.dumps(data, default=str))
    hint = "see docs/joins.md"
    for error in jsonschema.Draft202012Validator(schema).iter_errors(plain):
        place = ".".join(map(str, error.path))
        yield Problem(f"{place}: {error.message}" if place else error.message, path, hint=hint)
        return
    for key in plain["levels"]:
        if not key.isdigit():
            yield Problem(f"levels: '{key}' is no number of hosts", path, hint=hint)
    for text in plain.get("join", {}).get("homes", ()):
        try:
            ip_network(text)
        except ValueError:
            what = f"join.homes: '{text}' is no network"
            yield Problem(what, path, hint="write it like 192.168.0.0/16")
    least = "1" if "travel" in plain else "2"
    if least not in plain["levels"]:
        yield Problem(f"levels: {least} is missing", path, hint=hint)


def _places(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    if "travel" in data:
        yield from ((STOP, place) for place in data["travel"]["stops"])
        return
    join = data["join"]
    yield from ((kind, join[kind]) for kind in (OWN, NEAR) if kind in join)
    for place in join[ROUTER]:
        yield ROUTER, place


def _join(data: Mapping[str, Any], path: str, rules: Sequence[Rule]) -> Join:
    known = {rule.called: rule.id for rule in rules if rule.called}
    tags = [str(tag) for tag in data.get("tags") or ()]
    travel = data.get("travel")
    levels = sorted((int(n), Level[str(level).upper()]) for n, level in data["levels"].items())
    return Join(
        id=str(data["id"]),
        title=data["title"],
        description=data["description"],
        status=data["status"],
        references=tuple(data.get("references") or ()),
        techniques=tuple(t[7:].upper() for t in tags if t.startswith("attack.t")),
        false_positives=tuple(data.get("falsepositives") or ()),
        subject=data["molehunt"]["subject"],
        next_steps=tuple(data["molehunt"].get("next_steps") or ()),
        levels=tuple(levels),
        days=0 if travel else data["join"]["days"],
        uses={known[p["rule"]]: (kind, p["field"]) for kind, p in _places(data)},
        path=path,
        travel=Travel(travel["kilometres"], travel["kilometres_per_hour"]) if travel else None,
        homes=() if travel else tuple(data["join"].get("homes") or ()),
    )
