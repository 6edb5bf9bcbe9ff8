"""The same record in the many ways in which JSON can spell it, and broken ways too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

from .tables import OKTA


def line(
    rng: Random, query: str, rows: list[Mapping[str, Any]], plain: bool = False
) -> tuple[bytes, bool]:
    """One log line for the rows, and whether it is cleanly written (nothing broken or mended);
    `plain` for a first row as osqueryd writes it."""
    if query == OKTA:
        return _finish(rng, _okta(rng, rows[0]))
    document: dict[str, Any] = {
        "name": query,
        "hostIdentifier": f"lab-{rng.randint(1, 3)}",
        "unixTime": rng.choice((1795429320 + rng.randint(0, 99), str(1795429320))),
        "counter": rng.randint(0, 2),
        "epoch": 0,
        "decorations": {"hostname": "lab"},
    }
    if plain:
        document |= {"columns": rows[0], "action": rng.choice(("added", "added", "removed"))}
        wide = rng.random() < 0.8
        text = json.dumps(document, ensure_ascii=not wide, separators=(",", ":"))
        return text.encode("utf-8", "surrogatepass"), True
    return _finish(rng, document | _shape(rng, rows))


def _okta(rng: Random, row: Mapping[str, Any]) -> dict[str, Any]:
    """A System Log event: dotted names become nested objects, `target` a list of them."""
    document: dict[str, Any] = {
        "actor": {"alternateId": f"lab-{rng.randint(1, 3)}", "id": "00u"},
        "published": "2026-11-23T10:22:00.000Z",
    }
    for name, value in row.items():
        first, _, rest = name.partition(".")
        if not rest:
            document[first] = value if isinstance(value, str) else "user.session.start"
        elif first == "target":
            document[first] = [{rest: value}, {rest: "another"}][: rng.randint(1, 2)]
        else:
            document.setdefault(first, {})[rest] = value
    document.setdefault("eventType", "user.session.start")
    return document


def _finish(rng: Random, document: dict[str, Any]) -> tuple[bytes, bool]:
    if rng.random() < 0.5:
        items = list(document.items())
        rng.shuffle(items)
        document = dict(items)
    text = _write(rng, document)
    data = text.encode("utf-8", "surrogatepass")
    return _broken(rng, data) if rng.random() < 0.08 else (data, True)


def _shape(rng: Random, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    kind = rng.choice(("event", "event", "batch", "snapshot"))
    if kind == "batch":
        cut = rng.randint(0, len(rows))
        return {"diffResults": {"removed": rows[cut:], "added": rows[:cut]}}
    if kind == "snapshot":
        return {"snapshot": rows, "action": "snapshot"}
    return {"columns": rows[0], "action": rng.choice(("added", "added", "removed", "snapshot"))}


def _write(rng: Random, value: Any) -> str:
    style = rng.random()
    if style < 0.35:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if style < 0.5:
        return json.dumps(value, ensure_ascii=True)
    return _spell(rng, value)


def _spell(rng: Random, value: Any) -> str:
    space = rng.choice(("", " ", "\t"))
    if isinstance(value, Mapping):
        items = [f"{_text(rng, k)}{space}:{space}{_spell(rng, v)}" for k, v in value.items()]
        if items and rng.random() < 0.1:
            items.insert(0, items[-1])  # a duplicate key: the last one counts
        return "{" + f"{space},".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_spell(rng, item) for item in value) + "]"
    if isinstance(value, str):
        return _text(rng, value)
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.2:
        return f"{value}.0" if rng.random() < 0.5 else f"{value}e0"
    return json.dumps(value)


def _text(rng: Random, text: str) -> str:
    return '"' + "".join(_character(rng, c) for c in text) + '"'


def _character(rng: Random, character: str) -> str:
    code = ord(character)
    if character == "/" and rng.random() < 0.3:
        return "\\/"
    if code < 0x10000 and rng.random() < 0.06:
        digits = f"{code:04x}"
        return "\\u" + (digits.upper() if rng.random() < 0.5 else digits)
    return _dumped(character, rng.random() < 0.3)


@cache
def _dumped(character: str, ascii_only: bool) -> str:
    return json.dumps(character, ensure_ascii=ascii_only)[1:-1]


def _broken(rng: Random, data: bytes) -> tuple[bytes, bool]:
    kind = rng.randrange(7)
    if kind == 0:
        return data[: rng.randrange(len(data))].replace(b"\n", b""), False
    if kind == 1:
        place = rng.randrange(len(data))
        return data[:place] + b"\xff" + data[place:], False
    if kind == 2:
        return data + data, False
    if kind == 3:
        return data[: len(data) // 2] + data, False
    if kind == 4:
        return b"\x00\x00" + data, False
    if kind == 5:
        return b"\xef\xbb\xbf" + data, False
    return data + b"\r", False
