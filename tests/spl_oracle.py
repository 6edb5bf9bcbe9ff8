"""A small interpreter of the SPL that correlations are compiled to, after the raw JSON was read.

It is slow and knows only those commands. It shows that the search, read as Splunk documents it,
finds what it should; it is no Splunk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from molehunt.detectors.records import Record
from molehunt.detectors.values import as_text

Row = dict[str, Any]
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_AGGREGATE = re.compile(r"(min|max|sum)\((\w+)\) AS (\w+)")


class Null:
    """NULL: nothing is equal to it, more or less, and what is reckoned with it is NULL."""

    def _same(self, _: Any) -> Null:
        return self

    def _never(self, _: Any) -> bool:
        return False

    __add__ = __radd__ = __sub__ = __rsub__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _never  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return False


NULL = Null()


class Fields(dict[str, Any]):
    """The fields of an event; what is not there is NULL."""

    def __missing__(self, key: str) -> Any:
        return "" if key.startswith(("c_", "d_")) else NULL


def run(search: str, records: Sequence[Record]) -> list[Row]:
    """The rows that a search ends with, from the records as Splunk would have them."""
    *_, rest = search.partition(" | streamstats count AS once | ")
    rows: list[Row] = [_row(number, one) for number, one in enumerate(records)]
    for command in _split(rest, " | "):
        word, _, rest = command.partition(" ")
        rows = list(_COMMANDS[word](rows, rest))
    return rows


def run_events(search: str, events: Sequence[Any]) -> list[Row]:
    """The same from events as they were indexed, each with its number as `place`. Which events the
    first command takes by words is not looked at."""
    _, *commands = _split(search, " | ")
    rows: list[Row] = [
        Raw({"_raw": json.dumps(event), "_indextime": 0, "place": place})
        for place, event in enumerate(events)
    ]
    for command in commands:
        word, _, rest = command.partition(" ")
        if command == "streamstats count AS once":
            for number, row in enumerate(rows):
                row["once"] = number
            continue
        rows = list(_COMMANDS[word](rows, rest))
    return rows


class Raw(Fields):
    """The fields of an event of which nothing was extracted."""

    def __missing__(self, key: str) -> Any:
        return NULL

    def __or__(self, other: Any) -> Raw:
        return Raw({**self, **other})


def _row(number: int, record: Record) -> Row:
    row = Fields({f"c_{name}": as_text(value) for name, value in record.values.items()})  # type: ignore[arg-type]
    row |= {f"d_{name}": text for name, text in record.decorations.items()}
    row |= {"molehunt_name": record.query, "molehunt_action": record.action}
    row |= {"molehunt_host": record.host, "molehunt_counter": as_text(record.counter)}
    at = record.observed_at or 0
    row |= {"molehunt_time": at, "molehunt_count": -1 if record.counter is None else record.counter}
    row |= {"molehunt_row": json.dumps(dict(record.values)), "_indextime": at, "once": number}
    return row


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks that stand outside strings and brackets."""
    parts, depth, begin, place = [], 0, 0, 0
    while place < len(text):
        string = _STRING.match(text, place)
        if string:
            place = string.end()
            continue
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0 and text.startswith(mark, place):
            parts.append(text[begin:place])
            place += len(mark)
            begin = place
            continue
        place += 1
    return [*parts, text[begin:]]


@cache
def _expression(text: str) -> Callable[[Row], Any]:
    texts: list[str] = []

    def masked(found: re.Match[str]) -> str:
        texts.append(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL))
        return f"T({len(texts) - 1})"

    code = _STRING.sub(masked, text)
    for spl, python in (("AND", "and"), ("OR", "or"), ("NOT", "not")):
        code = re.sub(rf"\b{spl}\b", python, code)
    code = _by_value(re.sub(r"(?<![<>!])=", "==", code).replace(" . ", "+"))
    code = re.sub(r"\b([A-Za-z_]\w*)\(", r"f_\1(", code).replace("f_T(", "T(")
    words = r"(?<!')\b(?!f_|T\(|and\b|or\b|not\b|lambda\b|R_\b)([A-Za-z_]\w*)\b(?!')"
    code = re.sub(words, r"R_['\1']", code)
    code = re.sub(r"f_(and|or|not)\(", r"\1 (", code)
    made = compile(code, text[:60], "eval")
    known = {f"f_{name}": function for name, function in _FUNCTIONS.items()}
    known["T"] = lambda one: texts[one] if isinstance(one, int) else one
    return lambda row: eval(made, known | {"R_": row})


def _by_value(code: str) -> str:
    """What looks at each value of a field by itself: `mvmap` and `mvfilter`, whose expression
    becomes a function of a row that has this value only."""
    found = re.search(r"\b(mvmap|mvfilter)\(", code)
    if not found:
        return code
    end, depth = found.end(), 1
    while depth:
        depth += (code[end] == "(") - (code[end] == ")")
        end += 1
    inside = code[found.end() : end - 1]
    if found[1] == "mvmap":
        name, _, inside = inside.partition(", ")
    else:
        # One field only, Splunk says.
        (name,) = set(re.findall(r"\b(?!T\()([a-z]_\w+)\b(?!\()", inside))
    assert re.fullmatch(r"\w+", name), name
    kind = found[1].removeprefix("mv")
    made = f"(mv{kind}_(R_, T({name!r}), lambda R_: {_by_value(inside)}))"
    return code[: found.start()] + made + _by_value(code[end:])


def _values(row: Row, name: str) -> list[Any]:
    value = row[name]
    if value is NULL:
        return []
    return value if isinstance(value, list) else [value]


def _mvmap(row: Row, name: str, made: Callable[[Row], Any]) -> Any:
    each = (made(type(row)({**row, name: value})) for value in _values(row, name))
    return [one for one in each if one is not NULL] or NULL


def _mvfilter(row: Row, name: str, test: Callable[[Row], Any]) -> Any:
    return [v for v in _values(row, name) if test(type(row)({**row, name: v}))] or NULL


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _case(*given: Any) -> Any:
    return next((value for test, value in zip(*[iter(given)] * 2, strict=True) if test), NULL)


def _number(text: Any) -> Any:
    try:
        return float(text)
    except (TypeError, ValueError):
        return NULL


def _flat(*values: Any) -> Any:
    found = [value for value in values if value is not NULL]
    return found or NULL


def _json_extract(text: Any, path: str) -> Any:
    """A text, number or truth value as it is, an object or list as JSON."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return NULL
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            return NULL
        found = found[part]
    if found is None:
        return JSON_NULL[0]
    return json.dumps(found) if isinstance(found, (dict, list)) else found


# Splunk does not document what a JSON null becomes: tests try both.
JSON_NULL: list[Any] = [NULL]


def _to_mv(text: Any) -> Any:
    found = NULL if text is NULL else json.loads(text)
    if not isinstance(found, list):
        return NULL
    return [one if isinstance(one, str) else json.dumps(one) for one in found] or NULL


def _strptime(text: Any, form: str) -> Any:
    try:
        return datetime.strptime(text, form).astimezone(UTC).timestamp()
    except ValueError:
        return NULL


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "if": lambda test, yes, no: yes if test else no,
    "case": _case,
    "coalesce": lambda *values: next((one for one in values if one is not NULL), NULL),
    "isnull": lambda value: value is NULL,
    "isnotnull": lambda value: value is not NULL,
    "null": lambda: NULL,
    "true": lambda: True,
    "false": lambda: False,
    "match": lambda text, pattern: _pattern(pattern).search(text) is not None,
    "in": lambda value, *wanted: value in wanted,
    "len": len,
    "lower": str.lower,
    "tonumber": _number,
    "tostring": lambda value: value if value is NULL else str(value),
    "json_extract": _json_extract,
    "json_array_to_mv": _to_mv,
    "substr": lambda text, begin, length=None: (
        text[begin - 1 :] if length is None else text[begin - 1 : begin - 1 + length]
    ),
    "replace": lambda text, pattern, new: _pattern(pattern).sub(new, text),
    "strptime": _strptime,
    "sha256": lambda text: text,
    "mvappend": _flat,
    "mvmap_": _mvmap,
    "mvfilter_": _mvfilter,
    "mvcount": lambda values: (
        NULL if values is NULL else len(values) if isinstance(values, list) else 1
    ),
    "mvindex": lambda values, place: (
        NULL if values is NULL else values[place] if isinstance(values, list) else values
    ),
    "min": lambda *values: NULL if any(one is NULL for one in values) else min(values),
}


def _eval(rows: list[Row], rest: str) -> Iterator[Row]:
    made = [part.strip().partition("=") for part in _split(rest, ",")]
    for row in rows:
        # Each sees what those before it made.
        for name, _, text in made:
            row[name] = _expression(text)(row)
        yield row


def _where(rows: list[Row], rest: str) -> Iterator[Row]:
    test = _expression(rest)
    return (row for row in rows if test(row))


def _mvexpand(rows: list[Row], rest: str) -> Iterator[Row]:
    name = rest.removesuffix(" limit=0")
    for row in rows:
        values = row[name] if isinstance(row[name], list) else [row[name]]
        for value in values:
            yield type(row)({**row, name: value})


def _sort(rows: list[Row], rest: str) -> list[Row]:
    for part in reversed(rest.removeprefix("0 ").split(", ")):
        found = re.fullmatch(r"([-+])num\((\w+)\)", part)
        assert found, part
        rows = sorted(rows, key=lambda row: row[found[2]], reverse=found[1] == "-")
    return rows


def _asked(rest: str) -> tuple[list[Any], list[str]]:
    head, _, by = rest.partition(" BY ")
    asked = _AGGREGATE.findall(head)
    assert _AGGREGATE.sub("", head).strip() == "", head
    return asked, by.split()


def _key(row: Row, by: list[str]) -> tuple[Any, ...]:
    key = tuple(row[name] for name in by)
    # Splunk leaves out rows without one of them.
    assert not any(value is NULL or value == "" for value in key), (by, row)
    return key


def _together(kind: str, values: list[Any]) -> Any:
    there = [value for value in values if value is not NULL]
    return {"min": min, "max": max, "sum": sum}[kind](there) if there else NULL


def _stats(rows: list[Row], rest: str) -> Iterator[Row]:
    asked, by = _asked(rest)
    for key, members in _grouped(rows, by).items():
        row = Fields(zip(by, key, strict=True))
        for kind, name, made in asked:
            row[made] = _together(kind, [one[name] for one in members])
        yield row


def _eventstats(rows: list[Row], rest: str) -> list[Row]:
    asked, by = _asked(rest)
    for members in _grouped(rows, by).values():
        found = {made: _together(k, [one[name] for one in members]) for k, name, made in asked}
        for row in members:
            row.update(found)
    return rows


def _streamstats(rows: list[Row], rest: str) -> list[Row]:
    before = rest.startswith("current=f ")
    asked, by = _asked(rest.removeprefix("current=f "))
    so_far: dict[Any, Any] = {}
    for row in rows:
        key = _key(row, by)
        told = {}
        for place, (kind, name, made) in enumerate(asked):
            known = so_far.get((place, key), NULL)
            now = _together(kind, [known, row[name]])
            so_far[place, key] = now
            told[made] = known if before else now
        row.update(told)
    return rows


def _grouped(rows: list[Row], by: list[str]) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(_key(row, by), []).append(row)
    return found


def _rename(rows: list[Row], rest: str) -> Iterator[Row]:
    names = [part.split(" AS ") for part in rest.split(", ")]
    for row in rows:
        yield row | {new: row[old] for old, new in names}


_COMMANDS: dict[str, Callable[[list[Row], str], Any]] = {
    "eval": _eval,
    "where": _where,
    "mvexpand": _mvexpand,
    "sort": _sort,
    "stats": _stats,
    "eventstats": _eventstats,
    "streamstats": _streamstats,
    "rename": _rename,
}
