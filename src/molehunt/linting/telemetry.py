"""Tables, columns, systems and versions of osquery, and what the pack collects: MH301 to MH308."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from ..schema import Column, Table, tables
from ..taxonomy import ENRICHED_FIELDS, PSEUDO_FIELDS, taxonomy
from .items import Item
from .model import Finding
from .subject import Subject

if TYPE_CHECKING:
    from molehunt.detectors.records import Binding

    from ..rule import Rule

# By the number of a query and its table, the fields that it supplied.
Served: TypeAlias = dict[tuple[int, str, tuple[tuple[str, tuple[str, ...]], ...]], set[str]]
_ELSEWHERE = frozenset(("azure", "gcp", "okta"))


def check(subject: Subject) -> Iterator[Finding]:
    """Of a rule for `product: osquery`, and of any rule that promises to work here."""
    if subject.kind != "rule":
        return
    source = subject.logsource
    if source.get("product") == "osquery":
        yield from _osquery(subject, source.get("service"))
    elif subject.ours:
        yield from _mapped(subject)
    if subject.ours:
        yield from _needs(subject)
        yield from _fed(subject)


def _osquery(subject: Subject, service: str | None) -> Iterator[Finding]:
    if service is None:
        message = "`product: osquery` needs the table as `service`"
        yield subject.finding("MH301", subject.key("logsource", "product"), message)
        return
    table = tables().get(service)
    if table is None:
        hint = _close(service, tables())
        node = subject.node_at("logsource", "service")
        yield subject.finding("MH301", node, f"osquery has no table '{service}'", hint)
        return
    systems = _systems(subject)
    missing = sorted(systems - table.platforms)
    if missing:
        node = subject.node_at("logsource", "service")
        message = f"{service} does not exist on {', '.join(missing)}"
        yield subject.finding("MH303", node, message, _only(table.platforms))
    yield from _age(subject, subject.node_at("logsource", "service"), service, table)
    for item in subject.items:
        if not item.field or _is_given(item.field):
            continue
        column = _column(table, item.field)
        if column is None:
            names = [*table.columns, *taxonomy().joins(service)]
            message = f"{service} has no column '{item.field}'"
            yield subject.finding("MH302", item.key, message, _close(item.field, names))
            continue
        yield from _of_column(subject, item, f"{service}.{item.field}", column, systems)


def _of_column(
    subject: Subject, item: Item, name: str, column: Column, systems: frozenset[str]
) -> Iterator[Finding]:
    missing = sorted(systems - column.platforms) if column.platforms else []
    if missing:
        message = f"{name} does not exist on {', '.join(missing)}"
        yield subject.finding("MH303", item.key, message, _only(column.platforms))
    yield from _age(subject, item.key, name, column)


def _only(platforms: Iterable[str]) -> str:
    return f"only on {', '.join(sorted(platforms))}"


def _systems(subject: Subject) -> frozenset[str]:
    named = subject.block.get("platforms")
    return frozenset(map(str, named)) if isinstance(named, list) else frozenset()


def _age(subject: Subject, node: Any, name: str, what: Table | Column) -> Iterator[Finding]:
    needs = subject.block.get("needs")
    least = needs.get("min_version") if isinstance(needs, dict) else None
    if what.removed_in:
        message = f"{name} is gone since osquery {what.removed_in}"
        yield subject.finding("MH304", node, message)
    if isinstance(least, str) and what.since and _version(least) < _version(what.since):
        message = f"{name} exists since osquery {what.since}, min_version is {least}"
        yield subject.finding("MH304", node, message, f"write min_version: {what.since}")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _is_given(field: str) -> bool:
    return field in PSEUDO_FIELDS or field in ENRICHED_FIELDS or field.startswith("decorations.")


def _column(table: Table, field: str) -> Column | None:
    join, dot, name = field.rpartition(".")
    if not dot:
        return table.columns.get(name)
    declared = taxonomy().joins(table.name).get(join)
    return tables()[declared.table].columns.get(name) if declared else None


def _close(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"did you mean '{close[0]}'?" if close else ""


def _mapped(subject: Subject) -> Iterator[Finding]:
    source = subject.logsource
    maps = taxonomy().maps(source.get("category"), source.get("product"), source.get("service"))
    if not maps:
        message = "the taxonomy does not know this log source, so no query can feed the rule"
        node = subject.key("logsource")
        yield subject.finding("MH305", node, message, "see rules/taxonomy.yml")
        return
    if any(one.fields is None for one in maps):
        return
    known = sorted({name for one in maps for name in one.fields or {}})
    for item in subject.items:
        field = item.field
        if field and field not in known and not _is_given(field):
            message = f"no table behind this log source has '{field}'"
            yield subject.finding("MH306", item.key, message, _close(field, known))


def _needs(subject: Subject) -> Iterator[Finding]:
    needs = subject.block.get("needs")
    named = needs.get("tables") if isinstance(needs, dict) else None
    for index, name in enumerate(named if isinstance(named, list) else ()):
        if name not in tables() and name not in _others():
            node = subject.node_at("molehunt", "needs", "tables", index)
            message = f"osquery has no table '{name}'"
            yield subject.finding("MH307", node, message, _close(str(name), tables()))


def _fed(subject: Subject) -> Iterator[Finding]:
    category, product, service = map(subject.logsource.get, ("category", "product", "service"))
    if subject.made is None or product in _ELSEWHERE:
        return
    if taxonomy().maps(category, product, service) and not _has_query(subject):
        message = "no query of the pack supplies the fields that this rule needs"
        hint = "add them to a query in rules/pack.yml, then run `make pack`"
        yield subject.finding("MH308", subject.key("logsource"), message, hint)


def _has_query(subject: Subject) -> bool:
    """Whether a query of the pack supplies what the rule needs. If one has supplied all its fields
    to others of the log source, the rule itself need not be made."""
    source = subject.logsource
    key = (*map(source.get, ("category", "product", "service")), _systems(subject))
    served = _served().setdefault(key, {})
    wanted = {item.field for item in subject.items if item.field}
    named = any("fieldref" in item.modifiers for item in subject.items)
    if not named and any(wanted <= fields for fields in served.values()):
        return True
    rule = subject.rule
    return rule is not None and _is_served(rule, served)


def _is_served(rule: Rule, served: Served) -> bool:
    """The same of a rule. The queries that served others are asked first: they mostly serve it
    too."""
    from molehunt.detectors.matching.fields import resolve

    bindings = _bindings()
    first = [index for index, *_ in served]
    for index in dict.fromkeys((*first, *range(len(bindings)))):
        found = resolve(rule, bindings[index], taxonomy())
        if found is not None:
            fields = served.setdefault((index, found.table, found.where), set())
            fields |= {name for name in rule.fields if found.places[name].kind != "absent"}
            return True
    return False


@cache
def _served() -> dict[tuple[str | frozenset[str] | None, ...], Served]:
    """By log source and systems, the queries that served and the fields that they supplied."""
    return {}


@cache
def _others() -> frozenset[str]:
    """What stands for tables in logs that are not osquery's."""
    return frozenset(
        one.table for _, maps in taxonomy().sources for one in maps if one.store != "osquery"
    )


@cache
def _bindings() -> tuple[Binding, ...]:
    from molehunt.detectors.schedule.binding import Binder
    from molehunt.detectors.schedule.queries import pack_schedule

    from ..data import load_yaml

    binder = Binder([("config", pack_schedule(load_yaml("pack.yml")))], tables())
    return tuple(binder.declared())
