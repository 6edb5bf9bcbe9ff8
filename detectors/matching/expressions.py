"""Regular expressions as functions, several of them as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import re2

from molehunt.conditions import Regex

from ..values import as_text

Test = Callable[[Any], bool]

# The length of expressions that are compiled into one, and the memory that it may take, in bytes.
MAX_JOINED, JOINED_MEMORY = 4000, 64 << 20


def regex_test(values: Sequence[Regex]) -> Test:
    """Whether a text holds a match of any of the expressions. They are compiled when first asked,
    and several into one, which takes no longer than one of them."""
    search: Callable[[bytes], bool] | None = None

    def holds(actual: Any) -> bool:
        nonlocal search
        if search is None:
            search = _searching(values)
        return search(as_text(actual).encode())

    return holds


def _searching(values: Sequence[Regex]) -> Callable[[bytes], bool]:
    # A quotation without an end would take in what follows.
    if sum(len(one.pattern) for one in values) <= MAX_JOINED and not any(
        "\\Q" in one.pattern for one in values
    ):
        with suppress(re2.error):  # too large together
            find = _regex(values).search
            return lambda text: find(text) is not None
    finds = [_regex([one]).search for one in values]
    return lambda text: any(find(text) is not None for find in finds)


def _regex(values: Sequence[Regex]) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    if len(values) > 1:
        options.max_mem = JOINED_MEMORY
        return re2.compile("|".join(f"(?{one.flags}:{one.pattern})" for one in values), options)
    (value,) = values
    options.case_sensitive = "i" not in value.flags
    options.dot_nl = "s" in value.flags
    return re2.compile(("(?m)" if "m" in value.flags else "") + value.pattern, options)
