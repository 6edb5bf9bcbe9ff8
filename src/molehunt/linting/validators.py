"""The validators of pySigma and SigmaHQ, run without network: MH801 to MH803.

ATT&CK is the pinned v18.1, with the tactics that v19 split. Validators that would fetch other data
are not run, and said so. SigmaHQ's come from the package pysigma-validators-sigmahq, if installed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..correlation import for_pysigma
from ..data import techniques
from ..problems import Problem
from ..rulefiles import rule_files
from ..yamlfile import decoded, read_text
from .attack import CROSSWALK_19, TACTICS, TACTICS_19, VERSION
from .model import Finding, Span, span_of
from .run import Linted
from .subject import Subject
from .suppress import apply, suppressions_in

_SIGMAHQ = "pysigma-validators-sigmahq"
_CHECKS = {"HIGH": "MH801", "MEDIUM": "MH802", "LOW": "MH803"}
# Modules that fetch what they need when first asked.
_FETCHING = (
    "sigma.data.mitre_d3fend",
    *(
        f"sigma.validators.sigmahq.data.data_{name}"
        for name in ("taxonomy", "filename", "windows_eventid", "windows_provider")
    ),
)


def validated(linted: Linted, paths: Sequence[str]) -> Linted:
    """The result with what the validators say, and notes on what was run."""
    notes = list(linted.notes)
    with tempfile.TemporaryDirectory(prefix="molehunt-") as folder, _offline(Path(folder)):
        classes, said = _classes()
        notes += said
        found, stopped = _run(classes, paths)
    if stopped:
        names = ", ".join(sorted(stopped))
        notes.append(f"validators not run, since they fetch data from the network: {names}")
    left, gone = _unsuppressed(found)
    order = {path: number for number, path in enumerate(one.path for one in linted.findings)}
    findings = sorted(
        (*linted.findings, *left),
        key=lambda one: (order.get(one.path, len(order)), one.path, one.span, one.check),
    )
    return replace(
        linted,
        findings=tuple(findings),
        suppressed=linted.suppressed + gone,
        notes=tuple(notes),
    )


@contextmanager
def _offline(folder: Path) -> Iterator[None]:
    """pySigma's data from here, and none from elsewhere, while the block runs."""
    modules = [("sigma.data.mitre_attack", str(_attack(folder)))]
    modules += [(name, str(folder / "nothing.json")) for name in _FETCHING]
    changed = []
    for name, place in modules:
        try:
            module = import_module(name)
        except ImportError:
            continue
        # The folder goes first: `set_url` clears the cache, which is the user's by default.
        module.set_cache_dir(str(folder / name))
        module.set_url(place)
        changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            _closed(module)


def _closed(module: Any) -> None:
    """Forget the folder and the address again."""
    cache = getattr(module, "_cache", None)
    if cache is not None:
        cache.close()
    for name in ("_cache", "_custom_url", "_custom_cache_dir"):
        if hasattr(module, name):
            setattr(module, name, None)
    for value in vars(module).values():
        if hasattr(value, "_custom_cache_dir"):
            _closed(value)


def _attack(folder: Path) -> Path:
    """The pinned ATT&CK as the part of STIX that pySigma reads."""
    objects: list[dict[str, Any]] = [{"type": "x-mitre-collection", "x_mitre_version": VERSION}]
    for number, tactic in enumerate(sorted(TACTICS | TACTICS_19.keys())):
        objects.append(
            {"type": "x-mitre-tactic", "x_mitre_shortname": tactic} | _reference(f"TA{number}")
        )
    known = {
        name: entry
        for name, entry in techniques().items()
        if not entry.get("revoked") and not entry.get("deprecated")
    }
    known |= {new: techniques()[old] for new, old in CROSSWALK_19.items()}
    for name, entry in known.items():
        tactics = [*entry.get("tactics", ())]
        tactics += [new for new, old in TACTICS_19.items() if old in tactics]
        phases = [{"kill_chain_name": "mitre-attack", "phase_name": one} for one in tactics]
        objects.append(
            {"type": "attack-pattern", "name": entry["name"], "kill_chain_phases": phases}
            | _reference(name)
        )
    place = folder / "attack.json"
    place.write_text(json.dumps({"objects": objects}), encoding="utf-8")
    return place


def _reference(name: str) -> dict[str, Any]:
    return {"external_references": [{"source_name": "mitre-attack", "external_id": name}]}


def _classes() -> tuple[dict[str, Any], list[str]]:
    """The validator classes by name, and which packages they are from."""
    from sigma.validators.core import validators as core

    found: dict[str, Any] = dict(core)
    notes = [f"{len(core)} validators of pySigma {version('pysigma')}, ATT&CK {VERSION}"]
    try:
        more: Mapping[str, Any] = import_module("sigma.validators.sigmahq").validators
        found |= more
        notes.append(f"{len(more)} validators of {_SIGMAHQ} {version(_SIGMAHQ)}")
    except (ImportError, PackageNotFoundError):
        notes.append(f"validators of SigmaHQ not run: pip install {_SIGMAHQ}")
    return found, notes


def _run(classes: Mapping[str, Any], paths: Sequence[str]) -> tuple[list[Finding], set[str]]:
    validators = {name: each() for name, each in classes.items()}
    stopped: set[str] = set()
    said: dict[str, list[Any]] = {name: [] for name in validators}
    subjects: dict[int, Subject] = {}
    for subject, rule in _rules(paths):
        subjects[id(rule)] = subject
        for name, validator in validators.items():
            if name not in stopped:
                try:
                    said[name] += validator.validate(rule)
                # What pySigma raises for data that it cannot fetch.
                except RuntimeError:
                    stopped.add(name)
    for name, validator in validators.items():
        if name not in stopped:
            said[name] += validator.finalize()
    found = [
        finding
        for name, issues in said.items()
        if name not in stopped
        for issue in issues
        for finding in _findings(name, issue, subjects)
    ]
    return found, stopped


def _rules(paths: Sequence[str]) -> Iterator[tuple[Subject, Any]]:
    """Each rule that pySigma parses, with its document."""
    from sigma.collection import SigmaCollection
    from sigma.exceptions import SigmaError, SigmaRuleLocation

    problems: list[Problem] = []
    for path, name, _ in rule_files(paths, problems):
        text = decoded(Path(path).read_bytes(), path)
        if isinstance(text, Problem):
            continue
        for document in read_text(text, path, nodes=True)[0]:
            data = document.data
            if not isinstance(data, dict) or not {"detection", "correlation"} & data.keys():
                continue
            try:
                made = SigmaCollection.from_dicts(
                    [for_pysigma(data)],
                    collect_errors=True,
                    source=SigmaRuleLocation(Path(path)),
                    resolve_references=False,
                )
            # What does not load is told by MH002.
            except (SigmaError, AttributeError, KeyError, TypeError, ValueError):
                continue
            for rule in made.rules:
                if not rule.errors:
                    yield Subject(path, name, text, data, document.node), rule


def _findings(name: str, issue: Any, subjects: Mapping[int, Subject]) -> Iterator[Finding]:
    told = {
        field.name: getattr(issue, field.name)
        for field in fields(issue)
        if field.name not in ("rules", "severity", "description")
    }
    if name == "attacktag" and str(told.get("tag", ""))[7:8] in "gscm":
        # The pinned data has techniques and tactics only.
        return
    parts = [f"{key} {value}" for key, value in told.items() if isinstance(value, (str, int))]
    detail = f" ({', '.join(parts)})" if parts else ""
    for rule in issue.rules:
        subject = subjects.get(id(rule))
        if subject is not None:
            message = f"{name}: {issue.description}{detail}"
            span = _place(subject, told)
            check = _CHECKS[issue.severity.name]
            yield Finding(check, message, subject.path, span, subject.id)


def _place(subject: Subject, told: Mapping[str, Any]) -> Span:
    """Where the field, tag or text of an issue stands; else the title."""
    item = told.get("detection_item")
    wanted = getattr(item, "field", None) or told.get("fieldname")
    for one in subject.items:
        if wanted and one.field == wanted and one.key is not None:
            return span_of(one.key)
    texts = {str(value) for value in told.values() if value is not None}
    for key in ("tags", "references", "falsepositives"):
        listed = subject.data.get(key)
        for index, value in enumerate(listed if isinstance(listed, list) else ()):
            if str(value) in texts:
                return span_of(subject.node_at(key, index))
    return span_of(subject.first)


def _unsuppressed(found: Sequence[Finding]) -> tuple[list[Finding], int]:
    by_path: dict[str, list[Finding]] = {}
    for finding in found:
        by_path.setdefault(finding.path, []).append(finding)
    left: list[Finding] = []
    gone = 0
    for path, findings in by_path.items():
        text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
        mine = [one for one in suppressions_in(text) if any(name[:4] == "MH80" for name in one.ids)]
        kept, count = apply(findings, mine, path, _CHECKS.values())
        left += [one for one in kept if one.check in _CHECKS.values()]
        gone += count
    return left, gone
