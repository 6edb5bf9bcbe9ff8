"""Configuration files as plain values with line numbers: osquery's JSON, and YAML."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from molehunt.problems import Problem

MAX_BYTES = 16 << 20
_CONTINUED = re.compile(r"\\\r?\n")
_COMMENT = re.compile(r"^[ \t\r\f\v]*(?:#|//)[^\n]*", re.MULTILINE)


class Lined(dict[Any, Any]):
    """A mapping that knows the line of its file on which it starts."""

    line: int | None = None


class Lines:
    """Line numbers of keys, looked up in the order of the file."""

    def __init__(self, text: str = "", joins: tuple[int, ...] = ()) -> None:
        self._text = text
        self._joins = joins
        self._at = 0

    def of(self, key: str) -> int | None:
        """The line of the next occurrence of `key` as a key; None if there is none."""
        pattern = re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:"
        match = re.compile(r"(?<!\\)" + pattern).search(self._text, self._at)
        if match is None:
            return None
        self._at = match.start()
        return self.at(match.start())

    def at(self, offset: int) -> int:
        """The line of a place in the text."""
        return self._text.count("\n", 0, offset) + 1 + bisect_right(self._joins, offset)


class Document(NamedTuple):
    """One value of a file. `lines` can find keys of a JSON document."""

    value: object
    path: str
    lines: Lines


def read(path: str) -> list[Document] | Problem:
    """The documents of a file: one of JSON, or any number of YAML."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        return Problem(what, path, hint="give an osquery configuration or a Fleet YAML file")
    if len(data) > MAX_BYTES:
        return Problem(f"longer than {MAX_BYTES >> 20} MiB", path, hint="is it a configuration?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Problem("not UTF-8", path, data.count(b"\n", 0, error.start) + 1, hint="convert it")
    try:
        return [*_documents(text, path)]
    except RecursionError:
        return Problem("nested too deeply", path, hint="is it a configuration?")
    except _Broken as broken:
        return broken.problem


class _Broken(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def _documents(text: str, path: str) -> Iterator[Document]:
    if not path.lower().endswith((".yml", ".yaml")) and _looks_like_json(text):
        yield _json(text, path)
    else:
        yield from _yaml(text, path)


def _looks_like_json(text: str) -> bool:
    return _COMMENT.sub("", text).lstrip()[:1] in ("{", "[", "")


def _json(text: str, path: str) -> Document:
    """Parse as osquery does: lines ended by a backslash are joined first, then lines that start
    with `#` or `//` are dropped (stripConfigComments in osquery/config/config.cpp). Of a repeated
    key the first counts, as with osquery's parser."""
    text, joins = _join_lines(text)
    text = _COMMENT.sub("", text)
    lines = Lines(text, joins)
    try:
        value = json.loads(text, strict=False, object_pairs_hook=_first_of_each)
    except json.JSONDecodeError as error:
        raise _Broken(
            Problem(
                f"not JSON: {error.msg[:1].lower() + error.msg[1:]}",
                path,
                lines.at(error.pos),
                hint="osquery would not load it either",
            )
        ) from None
    except ValueError as error:  # a number of thousands of digits
        raise _Broken(Problem(f"not JSON: {error}", path)) from None
    return Document(value, path, lines)


def _join_lines(text: str) -> tuple[str, tuple[int, ...]]:
    """The text with continued lines joined; the places in it where a line break was."""
    parts, joins, size = _CONTINUED.split(text), [], 0
    for part in parts[:-1]:
        size += len(part)
        joins.append(size)
    return "".join(parts), tuple(joins)


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        result.setdefault(key, value)
    return result


def _yaml(text: str, path: str) -> Iterator[Document]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Mappings know their line; keys and texts stay as they are."""

    def mapping(loader: Loader, node: yaml.MappingNode) -> Iterator[Lined]:
        data = Lined()
        data.line = node.start_mark.line + 1
        yield data
        loader.flatten_mapping(node)
        data.update(loader.construct_mapping(node))

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    try:
        for value in yaml.load_all(text, Loader):
            yield Document(value, path, Lines())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).split("\n")[0]
        line = mark.line + 1 if mark else None
        raise _Broken(Problem(f"not YAML: {what}", path, line, hint="correct the file")) from None
    except ValueError as error:  # an impossible date, say
        raise _Broken(Problem(f"not YAML: {error}", path, hint="correct the file")) from None
