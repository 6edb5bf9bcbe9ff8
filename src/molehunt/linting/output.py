"""What was found, as text for people and as JSON, SARIF, GitHub annotations and JUnit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__
from .catalogue import Check
from .model import Finding, Severity
from .run import Linted

FORMATS = ("text", "json", "sarif", "github", "junit")
_DOCS = "https://github.com/molehunt/molehunt/blob/main/docs/lint.md"
_COLOURS = {"error": "31", "warning": "33", "info": "36", "hint": "2"}
_SARIF_LEVELS = {"error": "error", "warning": "warning", "info": "note", "hint": "note"}
_GITHUB_LEVELS = {"error": "error", "warning": "warning", "info": "notice", "hint": "notice"}


def render(kind: str, linted: Linted, checks: Mapping[str, Check], colour: bool = False) -> str:
    """The result in one of `FORMATS`; text ends with a newline."""
    renderers: dict[str, Callable[[], str]] = {
        "text": lambda: _text(linted, checks, colour),
        "json": lambda: _dump(_json(linted, checks)),
        "sarif": lambda: _dump(sarif(linted, checks)),
        "github": lambda: "".join(_github(linted, checks)),
        "junit": lambda: _junit(linted, checks),
    }
    return renderers[kind]()


def _dump(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _text(linted: Linted, checks: Mapping[str, Check], colour: bool) -> str:
    lines: list[str] = []
    sources = _Sources()
    for finding in linted.findings:
        lines += _finding_lines(finding, checks[finding.check], sources, colour)
    lines += [f"note: {note}" for note in linted.notes]
    lines.append(summary(linted, checks))
    return "\n".join(lines) + "\n"


def _finding_lines(
    finding: Finding, check: Check, sources: _Sources, colour: bool
) -> Iterator[str]:
    from molehunt.detectors.report.safe import printable

    severity = str(check.severity)
    if colour:
        severity = f"\x1b[{_COLOURS[severity]}m{severity}\x1b[0m"
    place = f"{finding.path}:{finding.span.line}:{finding.span.column}"
    tail = f"; {finding.hint}" if finding.hint else ""
    fix = " [--fix]" if finding.edits else ""
    yield printable(f"{place}: {check.id} {check.name}: ").rstrip() + (
        f" {severity}: " + printable(finding.message + tail) + fix
    )
    line = sources.line(finding.path, finding.span.line)
    if line.strip():
        indent = len(line) - len(line.lstrip())
        number = f"{finding.span.line:>5} | "
        shown = printable(line[indent : indent + 100].replace("\t", " "))
        start = max(finding.span.column - 1 - indent, 0)
        same = finding.span.end_line == finding.span.line
        end = finding.span.end_column - 1 - indent if same else len(line) - indent
        width = max(1, min(end, 100) - start)
        yield number + shown
        if start < 100:
            yield " " * (len(number) - 2) + "| " + " " * start + "^" * width


class _Sources:
    """Lines of files, each file read once."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def line(self, path: str, number: int) -> str:
        """A line by its number; "" if it cannot be read."""
        if path not in self._lines:
            try:
                text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
            except OSError:
                text = ""
            self._lines[path] = text.splitlines()
        lines = self._lines[path]
        return lines[number - 1] if 0 < number <= len(lines) else ""


def summary(linted: Linted, checks: Mapping[str, Check]) -> str:
    """One line: how much was looked at, how much was found."""
    counts = Counter(checks[finding.check].severity for finding in linted.findings)
    found = ", ".join(
        f"{counts[one]} info" if one is Severity.INFO else plural(counts[one], one)
        for one in Severity
        if counts[one]
    )
    more = f"; {linted.suppressed} suppressed" if linted.suppressed else ""
    seen = f"{plural(linted.rules, 'rule')} in {plural(linted.files, 'file')}"
    return f"{seen}: {found or 'nothing found'}{more}"


def plural(count: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def _json(linted: Linted, checks: Mapping[str, Check]) -> dict[str, Any]:
    return {
        "tool": {"name": "molehunt", "version": __version__},
        "files": linted.files,
        "rules": linted.rules,
        "suppressed": linted.suppressed,
        "notes": list(linted.notes),
        "findings": [
            {
                "check": finding.check,
                "name": checks[finding.check].name,
                "severity": str(checks[finding.check].severity),
                "message": finding.message,
                "hint": finding.hint,
                "rule": finding.rule,
                "path": finding.path,
                "line": finding.span.line,
                "column": finding.span.column,
                "end_line": finding.span.end_line or None,
                "end_column": finding.span.end_column or None,
                "fixable": bool(finding.edits),
            }
            for finding in linted.findings
        ],
    }


def sarif(linted: Linted, checks: Mapping[str, Check]) -> dict[str, Any]:
    """The result as a SARIF 2.1.0 log (OASIS standard, 27 March 2020)."""
    used = sorted({finding.check for finding in linted.findings})
    index = {name: number for number, name in enumerate(used)}
    driver = {
        "name": "molehunt",
        "version": __version__,
        "semanticVersion": __version__,
        "informationUri": "https://github.com/molehunt/molehunt",
        "rules": [_descriptor(checks[name]) for name in used],
    }
    notifications = [{"level": "note", "message": {"text": note}} for note in linted.notes]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {"executionSuccessful": True, "toolExecutionNotifications": notifications}
                ],
                "results": [
                    _result(finding, checks[finding.check], index) for finding in linted.findings
                ],
            }
        ],
    }


def _descriptor(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "name": "".join(word.capitalize() for word in check.name.split("-")),
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
        "helpUri": f"{_DOCS}#{check.id.lower()}",
        "defaultConfiguration": {"level": _SARIF_LEVELS[check.severity]},
    }


def _result(finding: Finding, check: Check, index: Mapping[str, int]) -> dict[str, Any]:
    span = finding.span
    region = {"startLine": span.line, "startColumn": span.column}
    if span.end_line:
        region |= {"endLine": span.end_line, "endColumn": span.end_column}
    text = finding.message + (f"; {finding.hint}" if finding.hint else "")
    return {
        "ruleId": check.id,
        "ruleIndex": index[check.id],
        "level": _SARIF_LEVELS[check.severity],
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.path)},
                    "region": region,
                }
            }
        ],
        # What stays the same when lines are added above.
        "partialFingerprints": {"molehunt/v1": f"{check.id}/{finding.rule}/{finding.message}"},
    }


def _uri(path: str) -> str:
    """A path as a URI, relative to the working directory where it lies below that."""
    place = Path(path)
    if not place.is_absolute():
        return quote(place.as_posix())
    try:
        return _uri(str(place.relative_to(Path.cwd())))
    except ValueError:
        return place.as_uri()


def _github(linted: Linted, checks: Mapping[str, Check]) -> Iterator[str]:
    """Workflow commands; escapes as in actions/toolkit, packages/core/src/command.ts."""
    for finding in linted.findings:
        check, span = checks[finding.check], finding.span
        places = {"file": _relative(finding.path), "line": span.line, "col": span.column}
        if span.end_line:
            places |= {"endLine": span.end_line}
            if span.end_line == span.line:
                places |= {"endColumn": span.end_column}
        places["title"] = f"{check.id} {check.name}"
        said = ",".join(f"{key}={_property(str(value))}" for key, value in places.items())
        text = finding.message + (f"; {finding.hint}" if finding.hint else "")
        yield f"::{_GITHUB_LEVELS[check.severity]} {said}::{_data(text)}\n"
    for note in linted.notes:
        yield f"::notice title=molehunt lint::{_data(note)}\n"


def _relative(path: str) -> str:
    try:
        return Path(path).absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _junit(linted: Linted, checks: Mapping[str, Check]) -> str:
    """One suite; one case for each file with findings, and one that says what was looked at."""
    from xml.etree import ElementTree as ET

    from molehunt.detectors.report.safe import printable

    by_path: dict[str, list[Finding]] = {}
    for finding in linted.findings:
        by_path.setdefault(finding.path, []).append(finding)
    failing = {
        path
        for path, found in by_path.items()
        if any(_fails(checks[finding.check].severity) for finding in found)
    }
    suite = ET.Element(
        "testsuite",
        name="molehunt lint",
        tests=str(len(by_path) + 1),
        failures=str(len(failing)),
        errors="0",
        skipped="0",
    )
    case = ET.SubElement(suite, "testcase", classname="molehunt.lint", name="all files")
    ET.SubElement(case, "system-out").text = printable(summary(linted, checks))
    for path, found in by_path.items():
        case = ET.SubElement(suite, "testcase", classname="molehunt.lint", name=printable(path))
        lines = [
            f"{finding.span.line}:{finding.span.column}: {finding.check} "
            f"{checks[finding.check].severity}: {finding.message}"
            for finding in found
        ]
        kind = "failure" if path in failing else "system-out"
        part = ET.SubElement(case, kind)
        if kind == "failure":
            part.set("message", f"{len(found)} finding{'' if len(found) == 1 else 's'}")
        part.text = "\n".join(map(printable, lines))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, "unicode") + "\n"


def _fails(severity: Severity) -> bool:
    return severity in (Severity.ERROR, Severity.WARNING)
