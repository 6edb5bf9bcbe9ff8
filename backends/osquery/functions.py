"""osquery's own SQL functions and collations for Python's SQLite, as strict as osquery.

Sources: osquery/sql/sqlite_string.cpp, sqlite_network.cpp and sqlite_version.cpp in
https://github.com/osquery/osquery. `regex_match` there is `std::regex` over bytes.
"""

from __future__ import annotations

import re
import sqlite3
from functools import lru_cache
from ipaddress import ip_address, ip_network

_LONGEST_PATTERN = 256
# What Python reads and ECMAScript does not, and the other way round.
_NOT_COMMON = re.compile(r"\(\?[^:=!]|\\[AZzGpPQE]|[*+?}]\+|\[\[[:.=]")
_DOLLAR = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)


def add_functions(database: sqlite3.Connection) -> None:
    """Register the functions and collations."""
    database.create_function("regex_match", 3, regex_match, deterministic=True)
    database.create_function("in_cidr_block", 2, in_cidr_block, deterministic=True)
    database.create_function("split", 3, split, deterministic=True)
    database.create_function("concat", -1, concat, deterministic=True)
    database.create_function("concat_ws", -1, concat_ws, deterministic=True)
    database.create_function("version_compare", 2, version_compare, deterministic=True)
    for name in ("version", "version_arch", "version_dpkg", "version_rhel"):
        database.create_collation(name, version_compare)


def regex_match(text: object, pattern: object, index: object) -> str | None:
    """The group of the first match, or NULL. Raises ValueError, which fails the query."""
    if text is None or pattern is None or index is None:
        return None
    found = _compiled(str(pattern)).search(_bytes(text))
    if found is None:
        return None
    try:
        group = found[int(str(index))]
    except IndexError:
        return None
    return None if group is None else group.decode(errors="surrogateescape")


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[bytes]:
    data = pattern.encode()
    if len(data) > _LONGEST_PATTERN:
        raise ValueError(f"regex exceeds {_LONGEST_PATTERN} bytes")
    if _NOT_COMMON.search(pattern.replace("\\\\", "")):
        raise ValueError("not a regular expression of ECMAScript")
    # In ECMAScript $ is the very end; in Python a line break may follow.
    ending = _DOLLAR.sub(lambda found: r"\Z" if found[0] == "$" else found[0], pattern)
    return re.compile(ending.encode())


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogateescape")


def in_cidr_block(network: object, address: object) -> int:
    """1 if the address is in the network and neither its first nor its last; errors like osquery's
    for what is no address or of the other family."""
    block, one = ip_network(str(network), strict=False), ip_address(str(address))
    if block.version != one.version:
        raise ValueError("address and network of different families")
    return int(one in block and one not in (block[0], block[-1]))


def split(text: object, delimiters: object, index: object) -> str | None:
    """The token of that number; any of the delimiters ends one, empty tokens are left out."""
    if text is None or delimiters is None or index is None:
        return None
    tokens = [one for one in re.split(f"[{re.escape(str(delimiters))}]", str(text)) if one]
    place = int(str(index))
    return tokens[place] if 0 <= place < len(tokens) else None


def concat(*values: object) -> str:
    """All values as one text, NULL as nothing."""
    return "".join("" if value is None else str(value) for value in values)


def concat_ws(separator: object, *values: object) -> str:
    """The values with a separator between them."""
    return str(separator).join("" if value is None else str(value) for value in values)


def version_compare(left: str, right: str) -> int:
    """-1, 0 or 1: runs of digits as numbers, the rest as text."""
    one, other = _version(str(left)), _version(str(right))
    return (one > other) - (one < other)


def _version(text: str) -> list[tuple[int, int, str]]:
    return [
        (1, int(part), "") if part.isdigit() else (0, 0, part)
        for part in re.findall(r"[0-9]+|[A-Za-z]+", text)
    ]
