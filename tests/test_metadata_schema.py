"""The quick check of the molehunt block says yes only where the full one does."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from molehunt.data import read_bytes
from molehunt.metadata import accepts, check_metadata
from molehunt.yamlfile import Document, read_file

RULES = Path(__file__).parents[1] / "rules"
SCHEMA = json.loads(read_bytes("rule.schema.json"))
FULL = Draft202012Validator(SCHEMA)
# fastjsonschema reads draft 7: what is newer it would pass over, and what stands beside `$ref`.
NEWER = {"dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems"}
NEWER |= {"prefixItems", "minContains", "maxContains", "$anchor", "$dynamicRef", "format"}
REMARKS = {"$ref", "description", "title"}

TEXTS = st.sampled_from(
    ("", "a", "a b", "B01", "B1", "linux", "bsd", "5.2.0", "5.2", "high", "mmdb_asn", "x\n", "é")
)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | TEXTS | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def blocks() -> st.SearchStrategy[dict[str, Any]]:
    """Blocks whose keys are mostly known, at each level, with values that are often of the right
    kind."""
    values = PLAIN | st.lists(TEXTS, max_size=3)
    need = SCHEMA["properties"]["needs"]["properties"]
    needs = st.dictionaries(st.sampled_from([*need, "x"]), values)
    member = SCHEMA["properties"]["members"]["items"]["properties"]
    members = st.lists(st.dictionaries(st.sampled_from([*member, "x"]), values), max_size=2)
    keys = st.sampled_from([*SCHEMA["properties"], "x"])
    return st.dictionaries(keys, values | needs | members, max_size=5)


@given(blocks() | PLAIN)
def test_the_quick_check_accepts_nothing_that_the_full_one_refuses(block: Any) -> None:
    """On blocks of all shapes, right and wrong."""
    if accepts(block):
        assert [error.message for error in FULL.iter_errors(block)] == []


def test_the_quick_check_accepts_every_rule_of_the_pack() -> None:
    """Else every start would import the full one."""
    found = 0
    for path in RULES.rglob("*.yml"):
        for document in read_file(str(path))[0]:
            if isinstance(document.data, dict) and "detection" in document.data:
                assert accepts(document.data["molehunt"]), path
                found += 1
    assert found > 700


def _within(schema: Any) -> Any:
    yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(inner, (dict, list)):
            yield from _within(inner)


def test_the_schema_uses_nothing_that_the_quick_check_passes_over() -> None:
    """Newer keywords, and keywords beside a reference."""
    for part in _within(SCHEMA):
        if isinstance(part, dict):
            assert not NEWER & part.keys()
            assert "$ref" not in part or part.keys() <= REMARKS


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"subject": "A b"}, "does not match"),
        ({"subject": date(2026, 1, 1)}, "is not of type 'string'"),
        ({"x": 1}, "'x' was unexpected"),
        ({"needs": {"min_version": "5"}}, "does not match"),
        ({"platforms": ["linux", "linux"]}, "non-unique"),
        ([], "is not of type 'object'"),
    ],
)
def test_what_is_refused_is_told_in_words(block: Any, said: str) -> None:
    """The words are those of jsonschema."""
    (problem,) = check_metadata(block, Document({}, {}, 1), "rule.yml", "id")
    assert said in problem.what


def test_good_rules_load_without_jsonschema() -> None:
    """It takes up to two seconds to import, which every command would pay that reads rules."""
    program = (
        "import sys; from molehunt.ruleset import load_rules\n"
        "found = load_rules(sys.argv[1:])\n"
        "assert found.rules and not found.problems, found.problems\n"
        "assert 'jsonschema' not in sys.modules"
    )
    folder = str(RULES / "kvm_over_ip")
    subprocess.run([sys.executable, "-c", program, folder], check=True)
