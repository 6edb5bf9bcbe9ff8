"""The shipped rules and correlations on sign-in logs, and the recorded sign-ins."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import correlation_kit
import kit
import search_random
import sign_in_random

from molehunt.backends.corpus import Corpus, read_recordings
from molehunt.backends.model import Artefact, Engine, Profile, Subject, Target
from molehunt.backends.subjects import subjects
from molehunt.data import load_yaml
from molehunt.detectors.proof.manifest import load_scenarios
from molehunt.detectors.records import Record
from molehunt.detectors.values import fold
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
    return read_recordings(chosen, loaded, manifest, taxonomy())


FIELDS = {
    "azure": {
        "AppDisplayName": "keyword",
        "DeviceDetail.isManaged": "boolean",
        "DeviceDetail.operatingSystem": "keyword",
        "IPAddress": "ip",
        "IsInteractive": "boolean",
        "LocationDetails.city": "keyword",
        "ResultType": "keyword",
        "RiskEventTypes_V2": "keyword",
    },
    "okta": {
        "client.ipAddress": "ip",
        "client.userAgent.os": "keyword",
        "eventType": "keyword",
        "outcome.result": "keyword",
        "securityContext.asNumber": "long",
        "securityContext.asOrg": "keyword",
        "securityContext.isProxy": "boolean",
    },
    "google_workspace": {
        "actor.email": "keyword",
        "events.name": "keyword",
        "events.parameters.is_suspicious": "boolean",
        "events.parameters.login_type": "keyword",
        "events.type": "keyword",
        "ipAddress": "ip",
    },
}
"""Fields that both Sentinel and Splunk have, with their types, for random rules."""
_FIELDS = {
    "azure": ("UserPrincipalName", "AppDisplayName", "DeviceDetail.isManaged: {}"),
    "okta": (
        "actor.alternateId",
        "client.userAgent.os",
        "securityContext.isProxy: {}\n        securityContext.asNumber|lte: 57138",
    ),
    "google_workspace": (
        "actor.email",
        "events.name",
        "events.parameters.is_suspicious: {}",
    ),
}
_KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("event_count", {"condition": {"gte": 1}}),
    ("event_count", {"condition": {"gte": 3}}),
    ("value_count", {"condition": {"gte": 2}}),
    ("temporal", {}),
    ("temporal_ordered", {}),
)


class Sample(NamedTuple):
    """Rules with correlations over one log, events, and for each correlation where it holds."""

    loaded: RuleSet
    events: list[dict[str, Any]]
    records: tuple[Record, ...]
    groups: list[set[tuple[str, ...]]]

    @property
    def correlations(self) -> list[Subject]:
        """The correlations, as they are compiled."""
        made = subjects(self.loaded, load_yaml("pack.yml"), taxonomy())
        return [one for one in made if one.members]


def sample(source: str, seed: int) -> Sample:
    """Many accounts with a few sign-ins each, some to the millisecond at the edges of windows."""
    rng = Random(seed)
    account, value, flag = _FIELDS[source]
    log = sign_in_random.LOGS[source]
    docs = [
        f"title: T\nid: 00000000-0000-4000-8000-00000000000{number}\nname: r{number}\n"
        f"status: test\nlogsource: {log}\ndetection:\n    s:\n        {flag.format(word)}\n"
        "    condition: s\nlevel: low\n"
        for number, word in ((1, "true"), (2, "false"))
    ]
    for number, (kind, more) in enumerate(_KINDS):
        section = {"type": kind, "rules": ["r1", "r2"], "group-by": [account], "timespan": "8s"}
        section |= more
        if kind == "value_count":
            section["condition"] = {"field": value, "gte": 2}
        text = correlation_kit.correlation(section, f"c{number}")
        docs.append(text.replace("0000000000c1", f"0000000000d{number}"))
    events = [
        _event(source, rng, f"{rng.choice('aA')}.lind{group}@corp.example")
        for group in range(30)
        for _ in range(rng.randint(1, 5))
    ]
    loaded = kit.ruleset(*docs)
    lines = [json.dumps(event).encode() for event in events]
    found = correlation_kit.results(loaded, correlation_kit.matches(loaded, *lines))
    by: dict[str, set[tuple[str, ...]]] = {one.id: set() for one in loaded.correlations}
    for one in found:
        by[one.correlation.id].add(tuple(map(fold, one.group)))
    records = search_random.judge(loaded.rules, lines).records
    return Sample(loaded, events, records, [by[one.id] for one in loaded.correlations])


def found_by(engine: Engine, product: Target, profile: Profile, asked: Sample) -> list[Any]:
    """Where an engine finds each correlation of a sample, all of which must compile."""
    made = [product.compile(one, profile) for one in asked.correlations]
    artefacts = [one for one in made if isinstance(one, Artefact)]
    assert len(artefacts) == len(asked.groups), made
    with engine.open(profile) as session:
        session.load(asked.records)
        answers = list(session.ask(artefacts))
    assert not [one.error for one in answers if one.error]
    return [one.groups for one in answers]


def _event(source: str, rng: Random, account: str) -> dict[str, Any]:
    at = f"2026-11-03T14:00:{rng.randint(0, 30):02}.{rng.choice(('000', '000', '001', '999'))}"
    event = sign_in_random.EVENTS[source](rng)
    if source == "okta":
        event["published"] = f"{at}Z"
        event["actor"]["alternateId"] = account
        return event
    if source == "google_workspace":
        event["id"]["time"] = f"{at}Z"
        event["actor"]["email"] = account
        return event
    event["time"] = "2026-11-03T15:00:00Z"
    event["properties"] |= {"createdDateTime": f"{at}0000Z", "userPrincipalName": account}
    return event
