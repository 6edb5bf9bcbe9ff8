"""`molehunt deploy -t opensearch` against a server that keeps OpenSearch's contract.

tests/test_stored_queries.py has what a real server says of the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_opensearch import OpenSearch, said_back
from contract_servers import running

from molehunt.backends.deploying import http
from molehunt.backends.deploying.querydsl import canonical
from molehunt.cli import main
from molehunt.exits import Exit

KVM = "rules/kvm_over_ip/osquery_usb_devices_kvm.yml"
DESK = "rules/remote_desktop/proc_creation_linux_anydesk.yml"
DESK_ID = "0aaec345-475b-5a49-9e79-eacf7a116087"
FEW = ["--rules", KVM, "--rules", DESK]
TEMPLATES = {"molehunt-osquery", "molehunt-okta", "molehunt-entra"}


@pytest.fixture(params=[True, False], ids=["alerting", "plain"])
def server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[OpenSearch, str]]:
    """A server with and without the alerting plugin, things of somebody else's on it."""
    yield from _server(request.param, monkeypatch)


@pytest.fixture
def alerting(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[OpenSearch, str]]:
    """One with the plugin."""
    yield from _server(True, monkeypatch)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[OpenSearch, str]]:
    """One without."""
    yield from _server(False, monkeypatch)


def _server(alerting: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[OpenSearch, str]]:
    monkeypatch.setenv("MOLEHUNT_USER", "u")
    monkeypatch.setenv("MOLEHUNT_PASSWORD", "p")
    contract = OpenSearch(alerting)
    contract.templates["molehunt-own"] = {"index_patterns": ["x"], "_meta": {}}
    contract.monitors["theirs"] = {"name": "Mine", "type": "monitor", "triggers": []}
    contract.saved["theirs"] = 0
    with running(contract) as url:
        yield contract, url


def _deploy(url: str, *more: str, rules: list[str] = FEW) -> Exit:
    return Exit(main(["deploy", "-t", "opensearch", "--url", url, *rules, *more]))


def _state(contract: OpenSearch) -> str:
    return json.dumps(contract.state(), sort_keys=True)


def test_plan_apply_again_remove(
    server: tuple[OpenSearch, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing without --apply; the second time there is nothing to do; all of it goes again."""
    contract, url = server
    before = _state(contract)
    assert _deploy(url) == Exit.DONE
    assert "--apply does it" in capsys.readouterr().out
    assert _state(contract) == before
    assert _deploy(url, "--apply") == Exit.DONE
    number = 5 if contract.alerting else 6
    assert f"{number} of {number} done" in capsys.readouterr().out
    assert set(contract.templates) == {*TEMPLATES, "molehunt-own"}
    assert len(contract.monitors) == (3 if contract.alerting else 1)
    assert len(contract.documents) == (0 if contract.alerting else 2)
    after = _state(contract)
    assert _deploy(url, "--apply") == Exit.DONE
    assert f"0 of 0 done, {number} as they should be" in capsys.readouterr().out
    assert _state(contract) == after
    assert _deploy(url, "--apply", "--remove") == Exit.DONE
    assert _state(contract) == before


@pytest.mark.parametrize("fault", ["before", "after", 500])
def test_interrupted_anywhere(
    server: tuple[OpenSearch, str], fault: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever request is the last, the next run brings everything to the same end."""
    contract, url = server
    monkeypatch.setattr(http, "TRIES", 1)
    before = contract.state()
    assert _deploy(url, "--apply", "--prune", rules=["--rules", KVM]) == Exit.DONE
    wanted, requests = contract.state(), len(contract.log)
    failed = 0
    for number in range(requests + 2):
        contract.templates, contract.indices = dict(before["templates"]), {}
        contract.documents.clear()
        contract.monitors = {"theirs": before["monitors"]["Mine"]}
        # First another set of rules, so that there is something to add, change and take away.
        contract.fails, contract.log = {}, []
        assert _deploy(url, "--apply", rules=["--rules", DESK]) == Exit.DONE
        contract.templates = dict(before["templates"])
        contract.fails, contract.log = {number: fault}, []
        failed += _deploy(url, "--apply", "--prune", rules=["--rules", KVM]) == Exit.BAD_INPUT
        contract.fails = {}
        assert _deploy(url, "--apply", "--prune", rules=["--rules", KVM]) == Exit.DONE
        # Columns of a rule that is gone stay mapped; a mapping only ever grows.
        found = contract.state()
        assert {**found, "indices": 0} == {**wanted, "indices": 0}
        assert set(found["indices"]) == set(wanted["indices"])
    assert failed >= requests - 1


def test_what_people_set_stays(
    alerting: tuple[OpenSearch, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether a monitor runs, its actions and more triggers; the rest is as compiled."""
    contract, url = alerting
    _deploy(url, "--apply")
    ours = next(one for one in contract.monitors.values() if "AnyDesk" in one["name"])
    ours["enabled"] = not ours["enabled"]
    enabled = ours["enabled"]
    trigger = ours["triggers"][0]["query_level_trigger"]
    assert trigger["id"] == DESK_ID
    trigger["actions"] = [{"name": "mail", "destination_id": "d"}]
    own = {"query_level_trigger": {"id": "own", "name": "more", "actions": []}}
    ours["triggers"].append(own)
    capsys.readouterr()
    assert _deploy(url, "--apply") == Exit.DONE
    assert "0 of 0 done" in capsys.readouterr().out
    ours["schedule"]["period"]["interval"] = 1
    assert _deploy(url, "--apply") == Exit.DONE
    assert '"interval": 5' in capsys.readouterr().out
    again = next(one for one in contract.monitors.values() if "AnyDesk" in one["name"])
    assert again["schedule"]["period"]["interval"] == 5
    assert again["enabled"] is enabled
    first, second = again["triggers"]
    assert first["query_level_trigger"]["actions"] == [{"name": "mail", "destination_id": "d"}]
    assert second == own


def test_a_copy_is_somebody_elses(alerting: tuple[OpenSearch, str]) -> None:
    """A monitor that was copied from ours under another name is not touched."""
    contract, url = alerting
    _deploy(url, "--apply")
    original = next(one for one in contract.monitors.values() if "AnyDesk" in one["name"])
    for name in ("Copy of " + original["name"], "Mine, from AnyDesk"):
        contract.monitors[f"z{name}"] = {**original, "name": name, "enabled": False}
        contract.saved[f"z{name}"] = 5
    assert _deploy(url, "--apply", "--remove") == Exit.DONE
    assert len(contract.monitors) == 3


def test_made_twice(alerting: tuple[OpenSearch, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A monitor that was made twice, because an answer was lost, is told, and pruned to one."""
    contract, url = alerting
    _deploy(url, "--apply")
    (key,) = (key for key, one in contract.monitors.items() if "AnyDesk" in one["name"])
    contract.monitors["zz"], contract.saved["zz"] = dict(contract.monitors[key]), 9
    capsys.readouterr()
    _deploy(url)
    assert "--prune removes it" in capsys.readouterr().out
    assert _deploy(url, "--apply", "--prune") == Exit.DONE
    assert sum("AnyDesk" in one["name"] for one in contract.monitors.values()) == 1


def test_saved_in_the_meantime(alerting: tuple[OpenSearch, str]) -> None:
    """What somebody saves between reading and writing is not overwritten."""
    from molehunt.backends.deploying.http import Server
    from molehunt.backends.deploying.opensearch import OpenSearchThings
    from molehunt.backends.deploying.plan import DeployError

    contract, url = alerting
    _deploy(url, "--apply")
    store = OpenSearchThings(Server(url, contract.secret), [DESK_ID], "molehunt-queries", {})
    (item,) = [one for one in store.present() if one.key.startswith("monitor/")]
    contract.saved[item.handle] += 1
    with pytest.raises(DeployError, match="409"):
        store.change(item, item.body)


def test_foreign_documents(plain: tuple[OpenSearch, str]) -> None:
    """A query that somebody else put into our index stays, and the index with it."""
    contract, url = plain
    _deploy(url, "--apply")
    contract.documents["mine"] = {"query": {"match_all": {}}}
    assert _deploy(url, "--apply", "--prune") == Exit.DONE
    assert _deploy(url, "--apply", "--remove") == Exit.DONE
    assert contract.documents == {"mine": {"query": {"match_all": {}}}}
    assert contract.indices


@pytest.mark.parametrize("option", ["--apply", "--remove"])
def test_foreign_index_and_template(
    plain: tuple[OpenSearch, str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An index or a template of our names that somebody else made is left, and said so."""
    contract, url = plain
    contract.indices["molehunt-queries"] = {"mappings": {}}
    contract.templates["molehunt-osquery"] = {"index_patterns": ["y"]}
    before = _state(contract)
    code = _deploy(url, "--apply", *({option} - {"--apply"}))
    said = capsys.readouterr()
    assert _state(contract) == before
    if option == "--apply":
        assert code == Exit.BAD_INPUT
        assert "the index molehunt-queries is there and not molehunt's" in said.err
        assert "leave the template" in said.out
    else:
        assert code == Exit.DONE


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_settings_of_a_template_stay(plain: tuple[OpenSearch, str], name: str) -> None:
    """What the user added to a template is there after a change of ours."""
    contract, url = plain
    _deploy(url, "--apply")
    ours = contract.templates[name]
    ours["template"]["settings"] = {"index": {"number_of_replicas": "2"}}
    ours["priority"] = 1
    assert _deploy(url, "--apply") == Exit.DONE
    again = contract.templates[name]
    assert again["priority"] == 200
    assert again["template"]["settings"] == {"index": {"number_of_replicas": "2"}}


def test_the_plugin_arrives(plain: tuple[OpenSearch, str]) -> None:
    """Once alerting is there monitors are made, and --prune takes the stored queries away."""
    contract, url = plain
    _deploy(url, "--apply")
    contract.alerting = True
    assert _deploy(url, "--apply", "--prune") == Exit.DONE
    assert len(contract.monitors) == 3
    assert not contract.indices


def test_not_an_opensearch(
    plain: tuple[OpenSearch, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a password it says what to set; the password itself is never shown."""
    _, url = plain
    monkeypatch.setenv("MOLEHUNT_PASSWORD", "wrong-secret")
    assert _deploy(url, "--apply") == Exit.BAD_INPUT
    said = capsys.readouterr()
    assert "401: not let in" in said.err
    assert "wrong-secret" not in said.out + said.err


def test_every_query_keeps_its_meaning(tmp_path: Path) -> None:
    """Every compiled query is one spelling, however the server writes it."""
    assert main(["compile", "-t", "opensearch", "-o", str(tmp_path)]) == Exit.DONE
    queries: list[Any] = []
    for line in (tmp_path / "opensearch" / "monitors.ndjson").read_text().splitlines():
        queries.append(json.loads(line)["inputs"][0]["search"]["query"]["query"])
    assert len(queries) > 600
    for query in queries:
        assert canonical(said_back(query)) == canonical(query) == canonical(canonical(query))
