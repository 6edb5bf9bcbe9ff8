"""The parts of search queries, against slow oracles; and what the products import."""

from __future__ import annotations

import json
import operator
from datetime import date
from ipaddress import IPv4Address, ip_network
from typing import Any

import kit
import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st
from lucene_oracle import matches

from molehunt.backends.compiling import compile_all
from molehunt.backends.model import Artefact, Packing, Subject
from molehunt.backends.registry import target
from molehunt.backends.searching import addresses, lucene, numbers
from molehunt.backends.searching.ranges import same_letters
from molehunt.backends.searching.re2tree import Unsaid
from molehunt.backends.subjects import subjects
from molehunt.conditions import FieldIs, Not, Regex, flat
from molehunt.data import load_yaml, techniques
from molehunt.detectors.findings.organisation import Approval, Organisation
from molehunt.detectors.values import as_number, fold
from molehunt.normalise import parse_ip
from molehunt.rule import Rule, RuleSet
from molehunt.taxonomy import taxonomy

RULES = kit.shipped()
TEXTS = st.text("abkKsS_\u212a\u017féÉ0 9.-\n/", max_size=8)
ATOMS = st.sampled_from(
    [
        "a",
        "k",
        "S",
        "é",
        ".",
        "[a-k]",
        "[^s\\d]",
        "\\s",
        "\\S",
        "\\w",
        "\\W",
        "\\d",
        "\\.",
        "[\\w.-]",
    ]
)
EDGES = st.sampled_from(["^", "$", "\\b", "\\B"])


def _join(parts: list[str]) -> str:
    return "".join(parts)


def _patterns(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(_join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,2}", "*?"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    )


PATTERNS = st.recursive(st.one_of(ATOMS, ATOMS, EDGES), _patterns, max_leaves=6)


@settings(max_examples=400)
@given(PATTERNS, st.sampled_from(["", "i", "s", "m", "im"]), st.lists(TEXTS, max_size=6))
def test_regexes_mean_what_they_mean_in_re2(pattern: str, flags: str, texts: list[str]) -> None:
    """Every pattern either is refused or finds what RE2 finds."""
    compiled = re2.compile((f"(?{flags})" if flags else "") + pattern)
    try:
        found = lucene.whole(pattern, flags)
    except Unsaid:
        return
    for text in [*texts, "", "a", "k k", "\n"]:
        expected = compiled.search(text) is not None
        assert any(matches(one, text) for one in found) is expected, (found, text)


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [
        ("(a|^)k", ""), ("k(a|$)", ""), ("\\bk\\b", "i"), ("(^|[ /])k\\b.*a", ""), ("^$", "m"),
        ("(?i)k(?-i:S)", ""), ("[[]k]", ""), ("[]k]", ""), ("k{2,}", ""), ("k{,2}", ""),
        ("(?s).", ""),
    ],
)  # fmt: skip
@settings(max_examples=30)
@given(text=st.text("akKsS\u212a /\n[]{,2}", max_size=6))
def test_chosen_regexes(pattern: str, flags: str, text: str) -> None:
    """Constructs that rules use, and braces and brackets that are text."""
    compiled = re2.compile((f"(?{flags})" if flags else "") + pattern)
    found = lucene.whole(pattern, flags)
    assert any(matches(one, text) for one in found) is (compiled.search(text) is not None)


def test_every_regex_of_the_shipped_rules_is_said() -> None:
    """None is refused, and none is longer than a server takes."""
    seen = {value for rule in RULES.rules for one in rule.conditions for value in _regexes(one)}
    assert len(seen) >= 90
    for value in seen:
        assert all(len(one) <= lucene.MAX_LENGTH for one in lucene.whole(*value))


def _regexes(node: Any) -> list[Regex]:
    if isinstance(node, FieldIs):
        return [value for value in flat(node.value) if isinstance(value, Regex)]
    if isinstance(node, Not):
        return _regexes(node.arg)
    return [value for child in getattr(node, "args", ()) for value in _regexes(child)]


@pytest.mark.parametrize("pattern", ["\\pL", "[[:alpha:]]", "(a|$)*", "\\Qa\\E"])
def test_what_lucene_cannot_say_is_refused(pattern: str) -> None:
    """Not approximated."""
    with pytest.raises(Unsaid):
        lucene.whole(pattern, "")


@given(st.characters(exclude_categories=["Cs"]), st.characters(exclude_categories=["Cs"]))
def test_same_letters_are_those_that_fold_alike(one: str, other: str) -> None:
    """In both directions."""
    assert one in same_letters(one)
    assert (other in same_letters(one)) is (fold(one) == fold(other))


OPERATORS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "!=": operator.ne,
}  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-120, 120), st.sampled_from([0.5, -0.05, 10.25, 1.5, 5900, 65535, -0.0, 99999])
)


@settings(max_examples=500)
@given(NUMBERS, NUMBERS, st.sampled_from(sorted(OPERATORS)), st.data())
def test_numbers_in_text(number: Any, near: Any, word: str, data: st.DataObject) -> None:
    """A text is equal, less or more just if it is so as a number."""
    text = str(data.draw(st.sampled_from([number, near])))
    place = data.draw(st.integers(0, len(text)))
    extra = data.draw(st.sampled_from(["", "", "0", "5", ".", "-", "+", "e"]))
    text = text[:place] + extra + text[place + data.draw(st.integers(0, 1)) :]
    actual = as_number(text)
    is_equal = actual is not None and actual == number
    assert matches(numbers.equal(number), text) is is_equal
    holds = actual is not None and OPERATORS[word](actual, number)
    assert matches(numbers.compared(word, number), text) is holds


NETWORKS = (
    "10.0.0.0/8", "100.64.0.0/10", "224.0.0.0/3", "192.0.2.7/32", "0.0.0.0/0", "::1/128",
    "fc00::/7", "fe80::/10", "2001:db8:0:10::/60", "2000::/3",
)  # fmt: skip
PATTERNS_OF = {one: addresses.network(one) for one in NETWORKS}


@settings(max_examples=300)
@given(st.sampled_from(NETWORKS), st.data())
def test_networks_in_text(network: str, data: st.DataObject) -> None:
    """Addresses in and beside a network, in any spelling, and what is no address."""
    known = ip_network(network)
    first, last = int(known.network_address), int(known.broadcast_address)
    top = 2**known.max_prefixlen - 1
    number = data.draw(
        st.one_of(st.integers(first, last), st.sampled_from([first - 1, first, last, last + 1]))
    )
    text = _spelt(min(max(number, 0), top), known.version, data)
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(text)))
        text = (
            text[:place] + data.draw(st.sampled_from([":", "0", "f", ".", ""])) + text[place + 1 :]
        )
    address = parse_ip(text)
    for one in (network, *NETWORKS[:3]):
        expected = address is not None and address in ip_network(one)
        assert any(matches(p, text) for p in PATTERNS_OF[one]) is expected, (one, text)


def _spelt(number: int, version: int, data: st.DataObject) -> str:
    if version == 4:
        if data.draw(st.booleans()):
            return str(IPv4Address(number))
        number |= 0xFFFF << 32
    groups = [number >> shift & 0xFFFF for shift in range(112, -1, -16)]
    style = data.draw(st.sampled_from(["x", "04x", "X"]))
    parts = [format(group, style) for group in groups]
    if data.draw(st.booleans()):
        parts[6:] = [str(IPv4Address(number & 0xFFFFFFFF))]
    begin = data.draw(st.integers(0, len(parts) - 1))
    end = data.draw(st.integers(begin, len(parts)))
    text = ":".join(parts)
    if end > begin and all(set(part) == {"0"} for part in parts[begin:end]):
        text = ":".join(parts[:begin]) + "::" + ":".join(parts[end:])
    return text + data.draw(st.sampled_from(["", "", "%eth0"]))


def test_a_network_with_mapped_addresses_is_refused() -> None:
    """`::/0` would take an IPv4 address for one of its own."""
    with pytest.raises(Unsaid):
        addresses.network("::/0")


def _artefacts(name: str, rules: RuleSet = RULES) -> list[Artefact]:
    chosen = target(name)
    made = subjects(rules, load_yaml("pack.yml"), taxonomy())
    compiled = compile_all(chosen, chosen.profile(), made)
    return [one for one in compiled if isinstance(one, Artefact)]


@pytest.fixture(scope="module")
def elastic() -> list[Artefact]:
    """All rules for Elastic."""
    return _artefacts("elastic")


@pytest.fixture(scope="module")
def opensearch() -> list[Artefact]:
    """All rules for OpenSearch."""
    return _artefacts("opensearch")


def _packing(organisation: Any = None) -> Packing:
    both = {one.id: one for one in RULES.both}
    return Packing(load_yaml("pack.yml"), both, "0", organisation)


def test_all_rules_over_osquery_are_compiled(
    elastic: list[Artefact], opensearch: list[Artefact]
) -> None:
    """At least 95 in 100 of all single rules."""
    for found in (elastic, opensearch):
        assert len(found) >= 0.95 * len(RULES.rules)


def test_kibana_rules_have_the_documented_form(elastic: list[Artefact]) -> None:
    """The fields and values that Kibana's API asks for."""
    for one in elastic:
        body, rule = one.body, next(r for r in RULES.both if r.id == one.rule)
        assert body["rule_id"] == rule.id
        if one.language == "esql":
            assert (body["type"], body["language"]) == ("esql", "esql")
            assert body["query"].startswith(one.query["query"])
            assert "filters" not in body and "index" not in body
        else:
            assert (body["type"], body["language"]) == ("query", "kuery")
            assert body["filters"][0]["query"] == one.query
        assert body["severity"] in ("low", "medium", "high", "critical")
        assert 0 <= body["risk_score"] <= 100
        assert body["description"]
        # The package adds it: what is compiled does not depend on the lock of its hashes.
        assert "version" not in body
        assert not body["enabled"]
        assert body["note"].startswith("## ")
        for threat in body["threat"]:
            slug = threat["tactic"]["name"].lower().replace(" ", "-")
            assert threat["tactic"]["id"].startswith("TA")
            for technique in threat["technique"]:
                numbers_ = [technique["id"], *(s["id"] for s in technique["subtechnique"])]
                assert all(number.startswith(technique["id"]) for number in numbers_)
                # A technique stands below a tactic that it belongs to.
                assert any(slug in techniques()[number]["tactics"] for number in numbers_)


def test_every_technique_of_a_rule_is_in_its_threats(elastic: list[Artefact]) -> None:
    """None is dropped."""
    for one in elastic:
        rule = next(r for r in RULES.both if r.id == one.rule)
        shown = {
            number
            for threat in one.body["threat"]
            for technique in threat["technique"]
            for number in (technique["id"], *(s["id"] for s in technique["subtechnique"]))
        }
        assert set(rule.techniques) <= shown, rule.title


def test_packages_are_the_same_bytes_each_time(
    elastic: list[Artefact], opensearch: list[Artefact]
) -> None:
    """Whatever the order of the artefacts."""
    for name, found in (("elastic", elastic), ("opensearch", opensearch)):
        package = target(name).package
        assert package(found, _packing()) == package(found[::-1], _packing())
    lines = target("elastic").package(elastic, _packing())["rules.ndjson"].splitlines()
    rules = list(map(json.loads, lines))
    assert [rule["rule_id"] for rule in rules] == sorted(one.rule for one in elastic)
    assert all(rule["version"] >= 1 for rule in rules) and any(
        rule["version"] > 1 for rule in rules
    )


def _approval(**more: Any) -> Approval:
    plain: dict[str, Any] = {
        "what": frozenset({"anydesk"}),
        "group": "support",
        "hosts": ("help-*", "desk-01"),
        "owner": "it",
        "reason": "help desk",
        "start": None,
        "end": date(2026, 12, 31),
        "line": 1,
    }
    return Approval(**plain | more)


def test_approvals_become_exceptions_that_end(elastic: list[Artefact]) -> None:
    """Items of a list of the rule, with the day on which they end; other rules have none."""
    given_ = Organisation(approvals=(_approval(),))
    text = target("elastic").package(elastic, _packing(given_))["rules.ndjson"]
    lines = [json.loads(line) for line in text.splitlines()]
    rules = [line for line in lines if line.get("exceptions_list")]
    about = {r.id for r in RULES.rules if r.meta.subject == "anydesk"}
    assert about
    assert {rule["rule_id"] for rule in rules} == about & {one.rule for one in elastic}
    items = [line for line in lines if "item_id" in line]
    assert {item["expire_time"] for item in items} == {"2026-12-31T00:00:00.000Z"}
    assert {item["entries"][0]["value"] for item in items} == {
        "help-*", "HELP-*", "desk-01", "DESK-01",
    }  # fmt: skip
    lists = [line["list_id"] for line in lines if line.get("type") == "detection"]
    assert {rule["exceptions_list"][0]["list_id"] for rule in rules} == set(lists)


def test_an_approval_that_begins_later_does_not_hide_what_was_before(
    elastic: list[Artefact],
) -> None:
    """It is a filter with both days."""
    given_ = Organisation(approvals=(_approval(start=date(2026, 12, 1)),))
    text = target("elastic").package(elastic, _packing(given_))["rules.ndjson"]
    bodies = [json.loads(line) for line in text.splitlines()]
    changed = [body for body in bodies if len(body.get("filters", ())) > 1]
    assert changed
    for body in changed:
        (not_,) = body["filters"][1]["query"]["bool"]["must_not"]
        assert not_["bool"]["filter"][0]["range"]["@timestamp"] == {
            "gte": "2026-12-01T00:00:00.000Z",
            "lt": "2026-12-31T00:00:00.000Z",
        }


def test_monitors_have_the_documented_form(opensearch: list[Artefact]) -> None:
    """A query-level monitor with one trigger; what alerts nobody is switched off."""
    for one in opensearch:
        rule = next(r for r in RULES.rules if r.id == one.rule)
        body = one.body
        assert body["monitor_type"] == "query_level_monitor"
        (trigger,) = body["triggers"]
        assert trigger["query_level_trigger"]["id"] == rule.id
        search = body["inputs"][0]["search"]
        logs = {"okta": "okta-*", "azure": "entra-signins-*"}
        assert search["indices"] == [logs.get(rule.product or "", "osquery-*")]
        assert search["query"]["query"]["bool"]["filter"][1] == one.query
        if rule.meta.context_only:
            assert body["enabled"] is False


def test_what_a_store_cannot_say_is_refused_with_a_code() -> None:
    """Fields against fields, parts of times, words in any column, decorations that are not kept."""
    cases = {
        "field_reference": "sel:\n    cmdline|fieldref: path\ncondition: sel",
        "time_part": "sel:\n    cmdline|hour: 3\ncondition: sel",
        "keywords": "sel:\n    - word\ncondition: sel",
        "decorations": "sel:\n    decorations.x: y\ncondition: sel",
    }
    for code, detection in cases.items():
        rule: Rule = kit.rule(detection)
        made = subjects(RuleSet((rule,)), load_yaml("pack.yml"), taxonomy())
        chosen = target("elastic")
        (found,) = (chosen.compile(one, chosen.profile()) for one in made)
        assert getattr(found, "code", "") == code


def test_a_rule_on_a_log_that_is_not_kept_is_refused() -> None:
    """Google's events have their parameters in a list of names and values."""
    chosen = target("opensearch")
    google = next(r for r in RULES.rules if r.product == "gcp")
    made = [s for s in subjects(RULES, load_yaml("pack.yml"), taxonomy()) if s.rule is google]
    assert isinstance(made[0], Subject)
    assert getattr(chosen.compile(made[0], chosen.profile()), "code", "") == "other_log"
