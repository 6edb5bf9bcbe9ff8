"""Texts, wildcards and addresses as SQLite says them, meaning what docs/semantics.md says.

Facts: `LIKE` and `NOCASE` fold ASCII letters only, `GLOB` none; all go by UTF-8 characters
(https://www.sqlite.org/lang_expr.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from molehunt.conditions import Text, Wild
from molehunt.detectors.values import fold, near_case

from ..model import Unsayable

ESCAPE = "^"
# Unicode has no letter with case from here on.


def quoted(text: str) -> str:
    """A text as an SQL literal. Raises Unsayable for a text with a NUL, which ends SQL."""
    if "\0" in text:
        raise Unsayable("nul", "a text with a NUL character cannot stand in SQL")
    return "'" + text.replace("'", "''") + "'"


@lru_cache(maxsize=1 << 13)
def text_test(value: Text, expression: str) -> str:
    """SQL that says whether the text of an expression is the wanted one; NULL for NULL."""
    parts = value.parts
    if not any(isinstance(part, Wild) for part in parts) and (value.cased or plain(value)):
        collation = "BINARY" if value.cased else "NOCASE"
        return f"{expression} = {quoted(''.join(map(str, parts)))} COLLATE {collation}"
    if value.cased or not plain(value):
        return f"{expression} GLOB {quoted(_glob(parts, value.cased))}"
    return f"{expression} LIKE {_like(parts)}"


def exact(value: Text) -> str | None:
    """The text itself, if it can stand in a list under `NOCASE`."""
    if value.cased or not plain(value) or any(isinstance(part, Wild) for part in value.parts):
        return None
    return "".join(map(str, value.parts))


def plain(value: Text) -> bool:
    """Whether SQLite's folding of ASCII is all that the text needs."""
    return all(
        part.isascii() or all(len(same_letters(character)) == 1 for character in part)
        for part in value.parts
        if isinstance(part, str)
    )


def same_letters(character: str) -> str:
    """All characters that fold to the same, in order; the character alone if it has no case."""
    if character.isascii():
        return (
            character
            if character.upper() == character.lower()
            else (character.upper() + character.lower())
        )
    return _classes().get(fold(character), character)


@cache
def _classes() -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for character in near_case():
        if not character.isascii() and character.lower() != character:
            folded = fold(character)
            if folded != character:
                found.setdefault(folded, [folded]).append(character)
    return {folded: "".join(sorted(members)) for folded, members in found.items()}


def _like(parts: Sequence[str | Wild]) -> str:
    escaping = any(isinstance(part, str) and ("%" in part or "_" in part) for part in parts)
    pattern = ""
    for part in parts:
        if isinstance(part, Wild):
            pattern += "%" if part is Wild.ANY else "_"
            continue
        text = part
        if escaping:
            for special in (ESCAPE, "%", "_"):
                text = text.replace(special, ESCAPE + special)
        pattern += text
    return quoted(pattern) + (f" ESCAPE '{ESCAPE}'" if escaping else "")


def _glob(parts: Sequence[str | Wild], cased: bool) -> str:
    pattern = ""
    for part in parts:
        if isinstance(part, Wild):
            pattern += "*" if part is Wild.ANY else "?"
            continue
        for character in part:
            letters = character if cased else same_letters(character)
            special = character in "*?["
            pattern += f"[{letters}]" if special or len(letters) > 1 else character
    return pattern


def network_test(network: str, expression: str) -> str:
    """SQL that says whether an address, canonically spelled, is in a network.

    `in_cidr_block` is not used: it fails the whole query on "" or on the other family, leaves out a
    network's first and last address, and came with osquery 5.3.0. Raises Unsayable for IPv6
    networks whose addresses have no common beginning as text.
    """
    wanted = ip_network(network)
    if isinstance(wanted, IPv4Network):
        alternatives = " OR ".join(f"{expression} GLOB '{one}'" for one in _ipv4_globs(wanted))
        return (
            f"({expression} GLOB '[0-9]*.[0-9]*.[0-9]*.[0-9]*'"
            f" AND {expression} NOT GLOB '*[^0-9.]*' AND {expression} NOT GLOB '*.*.*.*.*'"
            f" AND ({alternatives}))"
        )
    if wanted.prefixlen == wanted.max_prefixlen:
        return f"{expression} = '{wanted.network_address}' COLLATE NOCASE"
    return (
        f"(lower({expression}) GLOB '{_ipv6_glob(wanted)}'"
        f" AND {expression} NOT GLOB '*[^0-9A-Fa-f:]*')"
    )


def _ipv4_globs(network: IPv4Network) -> Iterator[str]:
    first, last = network.network_address.packed, network.broadcast_address.packed
    whole, rest = divmod(network.prefixlen, 8)
    before = [str(octet) for octet in first[:whole]]
    if not rest:
        yield ".".join(before + ["*"] * (4 - whole))
        return
    for octet in _numbers(first[whole], last[whole]):
        yield ".".join([*before, octet] + ["*"] * (3 - whole))


def _numbers(first: int, last: int) -> Iterator[str]:
    """Globs for the decimal numbers of a range, one for each ten."""
    for ten in range(first // 10, last // 10 + 1):
        low, high = max(first, ten * 10) % 10, min(last, ten * 10 + 9) % 10
        yield f"{ten or ''}" + (f"[{low}-{high}]" if low < high else str(low))


def _ipv6_glob(network: IPv6Network) -> str:
    groups = network.network_address.exploded.split(":")
    whole, rest = divmod(network.prefixlen, 16)
    shortened = any(int(group, 16) == 0 for group in groups[:whole])
    if not network.prefixlen or shortened or (rest and int(groups[whole], 16) < 0x1000):
        raise Unsayable("cidr_v6", f"addresses in {network} have no common beginning as text")
    beginning = "".join(f"{int(group, 16):x}:" for group in groups[:whole])
    if not rest:
        return beginning + "*"
    group = groups[whole]
    digits, bits = divmod(rest, 4)
    pattern = group[:digits]
    if bits:
        low = int(group[digits], 16)
        pattern += "[" + "".join(f"{n:x}" for n in range(low, low + (1 << (4 - bits)))) + "]"
    return beginning + pattern.ljust(len(pattern) + 4 - digits - bool(bits), "?") + ":*"
