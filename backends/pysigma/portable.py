r"""A rule's expressions and texts as regular expressions that RE2, Go, Java and Python read alike.

No flags, no classes with names, no dot: those mean different things there. Letters stand in both
cases, `$` is the end of the text (of Java's expressions it has to become `\z`), and every literal
`$` is escaped. What has no such form raises `Unsaid`.
"""

from __future__ import annotations

from typing import Any

from molehunt.conditions import Regex, Text, Wild

from ..searching.ranges import ANY, LAST, Ranges, negated, of, same_letters
from ..searching.re2tree import Alt, Assert, Char, Node, Repeat, Seq, Unsaid, parse

SOMETHING = r"[\s\S]"
"""Any text but the empty one."""

_SPECIAL = frozenset(r".?+*|{}[]()\^$-&~#")
_MAX_REPEAT = 1000


def regex(value: Regex) -> tuple[str, frozenset[str]]:
    """The expression, found anywhere in the text, and the kinds of assertions in it (`b`, `m^`).

    Raises `Unsaid`, in words, for what re2tree does not read.
    """
    try:
        tree = parse(value.pattern, value.flags)
    except ValueError as error:
        raise Unsaid("an expression that ends too early") from error
    return written(tree), frozenset(_assertions(tree))


def text(value: Text) -> str:
    """The expression for a whole text with wildcards."""
    parts: list[Node] = []
    for part in value.parts:
        if part is Wild.ANY:
            parts.append(Repeat(Char(ANY), 0, None))
        elif part is Wild.ONE:
            parts.append(Char(ANY))
        else:
            for character in str(part):
                parts.append(Char(of(character if value.cased else same_letters(character))))
    # What stands at the edges may be anything, and needs no saying.
    anything = Repeat(Char(ANY), 0, None)
    while len(parts) > 1 and parts[0] == anything == parts[1]:
        del parts[0]
    before = "" if parts[:1] == [anything] else "^"
    after = "" if parts[-1:] == [anything] else "$"
    kept = parts[not before : len(parts) - (not after)]
    return before + "".join(map(written, kept)) + after if kept else SOMETHING


def written(node: Any) -> str:
    """A tree as text."""
    if isinstance(node, Char):
        return _set(node.ranges)
    if isinstance(node, Seq):
        return "".join(map(written, node.parts))
    if isinstance(node, Alt):
        return "(?:" + "|".join(map(written, node.parts)) + ")"
    if isinstance(node, Repeat):
        return _grouped(node.part) + _times(node.least, node.most)
    assert isinstance(node, Assert)
    return {"b": r"\b", "B": r"\B", "m^": "(?m:^)", "m$": "(?m:$)"}.get(node.kind, node.kind)


def _set(ranges: Ranges) -> str:
    if ranges == ANY:
        return SOMETHING
    if not ranges:
        return r"[^\s\S]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _literal(ranges[0][0])
    inverse = ranges[-1][1] == LAST
    spans = "".join(_span(low, high) for low, high in (negated(ranges) if inverse else ranges))
    return f"[{'^' * inverse}{spans}]"


def _span(low: int, high: int) -> str:
    if low == high:
        return _literal(low)
    return _literal(low) + ("-" if high > low + 1 else "") + _literal(high)


def _literal(code: int) -> str:
    if code < 0x20 or 0x7F <= code < 0xA0:
        return f"\\x{code:02x}"
    return "\\" + chr(code) if chr(code) in _SPECIAL else chr(code)


def _grouped(node: Any) -> str:
    if isinstance(node, (Char, Alt)):
        return written(node)
    return f"(?:{written(node)})"


def _times(least: int, most: int | None) -> str:
    if (least, most) in ((0, None), (1, None), (0, 1)):
        return {(0, None): "*", (1, None): "+", (0, 1): "?"}[least, most]
    if max(least, most or 0) > _MAX_REPEAT:
        raise Unsaid("a repetition of more than a thousand times")
    return f"{{{least},}}" if most is None else f"{{{least},{most}}}"


def _assertions(node: Any) -> set[str]:
    if isinstance(node, Assert):
        return {node.kind}
    if isinstance(node, Repeat):
        return _assertions(node.part)
    parts = node.parts if isinstance(node, (Seq, Alt)) else ()
    return {kind for part in parts for kind in _assertions(part)}
