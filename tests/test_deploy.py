"""`molehunt deploy` against servers that keep the contracts of Kibana and Fleet."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from contract_servers import Fleet, Kibana, running
from hypothesis import given
from hypothesis import strategies as st

from molehunt.backends.deploying import http
from molehunt.backends.deploying.fleet import MARK
from molehunt.backends.deploying.http import Server, secret_of
from molehunt.backends.deploying.kibana import KibanaRules, kibana_server
from molehunt.backends.deploying.plan import DeployError, Item, Verb, carry_out, make_plan
from molehunt.cli import main
from molehunt.exits import Exit

WANTED: dict[str, dict[str, Any]] = {
    f"r{n}": {"name": f"Rule {n}", "query": f"a:{n}", "tags": ["x"], "risk_score": n}
    for n in range(5)
}


@pytest.fixture
def kibana() -> Iterator[tuple[Kibana, str]]:
    """A Kibana with a rule of a user's own and one of Elastic's, and its URL."""
    contract = Kibana()
    contract.rules["theirs"] = {"rule_id": "theirs", "id": "1", "name": "My own", "enabled": True}
    contract.rules["r4"] = {
        "rule_id": "r4",
        "id": "2",
        "name": "Elastic's",
        "immutable": True,
        "enabled": True,
    }
    with running(contract) as url:
        yield contract, url


# Two rules are enough where it does not matter which queries the pack has.
FEW = [
    "--rules",
    "rules/kvm_over_ip/osquery_usb_devices_kvm.yml",
    "--rules",
    "rules/remote_desktop/proc_creation_linux_anydesk.yml",
]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Fleet, str]]:
    """A Fleet server with a query of a user's own, and its URL; the token is in the environment."""
    monkeypatch.setenv("MOLEHUNT_API_KEY", "c2VjcmV0")
    contract = Fleet()
    contract.queries[1] = {"id": 1, "name": "mine", "query": "SELECT 1", "description": "mine"}
    contract.number = 1
    with running(contract) as url:
        yield contract, url


def _rules(url: str) -> KibanaRules:
    return KibanaRules(kibana_server(url, Kibana.secret), WANTED)


def _go(url: str, wanted: Mapping[str, Any], prune: bool = False) -> int:
    rules = _rules(url)
    plan = make_plan(wanted, rules.present(), rules.kept, prune)
    carry_out(rules, plan, lambda _: None)
    return len(plan.steps)


def test_twice(kibana: tuple[Kibana, str]) -> None:
    """The second time there is nothing to do; what is not ours is as it was."""
    contract, url = kibana
    before = json.dumps([contract.rules["theirs"], contract.rules["r4"]])
    assert _go(url, WANTED) == 4
    assert _go(url, WANTED) == 0
    assert {key: contract.rules[key]["query"] for key in ("r0", "r3")} == {"r0": "a:0", "r3": "a:3"}
    assert json.dumps([contract.rules["theirs"], contract.rules["r4"]]) == before


def test_keeps(kibana: tuple[Kibana, str]) -> None:
    """A change leaves what people have set in Kibana, and replaces the rest."""
    contract, url = kibana
    _go(url, WANTED)
    mine = {"enabled": False, "exceptions_list": [{"id": "e"}], "actions": [{"id": "mail"}]}
    contract.rules["r1"] |= {**mine, "query": "edited by hand"}
    assert _go(url, WANTED) == 1
    assert {name: contract.rules["r1"][name] for name in mine} == mine
    assert contract.rules["r1"]["query"] == "a:1"


def test_prune(kibana: tuple[Kibana, str]) -> None:
    """What we no longer ship goes only if that is asked for; nobody else's ever does."""
    contract, url = kibana
    _go(url, WANTED)
    fewer = {key: body for key, body in WANTED.items() if key != "r2"}
    assert _go(url, fewer) == 0 and "r2" in contract.rules
    assert _go(url, fewer, prune=True) == 1
    assert set(contract.rules) == {"theirs", "r0", "r1", "r3", "r4"}


@pytest.mark.parametrize("fault", ["before", "after", 500, 503])
def test_interrupted_anywhere(kibana: tuple[Kibana, str], fault: str | int) -> None:
    """Whichever request is the last, the next run brings everything to the same end."""
    contract, url = kibana
    foreign = dict(contract.rules)
    changed = {key: {**body, "query": "new"} for key, body in WANTED.items() if key != "r0"}
    told: list[str] = []
    for number in range(8):
        contract.rules = dict(foreign)
        contract.fails, contract.log = {}, []
        _go(url, WANTED)
        contract.log, contract.fails = [], {number: fault}
        http_tries, http.TRIES = http.TRIES, 1
        try:
            _go(url, changed, prune=True)
        except DeployError as error:
            told.append(str(error))
        finally:
            http.TRIES = http_tries
        contract.fails = {}
        _go(url, changed, prune=True)
        assert set(contract.rules) == {"theirs", "r1", "r2", "r3", "r4"}
        assert all(contract.rules[key]["query"] == "new" for key in ("r1", "r2", "r3"))
        assert contract.rules["r4"] == foreign["r4"]
    assert told and not any("c2VjcmV0" in text for text in told)


def test_busy(kibana: tuple[Kibana, str]) -> None:
    """A server that is busy is asked again."""
    contract, url = kibana
    contract.fails = {0: 429, 2: 429}
    assert _go(url, WANTED) == 4
    assert contract.log[:2] == [("GET", "/api/detection_engine/rules/_find")] * 2


def test_lost_creation_is_not_sent_twice(kibana: tuple[Kibana, str]) -> None:
    """When a creation goes unanswered it may have been done, so it is not sent again."""
    contract, url = kibana
    contract.fails = {1: "after"}
    with pytest.raises(DeployError, match="POST"):
        _go(url, WANTED)
    assert [method for method, _ in contract.log].count("POST") == 1


def test_pages(kibana: tuple[Kibana, str]) -> None:
    """All pages are read."""
    contract, url = kibana
    for n in range(205):
        contract.rules[f"user{n}"] = {"rule_id": f"user{n}", "id": f"u{n}"}
    assert len(_rules(url).present()) == 207


def test_space(kibana: tuple[Kibana, str]) -> None:
    """A space has its own path."""
    contract, url = kibana
    contract.space = "soc"
    rules = KibanaRules(kibana_server(url, Kibana.secret), WANTED, "soc")
    assert len(rules.present()) == 2
    with pytest.raises(DeployError, match="404"):
        _rules(url).present()


@pytest.mark.parametrize(
    ("secret", "text"), [("", "401: not let in; set MOLEHUNT_API_KEY"), ("ApiKey wrong", "401")]
)
def test_not_let_in(kibana: tuple[Kibana, str], secret: str, text: str) -> None:
    """Without the right key it says what to set."""
    with pytest.raises(DeployError, match=text):
        KibanaRules(kibana_server(kibana[1], secret), WANTED).present()


def test_redirect(kibana: tuple[Kibana, str]) -> None:
    """A redirect is not followed: it could lead the key elsewhere."""
    kibana[0].fails = {0: 302}
    with pytest.raises(DeployError, match="redirected"):
        _rules(kibana[1]).present()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://kibana.example", "in the clear"),
        ("https://user:pass@kibana.example", "password in it"),
        ("ftp://kibana.example", "not an http"),
        ("kibana.example", "not an http"),
    ],
)
def test_bad_url(url: str, text: str) -> None:
    """What would give the key away, or is no URL, is refused; the password is not repeated."""
    with pytest.raises(DeployError, match=text) as raised:
        Server(url, "ApiKey c2VjcmV0")
    assert "pass@" not in str(raised.value)


def test_secret_is_not_shown() -> None:
    """Not even to somebody who prints the server."""
    assert "c2VjcmV0" not in repr(Server("https://kibana.example", "ApiKey c2VjcmV0"))


def test_certificate_is_checked(tmp_path: Path) -> None:
    """A server whose certificate nobody signed is not spoken to; with --ca it is."""
    certificate = tmp_path / "ca.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with running(Kibana(), context) as url:
        there = url.replace("127.0.0.1", "localhost").replace("http:", "https:")
        with pytest.raises(DeployError, match="CERTIFICATE_VERIFY_FAILED"):
            KibanaRules(kibana_server(there, Kibana.secret), WANTED).present()
        rules = KibanaRules(kibana_server(there, Kibana.secret, str(certificate)), WANTED)
        assert rules.present() == []


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({}, ""),
        ({"MOLEHUNT_API_KEY": " k\n"}, "ApiKey k"),
        ({"MOLEHUNT_USER": "u", "MOLEHUNT_PASSWORD": "p"}, "Basic dTpw"),
        ({"MOLEHUNT_USER": "u"}, ""),
    ],
)
def test_secret(environment: dict[str, str], header: str) -> None:
    """Key before user; half a user is none."""
    assert secret_of(environment, "ApiKey") == header


def test_elastic(
    kibana: tuple[Kibana, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules as compiled for Elastic: switched off at first, and the user's switch stays."""
    monkeypatch.setenv("MOLEHUNT_API_KEY", Kibana.secret.removeprefix("ApiKey "))
    contract, url = kibana
    arguments = ["deploy", "-t", "elastic", "--url", url, *FEW, "--apply"]
    assert main(arguments) == Exit.DONE
    assert "2 of 2 done" in capsys.readouterr().out
    (usb,) = [rule for rule in contract.rules.values() if rule["name"].startswith("KVM")]
    assert usb["type"] == "query" and usb["filters"] and usb["enabled"] is False
    usb["enabled"] = True
    assert main(arguments) == Exit.DONE
    assert "0 of 0 done, 2 as they should be" in capsys.readouterr().out
    usb["severity"] = "low"
    assert main(arguments) == Exit.DONE
    assert "severity: +high" in capsys.readouterr().out
    again = contract.rules[usb["rule_id"]]
    assert again["enabled"] is True and again["severity"] == "high"


def test_fleet(fleet: tuple[Fleet, str], capsys: pytest.CaptureFixture[str]) -> None:
    """As a user does it: plan, apply, again, remove. Nothing is changed without --apply."""
    contract, url = fleet
    arguments = ["deploy", "-t", "fleet", "--url", url]
    assert main(arguments) == Exit.DONE
    out = capsys.readouterr().out
    assert "create query molehunt_" in out and "--apply does it" in out
    assert {method for method, _ in contract.log} == {"GET"}
    assert main([*arguments, "--apply"]) == Exit.DONE
    out = capsys.readouterr().out
    number = len(contract.queries) - 1
    assert number > 50 and f"{number} of {number} done" in out
    processes = next(q for q in contract.queries.values() if q["name"].endswith("processes_linux"))
    assert processes["platform"] == "linux" and processes["logging"] == "differential"
    processes["automations_enabled"] = False
    processes["interval"] = 1
    assert main([*arguments, "--apply"]) == Exit.DONE
    assert "1 of 1 done" in capsys.readouterr().out
    assert processes["interval"] > 1 and processes["automations_enabled"] is False
    assert main([*arguments, "--apply", "--remove"]) == Exit.DONE
    assert [one["name"] for one in contract.queries.values()] == ["mine"]


def test_fleet_team(fleet: tuple[Fleet, str]) -> None:
    """A team's queries are apart from those of all hosts."""
    contract, url = fleet
    assert (
        main(["deploy", "-t", "fleet", "--url", url, *FEW, "--team", "7", "--apply"]) == Exit.DONE
    )
    assert {one.get("team_id") for one in contract.queries.values()} == {None, 7}
    assert main(["deploy", "-t", "fleet", "--url", url, *FEW, "--apply", "--prune"]) == Exit.DONE
    teams = [one.get("team_id") for one in contract.queries.values()]
    assert teams.count(7) == teams.count(None) - 1


def test_fleet_foreign(fleet: tuple[Fleet, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A query of one of our names that somebody else made is left, and said so."""
    contract, url = fleet
    theirs = {"id": 9, "name": "molehunt_processes_linux", "query": "SELECT 2", "description": ""}
    contract.queries[9], contract.number = dict(theirs), 9
    assert main(["deploy", "-t", "fleet", "--url", url, *FEW, "--apply", "--prune"]) == Exit.DONE
    assert "it is there and not molehunt's" in capsys.readouterr().out
    assert contract.queries[9] == theirs
    assert all(
        q["description"].endswith(MARK) for n, q in contract.queries.items() if n not in (1, 9)
    )


def test_fleet_fails(fleet: tuple[Fleet, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A failure half-way is told with what was done, and what to do."""
    fleet[0].fails = {4: 500}
    assert main(["deploy", "-t", "fleet", "--url", fleet[1], *FEW, "--apply"]) == Exit.BAD_INPUT
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("3 of ")
    assert "500: made to fail" in said.err and "run it again" in said.err
    assert "c2VjcmV0" not in said.out + said.err


def test_options(capsys: pytest.CaptureFixture[str]) -> None:
    """Options of the other target are wrong usage."""
    wrong = ["deploy", "-t", "fleet", "--url", "https://fleet.example", "--space", "x"]
    assert main(wrong) == Exit.USAGE
    assert "--space is for elastic" in capsys.readouterr().err


_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("xy", max_size=1), inner),
    max_leaves=5,
)
_bodies = st.dictionaries(
    st.sampled_from(["name", "query", "enabled", "actions"]), _values, min_size=1
)
_keys = st.sampled_from(["r0", "r1", "r2", "r3"])


@given(
    st.dictionaries(_keys, _bodies),
    st.dictionaries(_keys, st.tuples(_bodies, st.booleans())),
    st.booleans(),
)
def test_plan(
    wanted: dict[str, Any], there: dict[str, tuple[dict[str, Any], bool]], prune: bool
) -> None:
    """Carried out on what is there, a plan leaves nothing to do; it touches nothing foreign, and
    leaves what the user keeps."""
    kept = frozenset({"enabled", "actions"})
    items = {key: Item(key, body, owned) for key, (body, owned) in there.items()}
    after = dict(items)
    for step in make_plan(wanted, list(items.values()), kept, prune).steps:
        assert step.item is None or step.item.owned
        if step.verb is Verb.REMOVE:
            assert prune and step.key not in wanted
            del after[step.key]
            continue
        if step.item is not None:
            for name in kept & step.item.body.keys():
                assert step.body[name] == step.item.body[name]
        after[step.key] = Item(step.key, step.body, owned=True)
    again = make_plan(wanted, list(after.values()), kept, prune)
    assert not again.steps
    assert {key: item for key, item in after.items() if not item.owned} == {
        key: item for key, item in items.items() if not item.owned
    }
