"""The short way to find a query for a rule, against the engine's own way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from molehunt.detectors.matching.fields import resolve
from molehunt.linting import telemetry
from molehunt.linting.run import _subjects
from molehunt.linting.subject import Subject
from molehunt.problems import Problem
from molehunt.rulefiles import builtin_rules_path, rule_files
from molehunt.taxonomy import taxonomy
from molehunt.yamlfile import decoded, read_text

# The first field of the first detection.
_FIRST = re.compile(r"(\ndetection:\n +\w+:\n +(?:- )?)[A-Za-z_.]+(?=[|:])")


def _pack(misspelt: bool) -> Iterator[Subject]:
    """A part of the pack; with `misspelt` each rule again with one of its fields misspelt."""
    for number, (path, name, _) in enumerate(rule_files([builtin_rules_path()], [])):
        text = decoded(Path(path).read_bytes(), path)
        assert not isinstance(text, Problem)
        changed = _FIRST.sub(r"\1Nonesuch", text) if misspelt else text
        texts = dict.fromkeys((text, changed))
        for one in texts if number % 3 == 0 else ():
            yield from _subjects(read_text(one, path, nodes=True)[0], path, name, one)


def test_the_short_way_to_a_query_is_the_long_way() -> None:
    """Whatever came before, and for fields that no query supplies too."""
    telemetry._served.cache_clear()
    said = []
    for subject in _pack(misspelt=True):
        rule = subject.rule
        if not subject.ours or rule is None:
            continue
        short = telemetry._has_query(subject)
        long = any(
            resolve(rule, binding, taxonomy()) is not None for binding in telemetry._bindings()
        )
        assert short == long, subject.name
        said.append(short)
    assert said.count(True) > 150
    assert said.count(False) > 20


def test_most_rules_are_not_made_for_it() -> None:
    """What the short way is for."""
    telemetry._served.cache_clear()
    made = asked = 0
    for subject in _pack(misspelt=False):
        if subject.ours and subject.made is not None:
            list(telemetry.check(subject))
            asked += 1
            made += "rule" in vars(subject)
    assert asked > 150
    assert made < asked / 2
