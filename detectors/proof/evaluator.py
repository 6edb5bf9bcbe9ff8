"""The evaluator's verdicts, remembered: recorded rows repeat, and what a rule cannot tell apart is
walked once."""

from __future__ import annotations

from molehunt.conditions import has_keyword
from molehunt.rule import Rule

from ..matching.evaluate import View, belongs, evaluate
from ..matching.fields import FieldMap

_Verdicts = dict[tuple[object, ...], bool]


class Evaluator:
    """Says of records whether rules fire on them, as `evaluate` does."""

    def __init__(self) -> None:
        self._keywords: dict[str, bool] = {}
        # A field map is kept with its verdicts, so that its id stays its own.
        self._known: dict[int, tuple[FieldMap, _Verdicts]] = {}
        self._alike: dict[tuple[str, tuple[object, ...]], _Verdicts] = {}

    def holds(self, rule: Rule, view: View) -> bool:
        """Whether the rule fires on a record."""
        if rule.id not in self._keywords:
            self._keywords[rule.id] = any(map(has_keyword, rule.conditions))
        key = None if self._keywords[rule.id] else view.key()
        if key is None:
            return _fires(rule, view)
        known = self._verdicts(rule, view.fields)
        found = known.get(key)
        if found is None:
            found = known[key] = _fires(rule, view)
        return found

    def _verdicts(self, rule: Rule, fields: FieldMap) -> _Verdicts:
        """Those of a rule on all queries that it reads the same way. Each has a map of its own."""
        if id(fields) not in self._known:
            same = self._alike.setdefault((rule.id, fields.key), {})
            self._known[id(fields)] = fields, same
        return self._known[id(fields)][1]


def _fires(rule: Rule, view: View) -> bool:
    return belongs(view) and any(evaluate(one, view).holds for one in rule.conditions)
