"""The text of each item of a select list, which SQLite uses as the name of an unnamed expression.

SQLite names such a column after its source text, from its first token to its last (`sqlite3Select`
and `generateColumnNames` in select.c). Syntax trees do not keep that text, so it is cut out of the
SQL here. Best effort: where the two cannot be brought together the answer is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]

from .statement import Statement

_OPEN = {TokenType.L_PAREN}
_CLOSE = {TokenType.R_PAREN}
_END = {
    TokenType.FROM,
    TokenType.WHERE,
    TokenType.GROUP_BY,
    TokenType.HAVING,
    TokenType.WINDOW,
    TokenType.ORDER_BY,
    TokenType.LIMIT,
    TokenType.UNION,
    TokenType.EXCEPT,
    TokenType.INTERSECT,
    TokenType.SEMICOLON,
}


def item_texts(statement: Statement) -> Mapping[int, Sequence[str]]:
    """For each SELECT of the tree, by `id`, the text of its items in order."""
    sql, tokens, tree = statement
    lists = [
        _items(sql, tokens, index + 1)
        for index, token in enumerate(tokens)
        if token.token_type == TokenType.SELECT
    ]
    selects = list(_in_source_order(tree))
    if len(lists) != len(selects):
        return {}
    return {
        id(select): texts
        for select, texts in zip(selects, lists, strict=True)
        if len(texts) == len(select.expressions)
    }


def _items(sql: str, tokens: Sequence[Token], index: int) -> list[str]:
    if index < len(tokens) and tokens[index].token_type in (TokenType.DISTINCT, TokenType.ALL):
        index += 1
    texts, depth, start = [], 0, index
    while index < len(tokens):
        kind = tokens[index].token_type
        if depth == 0 and (kind in _CLOSE or _ends(tokens, index)):
            break
        if depth == 0 and kind == TokenType.COMMA:
            texts.append(_text(sql, tokens, start, index))
            start = index + 1
        depth += (kind in _OPEN) - (kind in _CLOSE)
        index += 1
    return [*texts, _text(sql, tokens, start, index)]


def _ends(tokens: Sequence[Token], index: int) -> bool:
    if tokens[index].token_type not in _END:
        return False
    # `a IS NOT DISTINCT FROM b` goes on
    return tokens[index - 1].token_type != TokenType.DISTINCT


def _text(sql: str, tokens: Sequence[Token], start: int, end: int) -> str:
    if start >= end:
        return ""
    return sql[tokens[start].start : tokens[end - 1].end + 1]


def _in_source_order(tree: exp.Expr) -> Iterator[exp.Select]:
    stack: list[exp.Expr] = [tree]
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        first = node.args.get("with_") or node.args.get("with")
        if first is not None and id(node) not in seen:
            seen.add(id(node))
            stack += [node, first]
            continue
        if isinstance(node, exp.Select) and not _is_values(node):
            yield node
        rest = [child for child in node.iter_expressions() if child is not first]
        stack.extend(reversed(rest))


def _is_values(select: exp.Select) -> bool:
    source = select.args.get("from_") or select.args.get("from")
    return source is not None and isinstance(source.this, exp.Values) and select.is_star
