"""CSV exports with a header: each record becomes a flat document, which a reader then claims.

RFC 4180, as Splunk, Kibana and today's Fleet write it. Older Fleet wrote each cell as a JSON string
(frontend/utilities/convert_to_csv of fleetdm/fleet up to 4.2x): backslashes and quotes are escaped.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator

from .lines import Located, Parsed, mend
from .workspace_csv import exported

# Columns that say which export it is: by name those of Fleet, Splunk, Elastic, Okta and Entra;
# Google's are told by several at once.
_FLEET = frozenset(("host_display_name", "host_hostname"))
_SIGN_INS = {"actor.alternate_id", "Date (UTC)"}
_KNOWN = _FLEET | _SIGN_INS | {"_raw", "hostIdentifier", "osquery_meta.action"}
_PREFIXES = ("osquery.", "columns.")
_CELL = re.compile(r'("(?:[^"\\]|\\.)*"|[^",]*)(,|\Z)')
_JSON_ONLY = re.compile(rb'\\["\\]')
_BOM = b"\xef\xbb\xbf"
MAX_LINE_BYTES = 64 << 20


def header_of(head: bytes) -> list[str]:
    """The names in a first line of CSV; empty if it is not the header of a known export."""
    first = head.removeprefix(_BOM).lstrip(b"\r\n").partition(b"\n")[0]
    line = first.decode(errors="replace").strip()
    if not line or line[0] in "{[":
        return []
    try:
        names = next(csv.reader([line]), [])
    except csv.Error:
        return []
    known = any(name in _KNOWN or name.startswith(_PREFIXES) for name in names)
    return names if known or exported(names) else []


def has_json_cells(head: bytes, whole: bool = True) -> bool:
    r"""Whether cells are JSON strings: every line reads so, and some hold `\"` or `\\`.

    In RFC 4180 a lone backslash is itself, as in `C:\Users`, which is no JSON. Unless `head` is the
    whole file, its last line may be cut and does not count.
    """
    lines = head.removeprefix(_BOM).split(b"\n")
    lines = lines if whole else lines[:-1]
    if not any(_JSON_ONLY.search(line) for line in lines):
        return False
    return all(_json_cells(line.decode(errors="replace")) is not None for line in lines)


class Records:
    """The records of a CSV file in chunks of bytes; `line` and `offset` say how far it is."""

    def __init__(self, chunks: Iterable[bytes], json_cells: bool) -> None:
        self.line, self.offset = 1, 0
        self._chunks = chunks
        self._json_cells = json_cells

    def __iter__(self) -> Iterator[Located]:
        """Each record as a document with its place; an empty cell is left out but for Fleet, where
        all records are of one query."""
        texts = self._texts()
        rows = map(_cells, texts) if self._json_cells else csv.reader(texts)
        names: list[str] | None = None
        while True:
            offset, line = self.offset, self.line
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Located(offset, line, Parsed((), "", f"not CSV: {error}"))
                continue
            if not cells:
                continue
            if names is None:
                names = cells
                continue
            yield Located(offset, line, _record(names, cells))

    def _texts(self) -> Iterator[str]:
        rest = b""
        for chunk in self._chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield self._count(line + b"\n")
            if len(rest) > MAX_LINE_BYTES:  # the reader of CSV refuses it
                yield self._count(rest)
                rest = b""
        if rest:
            yield self._count(rest)

    def _count(self, line: bytes) -> str:
        begin = self.offset == 0
        self.line += line.count(b"\n")
        self.offset += len(line)
        return (line.removeprefix(_BOM) if begin else line).decode(errors="replace")


def _record(names: list[str], cells: list[str]) -> Parsed:
    if len(cells) > len(names):
        return Parsed((), "", "a record with more cells than the header")
    keep_empty = not _FLEET.isdisjoint(names)
    found = {name: cell for name, cell in zip(names, cells, strict=False) if cell or keep_empty}
    return Parsed((found,))


def _cells(text: str) -> list[str]:
    cells = _json_cells(text)
    if cells is None:
        raise csv.Error("a cell is no JSON string")
    return cells


def _json_cells(text: str) -> list[str] | None:
    """The cells of a line whose cells are JSON strings, or nothing at all; None if they are not."""
    text = text.strip("\r\n")
    found: list[str] = []
    place = 0
    while place <= len(text):
        cell = _CELL.match(text, place)
        if cell is None:
            return None
        try:
            found.append(mend(json.loads(cell[1])) if cell[1].startswith('"') else cell[1])
        except ValueError:
            return None
        if not cell[2]:
            return found
        place = cell.end()
    return found
