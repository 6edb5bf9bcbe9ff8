"""Which rules read a query is told without their conditions; it must be those that have fields."""

from __future__ import annotations

from functools import cache

import kit
import pytest

from molehunt.detectors.matching import fields
from molehunt.detectors.matching.concerns import Concerns
from molehunt.detectors.matching.fields import Layout, possible, resolve, subject_of
from molehunt.detectors.matching.texts import bits
from molehunt.detectors.records import Binding
from molehunt.rule import Rule
from molehunt.taxonomy import taxonomy

# Whose fields are missing from some queries.
ODD = [
    kit.rule(f"{parts}\ncondition: {condition}", "{category: process_creation, product: linux}")
    for parts, condition in (
        ("one:\n    ParentImage: null", "one"),
        ("one:\n    ParentImage: x", "one"),
        ("one:\n    ParentImage: x\ntwo:\n    Image: y", "one or two"),
        ("one:\n    ParentImage: x\ntwo:\n    Image: y", "two and not one"),
        ("one:\n    ParentImage: x\ntwo:\n    Image: y", "not (one or two)"),
        ("one:\n    ParentImage|exists: true", "not one"),
        ("one:\n    ParentImage|exists: true", "one"),
        ("one:\n    Image: ''", "one"),
    )
]


@cache
def bindings() -> list[Binding]:
    """Of every query of the pack."""
    binder = kit.binder()
    queries = [query for _, query in binder._all()][::3]
    found = [one for query in queries for one in binder.by_sql(f"pack_molehunt_{query.name}")]
    assert len(found) > 30
    return found


def slowly(rule: Rule, binding: Binding) -> bool:
    """Whether a condition of the rule can become true, worked out for each rule anew."""
    shape = binding.shape
    if shape is None or not fields._same_system(rule, binding):
        return False
    for table_map in taxonomy().maps(rule.category, rule.product, rule.service):
        subject = subject_of(table_map.table, shape, taxonomy())
        if subject is None:
            continue
        store = taxonomy().stores[table_map.store]
        places = {
            name: fields._place(name, table_map, subject, shape, taxonomy(), store.text)
            for name in rule.fields
        }
        if any(possible(condition, places, store).true for condition in rule.conditions):
            return True
    return False


def disagreements(rules: list[Rule]) -> list[tuple[str, str]]:
    """Rules and queries of which the layout says something else."""
    found = []
    for binding in bindings():
        layout = Layout(binding, taxonomy())
        for rule in rules:
            wanted = slowly(rule, binding)
            if layout.reads(rule) != wanted or (layout.fields(rule) is not None) != wanted:
                found.append((rule.title, binding.query))
    return found


def test_whether_a_rule_reads_a_query_is_whether_it_can_hold_there() -> None:
    """For shipped rules, and for those that could be taken for readers or not."""
    assert not disagreements([*kit.shipped().rules[::20], *ODD])


def test_a_shortcut_too_far_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields that are missing taken as if they were there."""
    monkeypatch.setattr(Layout, "_holdable", lambda *_: True)
    assert disagreements(ODD)


def test_the_rules_that_a_name_tells_are_those_that_read_it() -> None:
    """With their readings in the gates."""
    rules = [*kit.shipped().rules[::20], *ODD]
    binder = kit.binder()
    concerns = Concerns(rules, taxonomy(), binder)
    for name in sorted({one.query for one in bindings()})[::12]:
        told, _ = concerns.by_name(name)
        assert told >= 0
        reading = {
            index
            for index, rule in enumerate(rules)
            for one in binder.by_sql(name)
            if resolve(rule, one, taxonomy()) is not None
        }
        others = {
            index
            for index, rule in enumerate(rules)
            if any(
                table_map.store != "osquery"
                for table_map in taxonomy().maps(rule.category, rule.product, rule.service)
            )
        }
        assert set(bits(told)) == reading | others
