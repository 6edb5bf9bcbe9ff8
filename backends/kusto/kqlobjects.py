r"""One text of each object of a list, asked of the list's JSON.

`tostring` of a dynamic value is its JSON. A quote in a text is escaped there, so that `"ip":"`
stands only where an object has that key; `objects_text` sees to it that nothing stands between.
"""

from __future__ import annotations

import re

from molehunt.conditions import Cidr, Exists, Nothing, Text, Wanted, Wild

from ..model import Unsayable
from .kqlnet import network
from .kqltext import literal, negated

_REST, _BETWEEN = '[^"]*', '":"'


def objects_text(column: str) -> str:
    """The JSON of a list of objects, with nothing between a key and a text that it has."""
    pattern = literal(r'"\s*:\s*"')
    return f"replace_regex(tostring({column}), {pattern}, {literal(_BETWEEN)})"


def begins(key: str) -> str:
    """What stands before a text of that key."""
    return f'"{key}{_BETWEEN}'


def one_object(text: str, key: str, value: Wanted) -> str:
    """That an object has such a text under the key. Raises `Unsayable`."""
    match value:
        case Exists() | Nothing():
            some = _found(text, key, '[^"]')
            return some if value == Exists(True) else negated(some)
        case Cidr():
            pattern = network(value.network)
            if pattern is not None:
                inside = pattern.removeprefix(r"\A").removesuffix(r"\z")
                return _found(text, key, inside.replace("%.*", f"%{_REST}") + '"')
        case Text() if value.parts:
            inside = "".join(map(_inside, value.parts))
            return _found(text, key, (inside if value.cased else f"(?i:{inside})") + '"')
    raise Unsayable("listed", "that cannot be asked of one object of several")


def each_object(text: str, key: str) -> str:
    """The texts that the objects have under the key, and an empty one."""
    pattern, more = f"{begins(key)}({_REST})" + '"', f'{begins(key)}"'
    return f"extract_all({literal(pattern)}, strcat({text}, {literal(more)}))"


def _found(text: str, key: str, pattern: str) -> str:
    return f"{text} matches regex {literal(begins(key) + pattern)}"


def _inside(part: str | Wild) -> str:
    """A part of a text as an expression. Raises `Unsayable` for what JSON may spell otherwise."""
    if isinstance(part, Wild):
        return _REST if part is Wild.ANY else '[^"]'
    if not part.isascii() or not part.isprintable() or set(part) & set("\"\\/<>&'"):
        raise Unsayable("listed", f"{part} may be spelt otherwise in JSON")
    return re.sub(r"[^\w @-]", r"\\\g<0>", part)
