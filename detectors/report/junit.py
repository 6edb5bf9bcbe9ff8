"""Test cases as JUnit XML, in the form that CI systems read
(https://github.com/testmoapp/junitxml)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .safe import printable


class JUnitCase(NamedTuple):
    """One case. It failed if there is a `failure`, with more in `text`, and was left out if there
    is something in `skipped`."""

    classname: str
    name: str
    file: str
    line: int | None = None
    failure: str = ""
    text: str = ""
    skipped: str = ""


def junit(title: str, cases: Sequence[JUnitCase]) -> str:
    """The cases as one suite."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    failed = sum(bool(case.failure) for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0"}
    if skipped := sum(bool(case.skipped) for case in cases):
        counts["skipped"] = str(skipped)
    root = Element("testsuites", {"name": "molehunt", **counts})
    suite = SubElement(root, "testsuite", {"name": title, **counts})
    for case in cases:
        place = {
            "classname": printable(case.classname),
            "name": printable(case.name),
            "file": printable(case.file),
        }
        if case.line is not None:
            place["line"] = str(case.line)
        node = SubElement(suite, "testcase", place)
        if case.failure:
            failure = SubElement(node, "failure", {"message": printable(case.failure)})
            failure.text = case.text
        if case.skipped:
            SubElement(node, "skipped", {"message": printable(case.skipped)})
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"
