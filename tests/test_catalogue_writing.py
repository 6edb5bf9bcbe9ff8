"""Rules as plain values become YAML in the house style, and come back as the same values."""

from datetime import date
from typing import Any

import kit
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from molehunt.catalogue.writing import Noted, write_rule
from molehunt.rulefiles import builtin_rules_path, rule_files

RULE = {
    "title": "Remote Access Tool - Example: A Host",
    "date": date(2026, 11, 25),
    "description": "Detects one thing.\nIt matters.\n",
    "detection": {
        "selection_name": Noted({"Image|endswith": ["\\a.exe", Noted("\\b.exe", "older")]}, "why"),
        "selection_either": [{"name": ["x"]}, {"path|contains": ["it's", "y"]}],
        "condition": "1 of selection_*",
    },
    "level": "low",
    "molehunt": {"identity": [], "platforms": ["linux"], "next_steps": ["Ask", "Read: it"]},
}
TEXT = r"""# Made.
title: 'Remote Access Tool - Example: A Host'
date: 2026-11-25
description: |
    Detects one thing.
    It matters.
detection:
    selection_name: # why
        Image|endswith:
            - '\a.exe'
            - '\b.exe' # older
    selection_either:
        - name: 'x'
        - path|contains:
              - "it's"
              - 'y'
    condition: 1 of selection_*
level: low
molehunt:
    identity: []
    platforms: [linux]
    next_steps:
        - Ask
        - 'Read: it'
"""


def test_the_house_style() -> None:
    """Order, quotes, comments and lists as in the rules written by hand."""
    assert write_rule(RULE, "Made.") == TEXT


def test_every_rule_of_the_package_comes_back() -> None:
    """Read again it is the same, but a list of one in the detection has become its value."""
    for path, name, _ in rule_files([builtin_rules_path()], []):
        with open(path, encoding="utf-8") as stream:
            for data in yaml.load_all(stream, kit.LOADER):
                again = kit.parsed(write_rule(data))
                if "detection" in data:
                    data["detection"] = without_lists_of_one(data["detection"])
                    again["detection"] = without_lists_of_one(again["detection"])
                assert again == data, name


def without_lists_of_one(value: Any) -> Any:
    """The same with the value in the place of a list that holds only it."""
    if isinstance(value, dict):
        return {key: without_lists_of_one(one) for key, one in value.items()}
    if isinstance(value, list):
        items = [without_lists_of_one(one) for one in value]
        return items[0] if len(items) == 1 else items
    return value


PRINTABLE = st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" ")
TEXTS = st.text(PRINTABLE)


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(TEXTS, min_size=2), min_size=1))
def test_any_printable_text_comes_back(lists: dict[str, list[str]]) -> None:
    """Quoted or not."""
    assert yaml.safe_load(write_rule({"detection": lists})) == {"detection": lists}
    assert yaml.safe_load(write_rule({"molehunt": lists})) == {"molehunt": lists}


@given(st.lists(st.text(PRINTABLE | st.sampled_from("\n\r\t")), min_size=1))
def test_lines_and_tabs_in_a_detection_come_back(texts: list[str]) -> None:
    """As escapes, in a list and alone."""
    written = write_rule({"detection": {"a": [*texts, "x"], "b": texts[0]}})
    assert yaml.safe_load(written)["detection"] == {"a": [*texts, "x"], "b": texts[0]}


def test_a_value_with_a_control_character_is_refused() -> None:
    """It would need escapes that no rule should hold."""
    with pytest.raises(ValueError, match="not printable"):
        write_rule({"title": "a\tb"})
    with pytest.raises(ValueError, match="not printable"):
        write_rule({"detection": {"a": "\x00"}})
