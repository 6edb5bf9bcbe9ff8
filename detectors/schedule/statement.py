"""One SELECT as a syntax tree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]

from .relation import Unclear

_STARTS = (TokenType.SELECT, TokenType.WITH, TokenType.VALUES, TokenType.L_PAREN)
_TOKEN = re.compile(r"<Token token_type: [\w.]*, text: (.*?), line: .*?>", re.DOTALL)


class Statement(NamedTuple):
    """The SQL as written, its tokens and its tree."""

    sql: str
    tokens: Sequence[Token]
    tree: exp.Expr


def parse(sql: str) -> Statement:
    """The statement in `sql`; `Unclear` if it is not one SELECT. A trailing `;` is allowed."""
    try:
        tokens = sqlglot.tokenize(sql, read="sqlite")
        while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
            tokens.pop()
        if not tokens or tokens[0].token_type not in _STARTS:
            raise Unclear("it is not a SELECT")
        if any(token.token_type == TokenType.SEMICOLON for token in tokens):
            raise Unclear("it has several statements where one SELECT was expected")
        trees = [tree for tree in sqlglot.parse(sql, read="sqlite") if isinstance(tree, exp.Query)]
    except SqlglotError as error:
        raise Unclear(_complaint(error)) from None
    if len(trees) != 1:
        raise Unclear("it is not a SELECT")
    return Statement(sql, tokens, trees[0])


def _complaint(error: SqlglotError) -> str:
    details: list[dict[str, Any]] = getattr(error, "errors", None) or [{}]
    text = str(details[0].get("description") or str(error).split("\n")[0]).rstrip(".")
    text = _TOKEN.sub(lambda m: "the end" if m[1] == "SENTINEL" else repr(m[1]), text)
    line, column = details[0].get("line"), details[0].get("col")
    place = f" at line {line}, column {column}" if line and column else ""
    return f"it is not SQL that SQLite reads: {text}{place}"
