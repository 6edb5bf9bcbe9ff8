"""pySigma finds the backend, and converts with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.plugins import InstalledSigmaPlugins

from molehunt.rulefiles import builtin_rules_path

RULE = """\
title: Tunnel
id: 00000000-0000-4000-8000-000000000009
status: test
logsource: {category: process_creation, product: linux}
detection:
    selection:
        Image|endswith: '/chisel'
        CommandLine|contains: [' client ', ' R_']
    condition: selection
level: medium
"""


def backend(**options: bool) -> object:
    """The backend as `sigma list targets` finds it."""
    found = InstalledSigmaPlugins.autodiscover().backends
    assert "osquery" in found
    return found["osquery"](**options)


def test_convert() -> None:
    """A rule becomes statements over the tables that the taxonomy names."""
    made = backend().convert(SigmaCollection.from_yaml(RULE))
    assert len(made) == 2 and all(one.endswith(";") for one in made)
    assert "FROM process_events" in made[0] + made[1] and "FROM processes" in made[0] + made[1]
    assert all("LIKE '%/chisel'" in one and "' R^_" not in one for one in made)
    assert all("'% R^_%' ESCAPE '^'" in one for one in made)


def test_pack() -> None:
    """The pack format is a pack."""
    pack = json.loads(backend().convert(SigmaCollection.from_yaml(RULE), "pack"))
    assert len(pack["queries"]) == 2
    assert all(one["platform"] == "linux" for one in pack["queries"].values())


def test_shipped() -> None:
    """Rules are read from their files; a rule that a host cannot answer is an error of its own."""
    folder = Path(builtin_rules_path())
    paths = [
        path
        for path in sorted(folder.rglob("*.yml"))
        if path.parent.name in ("place", "kvm_over_ip")
    ]
    collection = SigmaCollection.load_ruleset(paths)
    collecting = backend(collect_errors=True)
    made = collecting.convert(collection)
    assert len(made) > 20 and all(one.startswith("SELECT ") for one in made)


def test_refusal() -> None:
    """What cannot be said is a SigmaError, which sigma-cli can skip."""
    text = RULE.replace("Image|endswith: '/chisel'", "osquery.action: added")
    with pytest.raises(SigmaError, match="only a log does"):
        backend().convert(SigmaCollection.from_yaml(text))
