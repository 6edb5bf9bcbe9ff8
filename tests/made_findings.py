"""Findings that telemetry could make: one to read, and strategies for any."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from molehunt.detectors.findings.model import Evidence, Finding, Raise, Reason, Technique
from molehunt.detectors.records import Locator
from molehunt.levels import Level
from molehunt.problems import Problem, Severity

AT = 1795429320.0  # 2026-11-23 10:22:00 UTC

TEXT = st.text(
    st.one_of(
        st.characters(codec=None, exclude_categories=()),
        st.sampled_from("\x1b\x9b\r\n\t\u202e\u200d\ufe0f\u0301\ud800한[/]\\'\" "),
    ),
    max_size=40,
)
SCALAR = st.one_of(TEXT, st.integers(), st.floats(), st.booleans(), st.none())
VALUE = SCALAR | st.lists(SCALAR, max_size=3).map(tuple)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
TIME = st.none() | st.floats() | st.floats(0, 4e9) | st.integers(0, 4_000_000_000).map(float)
COUNT = st.integers(1, 10**9)
WHERE = st.builds(Locator, TEXT, st.integers(0), st.integers(1), st.integers(0))
PAIRS = st.lists(st.tuples(TEXT, VALUE), max_size=3).map(tuple)
REASON = st.builds(Reason, TEXT, TEXT, VALUE, TEXT | TEXT.map("contains '{}'".format))
EVIDENCE = st.builds(
    Evidence,
    WHERE,
    TEXT,
    TIME,
    TIME,
    st.sampled_from(["event", "new", "present", "gone"]),
    st.lists(REASON, max_size=5).map(tuple),
    PAIRS,
)
LEVEL = st.sampled_from(Level)
FINDING = st.builds(
    Finding,
    id=TEXT,
    rule=TEXT,
    title=TEXT,
    description=TEXT,
    rule_level=LEVEL,
    level=LEVEL,
    status=TEXT | st.sampled_from(["stable", "test", "experimental"]),
    host=TEXT,
    host_name=TEXT,
    users=TEXTS,
    identity=PAIRS,
    first_seen=TIME,
    last_seen=TIME,
    count=COUNT,
    evidence=st.lists(EVIDENCE, max_size=3).map(tuple),
    techniques=st.lists(st.builds(Technique, TEXT, TEXT, TEXTS), max_size=2).map(tuple),
    raised_by=st.lists(st.builds(Raise, TEXT, TEXT, COUNT, WHERE), max_size=2).map(tuple),
    missing_filters=TEXTS,
    false_positives=TEXTS,
    next_steps=TEXTS,
    references=TEXTS,
)
FINDINGS = st.lists(FINDING, max_size=4)
PROBLEM = st.builds(
    Problem,
    TEXT,
    TEXT,
    st.none() | st.integers(1),
    st.none() | TEXT,
    TEXT,
    st.sampled_from(Severity),
)

X11VNC = Finding(
    id="0123456789abcdef",
    rule="6e0c5a53-2f2d-4b0e-9f0c-6c1d1f8a4d10",
    title="Remote Access Tool - X11vnc Execution",
    description="Detects x11vnc.",
    rule_level=Level.MEDIUM,
    level=Level.MEDIUM,
    status="experimental",
    host="9f1c0b52-lab",
    host_name="lab-01",
    users=("anna",),
    identity=(("Image", "/usr/bin/x11vnc"),),
    first_seen=AT,
    last_seen=AT + 2000,
    count=3,
    evidence=(
        Evidence(
            Locator("osqueryd.results.log", 0, 1, 0),
            "pack_molehunt_process_events",
            AT,
            None,
            "event",
            (Reason("Image", "path", "/usr/bin/x11vnc", "ends with '/x11vnc'"),),
            (("path", "/usr/bin/x11vnc"), ("pid", 4711)),
        ),
    ),
    techniques=(Technique("T1219.002", "Remote Desktop Software", ("command-and-control",)),),
    raised_by=(),
    missing_filters=(),
    false_positives=("Help desk",),
    next_steps=("Ask the help desk",),
    references=("https://attack.mitre.org/techniques/T1219/002/",),
)
JIGGLER = Raise(
    "0d4f7c11", "Mouse Movement Simulator Running", 2, Locator("osqueryd.results.log", 9, 2, 0)
)


def run(problems: list[Any]) -> dict[str, Any]:
    """What a run says of itself, as run.schema.json has it."""
    return {
        "tool": "molehunt",
        "version": "0.1.0",
        "inputs": ["osqueryd.results.log"],
        "complete": True,
        "rules": 12,
        "approved": [{"subject": "teamviewer", "owner": "IT Service Desk", "matches": 2}],
        "problems": problems,
    }
