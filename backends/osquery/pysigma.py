"""The osquery target as a pySigma backend, for `sigma convert -t osquery`.

A rule is read again by molehunt, from its file where there is one: the taxonomy says which tables
and columns it means, so no processing pipeline is needed, and one that is given is refused.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from itertools import compress
from pathlib import Path
from typing import Any, ClassVar

import yaml

# Imported whole: pySigma registers every backend class that stands in a plugin.
from sigma.conversion import base
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from molehunt.data import load_yaml
from molehunt.ruleset import load_rules
from molehunt.taxonomy import taxonomy

from ..compiling import compile_all
from ..model import Artefact, Refusal
from ..subjects import subjects
from .pack import render_pack
from .target import PROFILE, TARGET


class OsqueryBackend(base.TextQueryBackend):
    """Sigma rules as osquery SQL: `default` gives statements, `pack` an osquery pack."""

    name: ClassVar[str] = "osquery (molehunt)"
    identifier: ClassVar[str] = "osquery"
    formats: ClassVar[dict[str, str]] = {
        "default": "osquery SQL, one statement a line",
        "pack": "osquery pack (.conf)",
    }

    def convert_rule(
        self,
        rule: SigmaRule,
        output_format: str | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> list[Any]:
        """The rule's statements, or for a pack its entries by name. Raises SigmaError."""
        try:
            return self._converted(rule, output_format or self.default_format)
        except SigmaError as error:
            if not self.collect_errors:
                raise
            self.errors.append((rule, error))
            return []

    def _converted(self, rule: SigmaRule, output_format: str) -> list[Any]:
        given = self.processing_pipeline
        if isinstance(given, ProcessingPipeline) and given.items:
            raise SigmaError("osquery takes no pipeline: rules/taxonomy.yml maps the fields")
        made = _compiled(rule)
        if isinstance(made, Refusal):
            raise SigmaError(f"{rule.title}: {made.code}: {made.reason}")
        needed = [not one["covered"] for one in made.query]
        entries = dict(compress(made.body.items(), needed))
        return [entries] if output_format == "pack" else [one["query"] for one in entries.values()]

    def convert_correlation_rule(
        self,
        rule: SigmaCorrelationRule,
        output_format: str | None = None,
        method: str | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> list[Any]:
        """Always an error: a query on a host sees one moment of one host."""
        error = SigmaError(f"{rule.title}: a query on a host cannot correlate")
        if not self.collect_errors:
            raise error
        self.errors.append((rule, error))  # type: ignore[arg-type]
        return []

    def finalize(self, queries: list[Any], output_format: str) -> Any:
        """The statements, or one pack with all entries."""
        if output_format != "pack":
            return queries
        return render_pack({"queries": {n: e for entries in queries for n, e in entries.items()}})


def _compiled(rule: SigmaRule) -> Artefact | Refusal:
    path = getattr(rule.source, "path", None)
    if path is not None and Path(path).is_file():
        return _of_file(Path(path), rule)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rule.yml")
        # By way of JSON, so that dates and the like are plain.
        plain = json.loads(json.dumps(rule.to_dict(), default=str))
        file.write_text(yaml.safe_dump(plain, allow_unicode=True), encoding="utf-8")
        return _of_file(file, rule)


def _of_file(path: Path, rule: SigmaRule) -> Artefact | Refusal:
    loaded = load_rules([str(path)])
    wanted = str(rule.id) if rule.id else None
    for subject in subjects(loaded, load_yaml("pack.yml"), taxonomy()):
        if wanted in (None, subject.rule.id) and subject.rule.title == rule.title:
            (made,) = compile_all(TARGET, PROFILE, [subject])
            assert isinstance(made, (Artefact, Refusal))
            return made
    told = "; ".join(problem.what for problem in loaded.problems)
    raise SigmaError(f"{rule.title}: {told or 'not read as a rule'}")
