"""YAML read carefully: line numbers kept, duplicate keys and bombs refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from .problems import Problem
from .yamlloader import SAFE_LOADER

MAX_BYTES = 1 << 20
MAX_NODES = 50_000
MAX_DEPTH = 60

_SCALAR = yaml.ScalarNode

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document as plain values; `lines` maps key paths to line numbers from 1.

    `node` is the composed YAML node, with the place of each value, if it was asked for. `size` is
    how many values it has at most with all aliases written out.
    """

    data: Any
    lines: Mapping[KeyPath, int]
    line: int
    node: Any = None
    size: int = MAX_NODES

    def near(self, path: KeyPath) -> int:
        """The line of the longest beginning of `path` that stands in the document."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)


class _RefusedError(Exception):
    """A document that must not be used; carries what and where."""

    def __init__(self, what: str, line: int, hint: str = "") -> None:
        super().__init__(what)
        self.line = line
        self.hint = hint


def read_file(path: str) -> tuple[list[Document], list[Problem]]:
    """The documents of a file, and why others are not among them. Never raises for content."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return [], [Problem(f"cannot be read: {error.strerror or error}", path)]
    text = decoded(content, path)
    return ([], [text]) if isinstance(text, Problem) else read_text(text, path)


def decoded(content: bytes, path: str) -> str | Problem:
    """The text of a file without its byte order mark, or why it is not used."""
    if len(content) > MAX_BYTES:
        return Problem(f"larger than {MAX_BYTES >> 20} MiB", path, hint="split the file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Problem("not UTF-8", path, line, hint="save the file as UTF-8")


def read_text(text: str, path: str, nodes: bool = False) -> tuple[list[Document], list[Problem]]:
    """The documents of a text, with their `node` if asked. Those before a syntax error are kept."""
    documents: list[Document] = []
    problems: list[Problem] = []
    try:
        loader = SAFE_LOADER(text)
        number = 0
        while loader.check_node():
            node = loader.get_node()
            number += 1
            try:
                documents.append(_document(loader, node, text, number - 1, nodes))
            except _RefusedError as refused:
                problems.append(Problem(str(refused), path, refused.line, hint=refused.hint))
            except yaml.MarkedYAMLError as error:
                problems.append(_syntax(error, path))
    except yaml.MarkedYAMLError as error:
        problems.append(_syntax(error, path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problems.append(Problem(f"not YAML: {str(error).splitlines()[0]}", path))
    return documents, problems


def _syntax(error: yaml.MarkedYAMLError, path: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    what = error.problem or error.context or "syntax error"
    return Problem(f"not YAML: {what}", path, mark.line + 1 if mark else None)


def _document(loader: Any, node: Any, text: str, number: int, nodes: bool) -> Document:
    line = node.start_mark.line + 1
    sizes: dict[int, int] = {}
    size = 1 if isinstance(node, yaml.ScalarNode) else _size(node, sizes, set(), 0)
    if size > MAX_NODES:
        raise _RefusedError("expands to too many values (aliases)", line, "write the values out")
    if nodes:
        return Document(_value(loader, node), _Lines(text, number, node), line, node, size)
    return Document(_value(loader, node), _Lines(text, number), line, None, size)


def _size(node: Any, known: dict[int, int], above: set[int], depth: int) -> int:
    """How many values a list or mapping stands for with all aliases written out."""
    if id(node) in known:
        return known[id(node)]
    line = node.start_mark.line + 1
    if id(node) in above:
        raise _RefusedError("an alias that contains itself", line)
    if depth > MAX_DEPTH:
        raise _RefusedError(f"nested more than {MAX_DEPTH} deep", line)
    above.add(id(node))
    items = node.value
    total = 1 + len(items)
    if isinstance(node, yaml.MappingNode):
        _check_keys(items)
        total += len(items)
        items = [value for _, value in items]
    for item in items:
        if type(item) is not _SCALAR:
            total += _size(item, known, above, depth + 1)
    above.discard(id(node))
    known[id(node)] = total
    return total


def _check_keys(items: list[tuple[Any, Any]]) -> None:
    seen: dict[tuple[str, str], Any] = {}
    for key, _ in items:
        if type(key) is not _SCALAR:
            line = key.start_mark.line + 1
            raise _RefusedError("a key that is a list or a mapping", line)
        name = (key.tag, key.value)
        if name in seen:
            line = key.start_mark.line + 1
            what = f"duplicate key '{key.value}' (first on line {seen[name].start_mark.line + 1})"
            raise _RefusedError(what, line, "YAML keeps only one of them")
        seen[name] = key


_STR, _MAP, _SEQ = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))
_MERGE = "tag:yaml.org,2002:merge"


def _value(loader: Any, node: Any) -> Any:
    """What the loader makes of a node. Texts, lists and mappings are most of a rule and are made
    here, which is several times faster."""
    tag = node.tag
    if tag == _STR:
        return node.value
    # A call for each text would take longest.
    if tag == _SEQ:
        return [item.value if item.tag == _STR else _value(loader, item) for item in node.value]
    if tag == _MAP and _MERGE not in [key.tag for key, _ in node.value]:
        return {
            key.value if key.tag == _STR else _value(loader, key): value.value
            if value.tag == _STR
            else _value(loader, value)
            for key, value in node.value
        }
    return loader.construct_object(node, deep=True)


def plain_values(content: bytes | str) -> Any:
    """The one document of a YAML text that is trusted, as `yaml.load` makes it.

    Raises yaml.YAMLError for what is no YAML.
    """
    loader = SAFE_LOADER(content)
    node = loader.get_single_node()
    try:
        return None if node is None else _value(loader, node)
    except (TypeError, RecursionError):  # odd keys, aliases in a circle
        return loader.construct_document(node)


class _Lines(Mapping[KeyPath, int]):
    """Line numbers, found when the first is asked for: most rules have nothing to complain of."""

    __slots__ = ("_found", "_node", "_number", "_text")

    def __init__(self, text: str, number: int, node: Any = None) -> None:
        self._text = text
        self._number = number
        self._node = node
        self._found: dict[KeyPath, int] | None = None

    def _all(self) -> dict[KeyPath, int]:
        if self._found is None and self._node is not None:
            self._found = dict(_lines(self._node, ()))
        if self._found is None:
            loader = SAFE_LOADER(self._text)
            for _ in range(self._number + 1):
                loader.check_node()
                node = loader.get_node()
            self._found = dict(_lines(node, ()))
        return self._found

    def __getitem__(self, path: KeyPath) -> int:
        return self._all()[path]

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _lines(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from _lines(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _lines(item, (*path, index))
