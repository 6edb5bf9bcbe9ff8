"""The JSON schema of rule files, which editors use: our rules fit, planted faults do not."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
import yaml

from molehunt.data import read_bytes
from molehunt.linting.catalogue import checks
from molehunt.rulefiles import builtin_rules_path, rule_files
from molehunt.yamlloader import SAFE_LOADER

GOOD = checks()["MH416"].passing.files["example_rule_file.yml"]


@pytest.fixture(scope="module", name="schema")
def _schema() -> Any:
    """The validator, with the schema of the `molehunt` block beside it."""
    whole, block = (
        json.loads(read_bytes(name)) for name in ("sigma.schema.json", "rule.schema.json")
    )
    registry = referencing.Registry().with_resources(
        (one["$id"], referencing.Resource.from_contents(one)) for one in (whole, block)
    )
    jsonschema.Draft202012Validator.check_schema(whole)
    return jsonschema.Draft202012Validator(whole, registry=registry)


def plain(value: Any) -> Any:
    """YAML values as an editor sees them: dates are text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(plain, value))
    return value.isoformat() if isinstance(value, dt.date) else value


def documents(text: str) -> list[Any]:
    """The documents of a YAML text."""
    return [plain(one) for one in yaml.load_all(text, SAFE_LOADER)]


def test_all_our_rules_fit(schema: Any) -> None:
    """Every file that is a rule; the catalogue of behaviours is none."""
    count = 0
    for path, name, _ in rule_files([builtin_rules_path()], []):
        if name == "behaviours.yml":
            continue
        for document in documents(Path(path).read_text(encoding="utf-8")):
            errors = [f"{name}: {error.message}" for error in schema.iter_errors(document)]
            assert not errors
            count += 1
    assert count > 700


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("level: medium", "level: moderate"),
        ("status: experimental", "status: new"),
        ("date: 2026-11-01", "date: 1.11.2026"),
        ("id: 5f1c", "id: xf1c"),
        ("    condition: selection\n", ""),
        ("Image|endswith", "Image|endwith"),
        ("    - attack.t1059", "    - T1059"),
        ("title: Tool", "titel: Tool"),
        ("    subject: tool", "    subject: The Tool"),
        ("    identity: [Image]", "    identities: [Image]"),
        ("    platforms: [linux]", "    platforms: [ubuntu]"),
        ("detection:", "detections:"),
        ("falsepositives:\n    - The help desk when it installs the tool", "falsepositives: none"),
        ("    selection:\n        Image|endswith: '/tool'\n", ""),
    ],
)
def test_planted_faults_do_not_fit(old: str, new: str, schema: Any) -> None:
    """Each fault is found in a rule that fits without it."""
    assert old in GOOD
    (good,) = documents(GOOD)
    assert schema.is_valid(good)
    (bad,) = documents(GOOD.replace(old, new))
    assert not schema.is_valid(bad)
