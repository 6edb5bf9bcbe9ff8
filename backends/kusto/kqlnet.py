"""Networks in KQL, as regular expressions over the spellings of an address.

`ipv4_is_in_range` answers null for what is no IPv4 address, takes `192.0.2.1/24` for one, and knows
no IPv4-mapped IPv6: an expression over the text says all of it, and is never null.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"


def network(text: str) -> str | None:
    """An expression that matches the whole text of an address in the network: IPv4 in its dotted
    and its IPv4-mapped spellings, IPv6 where the network ends in the first 16 bits. Else None.

    It presupposes that what is compared is an address or nothing of an address' form.
    """
    net = ip_network(text)
    if isinstance(net, IPv4Network):
        dotted = r"\.".join(_octets(net))
        return rf"\A(?:{_MAPPED}(?:{dotted}|{_hexes(net)})|{dotted})(?:%.*)?\z"
    return _first_group(net)


_MAPPED = r"(?:::|(?:0{1,4}:){1,5}:|(?:0{1,4}:){5})[Ff]{4}:"


def _octets(net: IPv4Network) -> list[str]:
    found = []
    low, high = net.network_address.packed, net.broadcast_address.packed
    for first, last in zip(low, high, strict=True):
        found.append(_numbers(first, last))
    return found


def _numbers(first: int, last: int) -> str:
    if first == last:
        return str(first)
    if (first, last) == (0, 255):
        return _OCTET
    return "(?:" + "|".join(str(number) for number in range(first, last + 1)) + ")"


def _hexes(net: IPv4Network) -> str:
    low, high = net.network_address.packed, net.broadcast_address.packed
    left, right = _pair(low[0], high[0], low[1], high[1]), _pair(low[2], high[2], low[3], high[3])
    return f"{left}:{right}"


def _pair(a_low: int, a_high: int, b_low: int, b_high: int) -> str:
    """Two bytes as a group of one to four hexadecimal digits."""
    if (a_low, a_high, b_low, b_high) == (0, 255, 0, 255):
        return "[0-9A-Fa-f]{1,4}"
    if (b_low, b_high) == (0, 255):
        second = "[0-9A-Fa-f]{2}"
        heads = [_head(number) + second for number in range(a_low, a_high + 1) if number]
        zero = ["0{0,2}[0-9A-Fa-f]{1,2}"] if a_low == 0 else []
        return "(?:" + "|".join(heads + zero) + ")"
    assert a_low == a_high
    wanted = [a_low * 256 + number for number in range(b_low, b_high + 1)]
    return "(?:" + "|".join(map(_group, wanted)) + ")"


def _head(number: int) -> str:
    text = _hex(number)
    return f"0?{text}" if number < 16 else text


def _group(number: int) -> str:
    text = f"{number:x}"
    zeros = 4 - len(text)
    return (f"0{{0,{zeros}}}" if zeros else "") + "".join(map(_digit, text))


def _hex(number: int) -> str:
    return "".join(map(_digit, f"{number:x}"))


def _digit(character: str) -> str:
    return f"[{character}{character.upper()}]" if character.isalpha() else character


def _first_group(net: IPv6Network) -> str | None:
    if str(net) in ("::1/128", "::/128"):
        last = str(int(net.network_address) & 1)
        return (
            rf"\A(?:::|(?:0{{1,4}}:){{1,6}}:|(?:0{{1,4}}:){{7}})0{{0,3}}{last}(?:%.*)?\z"
            if (last == "1")
            else None
        )
    if net.prefixlen > 16 or net.prefixlen < 7:
        return None
    first = int(net.network_address) >> 112
    last_one = int(net.broadcast_address) >> 112
    if first < 0x1000:
        return None
    # The groups of one leading byte or nibble are few; a list of them says it exactly.
    heads = _ranges(first, last_one)
    rest = r"[0-9A-Fa-f:]*(?:[0-9]+(?:\.[0-9]+){3})?"
    return rf"\A(?:{heads}):{rest}(?:%.*)?\z"


def _ranges(first: int, last: int) -> str:
    """Groups of four digits from first to last, the trailing digits free where they are."""
    free = 0
    while first % 16 ** (free + 1) == 0 and last % 16 ** (free + 1) == 16 ** (free + 1) - 1:
        free += 1
    low, high = first >> 4 * free, last >> 4 * free
    heads = "|".join(_hex(number) for number in range(low, high + 1))
    digits = f"[0-9A-Fa-f]{{{free}}}" if free else ""
    return f"(?:{heads}){digits}"
