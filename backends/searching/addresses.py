"""Networks as Lucene regexes over the texts that spell their addresses.

The spellings are those that Python's `ipaddress` reads (RFC 4291, 2.2): a zone may follow, an
IPv4-mapped IPv6 address is the IPv4 address.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from .lucene import alternatives
from .re2tree import Unsaid

_ZONE = "(%.*)?"
_HEX = "[0-9a-fA-F]"
_OCTET = "([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"


def network(text: str) -> list[str]:
    """Regexes one of which matches the text of every address in a network. Raises `Unsaid`."""
    found = ip_network(text)
    spellings = _version4(found) if isinstance(found, IPv4Network) else _version6(found)
    return list(alternatives(one + _ZONE for one in spellings))


def _version4(found: IPv4Network) -> Iterator[str]:
    low, high = found.network_address.packed, found.broadcast_address.packed
    yield r"\.".join(map(_octets, low, high))
    mapped = bytes(10) + b"\xff\xff"
    yield from _spellings(mapped + low, mapped + high)


def _pair(data: bytes, at: int) -> int:
    return data[at] * 256 + data[at + 1]


def _octets(low: int, high: int) -> str:
    if (low, high) == (0, 255):
        return _OCTET
    if low == high:
        return str(low)
    return "(" + "|".join(map(str, range(low, high + 1))) + ")"


def _sixteen(low: int, high: int) -> str:
    """A group of up to four hexadecimal digits in a range that a prefix cuts out."""
    if (low, high) == (0, 0xFFFF):
        return _HEX + "{1,4}"
    one, other = f"{low:04x}", f"{high:04x}"
    same = next((n for n in range(4) if one[n] != other[n]), 4)
    digits = [_digit(int(a, 16), int(b, 16)) for a, b in zip(one, other, strict=True)]
    # Zeros in front may be left out, all but the last digit.
    zeros = len(one[:same]) - len(one[:same].lstrip("0"))
    if same < 4 and zeros == same and low == 0:
        # A range from 0: fewer digits than four are in it too, whatever they are.
        free = 3 - same
        shorter = f"0{{0,{same}}}" if same else ""
        return (
            f"({shorter}{digits[same]}{_HEX}{{{free}}}|{_HEX}{{1,{free}}})"
            if free
            else (f"{shorter}{digits[same]}")
        )
    zeros = min(zeros, 3)
    return (f"0{{0,{zeros}}}" if zeros else "") + "".join(digits[zeros:])


def _digit(low: int, high: int) -> str:
    if (low, high) == (0, 15):
        return _HEX
    letters = "".join(f"{n:x}" for n in range(low, high + 1))
    letters = "".join(dict.fromkeys(letters + letters.upper()))
    return letters if len(letters) == 1 else f"[{letters}]"


def _version6(found: IPv6Network) -> Iterator[str]:
    if found.overlaps(IPv6Network("::ffff:0:0/96")):
        raise Unsaid(f"the network {found}, which has IPv4-mapped addresses in it")
    yield from _spellings(found.network_address.packed, found.broadcast_address.packed)


def _spellings(low: bytes, high: bytes) -> Iterator[str]:
    """Eight groups, or six and a dotted address; `::` for one group of zeros or more."""
    groups = [_sixteen(_pair(low, n), _pair(high, n)) for n in range(0, 16, 2)]
    may_be_zero = [not _pair(low, n) for n in range(0, 16, 2)]
    dotted = r"\.".join(map(_octets, low[12:], high[12:]))
    for ends, hexed in ((groups, 8), ([*groups[:6], dotted], 6)):
        yield ":".join(ends)
        for begin in range(hexed):
            for end in range(begin + 1, hexed + 1):
                if all(may_be_zero[begin:end]):
                    yield ":".join(ends[:begin]) + "::" + ":".join(ends[end:])
