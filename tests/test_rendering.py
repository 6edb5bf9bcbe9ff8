"""JSON that is written sooner than `json` does, against `json`."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from molehunt.backends.rendering import indented, line, pretty

texts = st.text(alphabet='ab ,:\n\r\t\\"{}[]\x00\x1f\x7f\u2028é😀', max_size=8)
leaves = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), texts)
values = st.recursive(
    leaves,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(texts, below, max_size=3)),
    max_leaves=20,
)


@given(values)
@example({"a": [" \n  b", "  "], "b": {}, "c": []})
def test_it_is_what_json_writes(value: Any) -> None:
    """Byte for byte."""
    common: dict[str, Any] = {"sort_keys": True, "ensure_ascii": False}
    assert pretty(value) == f"{json.dumps(value, indent=2, **common)}\n".encode()
    assert line(value) == f"{json.dumps(value, separators=(',', ':'), **common)}\n".encode()
    assert indented(value) == json.dumps(value, indent=2)
    assert indented(value, sort_keys=True) == json.dumps(value, indent=2, sort_keys=True)


def test_what_orjson_does_not_write_json_does() -> None:
    """Large numbers, of which a rule of the user's own may have one."""
    assert line({"n": 10**30}) == b'{"n":1000000000000000000000000000000}\n'
    assert indented([10**30]) == "[\n  1000000000000000000000000000000\n]"
