"""The shipped rules and correlations on sign-in logs, and the recorded sign-ins."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import kit

from molehunt.backends.corpus import Corpus, read_corpus, read_groups
from molehunt.backends.model import Subject
from molehunt.backends.subjects import subjects
from molehunt.data import load_yaml
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.rule import RuleSet
from molehunt.taxonomy import taxonomy

RULES = kit.shipped()
PRODUCTS = ("okta", "azure", "gcp")
IDS = frozenset(rule.id for rule in RULES.rules if rule.product in PRODUCTS)


def subjects_of_sign_ins() -> tuple[Subject, ...]:
    """The rules, then the correlations over nothing else."""
    return tuple(
        one
        for one in subjects(RULES, load_yaml("pack.yml"), taxonomy())
        if one.rule.id in IDS
        or (one.members and all(member.rule.id in IDS for member in one.members))
    )


@cache
def corpus() -> Corpus:
    """The recordings that have sign-ins, judged by rules and correlations."""
    scenarios, problems = load_scenarios("tests/recordings")
    assert not problems
    marks = (b'"eventType"', b"serPrincipalName", b'"applicationName"')
    chosen = [
        one
        for one in scenarios
        if any(any(mark in Path(one.path(log)).read_bytes() for mark in marks) for log in one.kinds)
    ]
    manifest = load_yaml("pack.yml")
    loaded = RuleSet(
        tuple(rule for rule in RULES.rules if rule.id in IDS),
        correlations=tuple(
            one.rule
            for one in subjects_of_sign_ins()
            if one.members  # type: ignore[misc]
        ),
    )
    found = read_corpus(chosen, loaded.rules, manifest, taxonomy())
    return Corpus(found.records, found.matched, read_groups(chosen, loaded, manifest, taxonomy()))
