r"""Texts in SPL: every comparison of text is one `match`, a PCRE search in a string.

`=` in `eval` compares as numbers what looks like numbers, `like` has no certain escape, and
`search` has wildcards and no NULL under NOT; `match` on a field that is never null has one meaning.
Functions: <https://docs.splunk.com/Documentation/Splunk/latest/SearchReference/CommonEvalFunctions>.
Backslashes are doubled in strings, and used as little as can be; a backtick would be a macro.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from molehunt.conditions import Regex, Text, Wild

from ..kusto import kqltext

END = r"(?![\s\S])"
# Rules have much in common, and correlations ask again what their members ask.
_MANY = 1 << 13
_PLAIN = frozenset(" _-/:,;@%&=~'!#<>")
TRUE, FALSE = "true()", "false()"


@lru_cache(maxsize=_MANY)
def string(text: str) -> str:
    """A text as an SPL string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def found(expression: str, pattern: str) -> str:
    """That a regular expression is found."""
    return f"match({expression}, {string(pattern)})"


def any_text(expression: str, values: Sequence[Text]) -> str:
    """That a string matches one of several texts with wildcards, all cased or none; it is not
    empty then."""
    flags = "(?s)" if values[0].cased else "(?is)"
    each = [_pattern(value.parts) for value in values]
    body = each[0] if len(each) == 1 else "(?:" + "|".join(each) + ")"
    return found(expression, flags + body)


@lru_cache(maxsize=_MANY)
def _pattern(parts: tuple[str | Wild, ...]) -> str:
    if all(part is Wild.ANY for part in parts):
        return "."
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += "".join(map(_escaped, part))
        else:
            text += ".*" if part is Wild.ANY else "."
    begin = "" if parts[0] is Wild.ANY else "^"
    end = "" if parts[-1] is Wild.ANY else END
    return begin + text[2 * (not begin) : len(text) - 2 * (not end)] + end


@lru_cache(maxsize=_MANY)
def _escaped(character: str) -> str:
    if character.isalnum() or character in _PLAIN or ord(character) > 0x9F:
        return character
    if character in '"`$' or not character.isprintable():
        return f"\\x{ord(character):02x}"
    return "\\" + character if character in "\\^" else f"[{character}]"


@lru_cache(maxsize=_MANY)
def regex(value: Regex) -> str:
    """A rule's regular expression for PCRE, where `$` would also match before a last line break."""
    source, text, place, inside = kqltext.regex(Regex(value.pattern)), "", 0, False
    while place < len(source):
        one = source[place]
        if one == "\\":
            text += (
                r"(?![\s\S])" if source[place : place + 2] == r"\z" else source[place : place + 2]
            )
            place += 2
            continue
        if inside:
            inside = one != "]"
        elif one == "[":
            inside = True
            if source[place + 1 : place + 2] == "^":
                text, place = text + "[", place + 1
                one = "^"
            if source[place + 1 : place + 2] == "]":
                text, place = text + one, place + 1
                one = "\\]"
        elif one == "$" and "m" not in value.flags:
            one = END
        text += "\\x" + f"{ord(one):02x}" if one in '"`' else one
        place += 1
    return (f"(?{value.flags})" if value.flags else "") + text


def network(pattern: str) -> str:
    """An expression of `kqlnet.network` for PCRE."""
    return pattern.replace(r"\A", "^").replace(r"\z", END).replace(r"\.", "[.]")
