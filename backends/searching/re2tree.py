"""RE2's syntax as a tree: what rules use of it; the rest raises `Unsaid`.

The grammar is that of RE2's syntax page. A rule's pattern has been accepted by RE2 when it was
loaded, so this only has to know what it means, not whether it is right.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from .ranges import ANY, DIGITS, SPACE, WORD, Ranges, folded_by_re2, negated, of, union


class Unsaid(Exception):
    """A construct that cannot be said in the other language, in words."""


class Char(NamedTuple):
    """One character of a set."""

    ranges: Ranges


class Seq(NamedTuple):
    """One after the other; empty: the empty text."""

    parts: tuple[Node, ...]


class Alt(NamedTuple):
    """Any of them."""

    parts: tuple[Node, ...]


class Repeat(NamedTuple):
    """`most` is None for any number."""

    part: Node
    least: int
    most: int | None


class Assert(NamedTuple):
    """`^`, `$` (of the text), `m^`, `m$` (of a line), `b`, `B`."""

    kind: str


Node: TypeAlias = Char | Seq | Alt | Repeat | Assert

_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_CLASSES = {"d": DIGITS, "w": WORD, "s": SPACE}
_NOT_NEWLINE = negated(of("\n"))


def parse(pattern: str, flags: str) -> Node:
    """The tree of a pattern with `flags` of `i`, `m`, `s`. Raises `Unsaid`."""
    parser = _Parser(pattern, frozenset(flags))
    node = parser.alternatives()
    if parser.at < len(pattern):
        raise Unsaid("an unmatched bracket")
    return node


class _Parser:
    def __init__(self, pattern: str, flags: frozenset[str]) -> None:
        self.text, self.at, self.flags = pattern, 0, flags

    def peek(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def take(self, what: str) -> bool:
        if not self.peek(what):
            return False
        self.at += len(what)
        return True

    def next(self) -> str:
        if self.at >= len(self.text):
            raise Unsaid("a pattern that ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def alternatives(self) -> Node:
        flags = self.flags
        parts = [self.sequence()]
        while self.take("|"):
            parts.append(self.sequence())
        # Flags that are set inside a group end with it.
        self.flags = flags
        return parts[0] if len(parts) == 1 else Alt(tuple(parts))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text) and not self.peek("|") and not self.peek(")"):
            part = self.atom()
            if part is not None:
                parts.append(self.repeated(part))
        return parts[0] if len(parts) == 1 else Seq(tuple(parts))

    def repeated(self, part: Node) -> Node:
        while True:
            if self.take("*"):
                part = Repeat(part, 0, None)
            elif self.take("+"):
                part = Repeat(part, 1, None)
            elif self.take("?"):
                part = Repeat(part, 0, 1)
            elif self.peek("{") and (counts := self.counts()) is not None:
                part = Repeat(part, *counts)
            else:
                return part
            # Lazy: what is found is another part of the text, but whether is the same.
            self.take("?")

    def counts(self) -> tuple[int, int | None] | None:
        """`{n}`, `{n,}`, `{n,m}`; anything else in braces is text."""
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        if end < 0 or not low.isascii() or not low.isdigit() or (high and not high.isdigit()):
            return None
        self.at = end + 1
        return int(low), int(low) if not comma else int(high) if high else None

    def atom(self) -> Node | None:
        character = self.next()
        if character == "(":
            return self.group()
        if character == "[":
            return Char(self.bracket())
        if character == ".":
            return Char(ANY if "s" in self.flags else _NOT_NEWLINE)
        if character in "^$":
            return Assert("m" + character if "m" in self.flags else character)
        if character == "\\":
            return self.escape()
        return Char(self.folded(of(character)))

    def group(self) -> Node | None:
        if self.take("?"):
            if self.take("P<") or self.take("<"):
                self.at = self.text.index(">", self.at) + 1
            elif not self.take(":"):
                return self.flag_group()
        node = self.alternatives()
        if not self.take(")"):
            raise Unsaid("an unmatched bracket")
        return node

    def flag_group(self) -> Node | None:
        flags, on = set(self.flags), True
        while True:
            letter = self.next()
            if letter == "-":
                on = False
            elif letter in "ims":
                (flags.add if on else flags.discard)(letter)
            elif letter == ")":
                self.flags = frozenset(flags)
                return None
            elif letter == ":":
                outer, self.flags = self.flags, frozenset(flags)
                node = self.alternatives()
                self.flags = outer
                if not self.take(")"):
                    raise Unsaid("an unmatched bracket")
                return node
            else:
                raise Unsaid(f"the flag {letter}")

    def escape(self) -> Node:
        letter = self.next()
        if letter in "bB":
            return Assert(letter)
        if letter == "A":
            return Assert("^")
        if letter == "z":
            return Assert("$")
        if letter.lower() in _CLASSES:
            return Char(self.perl(letter))
        return Char(self.folded(of(self.escaped(letter))))

    def perl(self, letter: str) -> Ranges:
        r"""`\d` and so on. RE2 folds the class first and negates it then."""
        ranges = self.folded(_CLASSES[letter.lower()])
        return negated(ranges) if letter.isupper() else ranges

    def escaped(self, letter: str) -> str:
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter == "x":
            return self.hexadecimal()
        if letter.isalnum() or not letter.isascii():
            raise Unsaid(f"the escape \\{letter}")
        return letter

    def hexadecimal(self) -> str:
        if self.take("{"):
            end = self.text.index("}", self.at)
            digits, self.at = self.text[self.at : end], end + 1
        else:
            digits, self.at = self.text[self.at : self.at + 2], self.at + 2
        return chr(int(digits, 16))

    def folded(self, ranges: Ranges) -> Ranges:
        return folded_by_re2(ranges) if "i" in self.flags else ranges

    def bracket(self) -> Ranges:
        inverse, found, first = self.take("^"), [], True
        while first or not self.peek("]"):
            first = False
            found.append(self.bracket_item())
        self.at += 1
        ranges = union(*found)
        return negated(ranges) if inverse else ranges

    def bracket_item(self) -> Ranges:
        if self.peek("[:"):
            raise Unsaid("a POSIX class")
        low = self.next()
        if low == "\\":
            letter = self.next()
            if letter.lower() in _CLASSES:
                return self.perl(letter)
            low = self.escaped(letter)
        if not self.peek("-") or self.peek("-]"):
            return self.folded(of(low))
        self.at += 1
        high = self.next()
        if high == "\\":
            high = self.escaped(self.next())
        return self.folded(((ord(low), ord(high)),))
