"""Sign-in logs in OpenSearch: events as their services write them, and what is refused."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import kit
import pytest
import search_random
import sign_in_random

from molehunt.backends.compiling import compile_all
from molehunt.backends.model import Artefact, Refusal
from molehunt.backends.opensearch.layouts import LAYOUT, templates
from molehunt.backends.opensearch.signins import SIGN_INS, entra_document, okta_document
from molehunt.backends.registry import target
from molehunt.backends.searching.events import get_at
from molehunt.backends.searching.session import SearchSession
from molehunt.backends.subjects import subjects
from molehunt.data import load_yaml
from molehunt.detectors.records import Record
from molehunt.taxonomy import taxonomy

# What needs more than a log, and logs that are not compiled for.
BEYOND = ("no_input", "hunt_only")
RULES = kit.shipped()
OPENSEARCH = target("opensearch")
KEPT = ("okta", "azure")


def record(event: dict[str, Any]) -> Record:
    """An event as read from a log."""
    rules = [kit.rule("s:\n    x: y\ncondition: s", log) for log in sign_in_random.LOGS.values()]
    (found,) = search_random.judge(rules, [json.dumps(event).encode()]).records
    return found


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """What an index keeps of a document: dotted names and values, of lists each one."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from flat(one, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for one in value:
            yield from flat(one, name)
    else:
        yield name, json.dumps(value)


def test_an_okta_event_is_kept_as_it_is() -> None:
    """Every name and value, and the time at which it came."""
    event = sign_in_random.okta(Random(1)) | {
        "target": [{"alternateId": "x", "id": "1"}, {"alternateId": "y", "id": None}],
        "debugContext": {"debugData": {"risk": "{level=HIGH}", "url": "/a?"}},
    }
    found = okta_document(record(event))
    assert Counter(flat(event)) == Counter(
        (name, value) for name, value in flat(found) if name != "@timestamp"
    )
    assert "@timestamp" in found


def test_an_entra_record_is_kept_as_it_is() -> None:
    """The record's names are those of the diagnostic settings, not those of the table."""
    event = sign_in_random.azure(Random(2))
    event["properties"]["deviceDetail"] = {"isManaged": False, "operatingSystem": "MacOs"}
    found = entra_document(record(event))
    known = dict(flat(found))
    given = dict(flat(event["properties"], "properties"))
    assert given.keys() == {name for name in known if name.startswith("properties.")}
    assert all(known[name] == value for name, value in given.items() if "risk" not in name)
    for name in ("category", "resultType", "location"):
        assert found[name] == event[name]


@pytest.mark.parametrize("source", KEPT)
def test_every_field_has_its_type(source: str) -> None:
    """What rules may ask is mapped as it is asked, so that the first event decides nothing."""
    log = SIGN_INS[source]
    mapped = templates()[f"molehunt-{log.package}"]["template"]["mappings"]
    assert mapped["date_detection"] is False
    for one in log.fields.values():
        kind = get_at(mapped["properties"], one.name.replace(".", ".properties."))
        assert kind["type"] == one.type
        assert kind.get("ignore_malformed", False) is (one.type != "keyword")


def test_the_shipped_rules() -> None:
    """All compile over the log's own index but those that need more than a log."""
    products = {"okta", "azure", "gcp"}
    mine = {rule.id: rule for rule in RULES.rules if rule.product in products}
    made = [one for one in subjects(RULES, load_yaml("pack.yml"), taxonomy())
            if one.rule.id in mine]  # fmt: skip
    found = compile_all(OPENSEARCH, OPENSEARCH.profile(), made)
    refused = [one for one in found if isinstance(one, Refusal) and one.code not in BEYOND]
    unasked = [one for one in found if isinstance(one, Refusal) and one.code in BEYOND]
    assert {one.code for one in refused} == {"other_log", "field_reference"}
    for one in refused:
        assert (one.code == "other_log") is (mine[one.rule].product == "gcp")
    indices: Counter[str] = Counter()
    for one in found:
        if isinstance(one, Artefact):
            (index,) = one.body["inputs"][0]["search"]["indices"]
            indices[index] += 1
            assert index in one.body["ui_metadata"]["molehunt"]["needs"]
            assert "osquery" not in json.dumps(
                [one.query, one.body["ui_metadata"]["molehunt"]["needs"]]
            )
    assert set(indices) == {"okta-*", "entra-signins-*"}
    assert indices.total() + len(refused) + len(unasked) == len(mine)
    assert indices.total() >= 26


def test_what_cannot_be_asked_is_refused() -> None:
    """A field that is not in the table, and what a type cannot be asked for."""
    cases = {
        "unknown_field": "debugContext.debugData.url: x",
        "typed": "client.ipAddress|startswith: '192.'",
        "empty_text": "client.userAgent.os: ''",
        "field_reference": "target.alternateId|fieldref: actor.alternateId",
    }
    for code, item in cases.items():
        rule = kit.rule(f"s:\n    {item}\ncondition: s", sign_in_random.LOGS["okta"])
        _, (refused,) = search_random.compiled(OPENSEARCH, OPENSEARCH.profile(), [rule])
        assert refused.code == code


def test_the_network_is_the_one_that_was_logged() -> None:
    """The number of the network is asked of the log, which is a declared difference."""
    names = {"okta": "securityContext.asNumber", "azure": "properties.autonomousSystemNumber"}
    for source, name in names.items():
        detection = "s:\n    source.as.number: 64500\ncondition: s"
        rule = kit.rule(detection, sign_in_random.LOGS[source])
        (made,), _ = search_random.compiled(OPENSEARCH, OPENSEARCH.profile(), [rule])
        assert f'"{name}": {{"value": 64500}}' in json.dumps(made.query)
        assert "network_database" in made.differences


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A real OpenSearch. Where it cannot be had the tests are skipped, which in CI fails."""
    (engine,) = OPENSEARCH.engines
    why = engine.missing()
    if why:
        pytest.skip(f"NOT PROVEN on {engine.name}: it needs {why}")
    with engine.open(OPENSEARCH.profile()) as session:
        yield session


@pytest.fixture
def logged(server: Any, request: pytest.FixtureRequest) -> Iterator[SearchSession]:
    """An index with nothing but the template of one log, as a user has it."""
    log = SIGN_INS[request.param]
    template = templates()[f"molehunt-{log.package}"]
    alone = replace(LAYOUT, template=lambda: template, signins={request.param: log})
    session = SearchSession(server.send, alone)
    try:
        yield session
    finally:
        session.remove()


def both(session: SearchSession, rule: Any, *events: Any) -> tuple[list[int], list[int]]:
    """The events that the server finds, and those that the evaluator does."""
    given = search_random.judge([rule], [json.dumps(one).encode() for one in events])
    (artefact,), _ = search_random.compiled(OPENSEARCH, OPENSEARCH.profile(), [rule])
    session.load(given.records)
    (answer,) = session.ask([artefact])
    assert not answer.error, answer.error
    assert answer.found is not None
    return sorted(answer.found), sorted(given.matched[rule.id])


@pytest.mark.parametrize(("logged", "source"), [(one, one) for one in KEPT], indirect=["logged"])
def test_random_rules_on_random_sign_ins(logged: SearchSession, source: str) -> None:
    """Events of clean types, and rules over all fields of the table."""
    seed = 0 if os.environ.get("CI") else int.from_bytes(os.urandom(3))
    rng = Random(seed)
    fields = {
        name: "boolean" if name.endswith(("anaged", "isProxy", "IsInteractive")) else one.type
        for name, one in SIGN_INS[source].fields.items()
        if not one.difference
    }
    lines = [sign_in_random.line(source, rng) for _ in range(60)]
    # Fields that the events have, so that something is found.
    seen = {name for one in search_random.judge([], lines).records for name in one.values}
    fields = {name: kind for name, kind in fields.items() if name in seen or rng.random() < 0.2}
    texts = [sign_in_random.rule_text(source, fields, rng, n) for n in range(80)]
    given = search_random.judge(kit.ruleset(*texts).rules, lines)
    assert len(given.records) == len(lines)
    artefacts, refused = search_random.compiled(OPENSEARCH, OPENSEARCH.profile(), given.rules)
    assert {one.code for one in refused} <= {"constant"}
    logged.load(given.records)
    wrong = search_random.disagreements(logged, artefacts, given, LAYOUT.limit)
    assert not wrong, "\n".join([f"seed {seed}, {len(wrong)} wrong", *wrong[:3]])
    assert sum(len(given.matched[one.rule]) for one in artefacts) >= len(artefacts)


@pytest.mark.parametrize("logged", ["okta"], indirect=True)
def test_okta_at_its_declared_limits(logged: SearchSession) -> None:
    """Null and empty are missing there, and so is an address that is none; as is declared."""
    detection = "s:\n    client.ipAddress|exists: true\ncondition: s"
    rule = kit.rule(detection, sign_in_random.LOGS["okta"])
    events = [
        sign_in_random.okta(Random(0)) | {"client": {"ipAddress": address}}
        for address in ("192.0.2.7", None, "", "unknown")
    ]
    assert both(logged, rule, *events) == ([0], [0, 1, 2, 3])
    (artefact,), _ = search_random.compiled(OPENSEARCH, OPENSEARCH.profile(), [rule])
    assert {"null_is_missing", "typed_field"} <= set(artefact.differences)


@pytest.mark.parametrize("logged", ["okta"], indirect=True)
def test_no_event_is_refused_for_what_it_says_beside(logged: SearchSession) -> None:
    """Unknown names may have another kind of value each time, and look like times."""
    rule = kit.rule("s:\n    device.managed: false\ncondition: s", sign_in_random.LOGS["okta"])
    odd = (True, 7, 1.5, "2026-11-03", "no time", None, ["x", "y"])
    events = [
        sign_in_random.okta(Random(0))
        | {
            "device": {"managed": managed, "other": one},
            "debugContext": {"debugData": {"url": one}},
            "transaction": {"id": "t", "detail": {"x": one} if number % 2 else {"x": {"y": one}}},
        }
        for number, one in enumerate(odd)
        for managed in (False, "", "false", "unknown")
    ]
    for some in (events, events[::-1]):
        theirs, ours = both(logged, rule, *some)
        assert theirs == ours
        assert len(ours) == 2 * len(odd)


@pytest.mark.parametrize("logged", ["azure"], indirect=True)
def test_only_sign_ins_of_users(logged: SearchSession) -> None:
    """A sign-in of a program has no user, and a risk that Entra tells of is no sign-in."""
    rule = kit.rule("s:\n    ResultType: 0\ncondition: s", sign_in_random.LOGS["azure"])
    event = sign_in_random.azure(Random(0)) | {"resultType": "0"}
    categories = ("NonInteractiveUserSignInLogs", "SignInLogs", "SignInLogs", "ADFSSignInLogs")
    events = [event | {"category": one} for one in categories]
    assert both(logged, rule, *events) == ([0, 1, 2, 3], [0, 1, 2, 3])
    program, risk = (entra_document(record(one)) for one in events[:2])
    program["properties"].pop("userPrincipalName")
    risk["category"] = "UserRiskEvents"
    for number, document in enumerate((program, risk)):
        logged.send("PUT", f"/{logged.index}/_doc/{number}?refresh=true", (document,))
    (artefact,), _ = search_random.compiled(OPENSEARCH, OPENSEARCH.profile(), [rule])
    (answer,) = logged.ask([artefact])
    assert answer.found == {2, 3}
