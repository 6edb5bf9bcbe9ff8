"""The HTML report, read as browsers read it: no log field writes markup, nothing is loaded."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from io import StringIO
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_findings import AT, FINDING, JIGGLER, X11VNC, run

from molehunt.detectors.findings.model import Evidence, Finding, Reason, Technique
from molehunt.detectors.records import Locator
from molehunt.detectors.report.html import write_html
from molehunt.detectors.report.timeline import MOST_LANES, timeline
from molehunt.detectors.report.times import moment
from molehunt.detectors.report.view import link
from molehunt.levels import Level
from molehunt.problems import Problem

_ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}</style>",
    "</title></svg><a href=javascript:alert(1)>x</a>",
    "<svg><text>x</text></svg>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "&lt;b&gt;&amp;&#x3c;script&#x3e;&nbsp",
    "<!--",
    "--><b>",
    "]]>",
    "<![CDATA[",
    "</bdi></td></article></body>",
    "{{ 7 * 7 }}{% raw %}",
    'https://host.example/"onmouseover="alert(1)',
    "https://host.example/<b>",
    "https://user:secret@host.example/",
    "https://host.example/a?b=c&d=e#f",
    "HTTPS://host.example/",
    "//host.example/x",
    "\x00\x08\x1b[31m\u202egnp.exe\u2066\u200b\ufeff",
    "\ud800",
    "\u2028x\u2029\r\n\t",
    " ",
    "",
)
_HOSTILE = st.one_of(
    st.sampled_from(_ATTACKS),
    st.lists(st.sampled_from([*_ATTACKS, "<", ">", "&", '"', "'", "`", "="]), max_size=4).map(
        "".join
    ),
)


def _strings(value: Any) -> Iterator[str]:
    """Every text in a finding or a run, except those that are words of our own."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            if field.name != "basis":
                yield from _strings(getattr(value, field.name))
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != "severity":
                yield from _strings(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _strings(item)


def _with(value: Any, texts: dict[str, str]) -> Any:
    """The same with other texts."""
    if isinstance(value, str):
        return texts.get(value, value)
    if isinstance(value, Locator):
        return value._replace(file=texts.get(value.file, value.file))
    if is_dataclass(value):
        changed = {
            field.name: _with(getattr(value, field.name), texts)
            for field in fields(value)
            if field.name != "basis"
        }
        return replace(value, **changed)
    if isinstance(value, dict):
        return {
            key: item if key == "severity" else _with(item, texts) for key, item in value.items()
        }
    if isinstance(value, (tuple, list)):
        made = [_with(item, texts) for item in value]
        # One with names takes each of its parts by itself.
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    return value


def _hostile(data: st.DataObject, value: Any) -> Any:
    """The same with hostile texts wherever there are texts."""
    known = sorted(set(_strings(value)))
    return _with(value, {text: data.draw(_HOSTILE) for text in known})


def _harmless(value: Any) -> Any:
    """The same with a harmless word for each text, in the order of the texts.

    An empty text stays empty, and what may be a link stays one.
    """
    words = {}
    for number, text in enumerate(sorted(set(_strings(value)))):
        words[text] = text if not text or link(text).url else f"word{number:04}"
    return _with(value, words)


def _html(findings: list[Finding], about: dict[str, Any]) -> str:
    stream = StringIO()
    write_html(findings, about, stream)
    return stream.getvalue()


def _read(text: str) -> Element:
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    document = parser.parse(text)
    assert [error[1] for error in parser.errors] == []
    return document


def _structure(text: str) -> list[tuple[str, dict[str, str]]]:
    """Every element in order with its attributes; what the generator is called is a text."""
    found = []
    for element in _read(text).iter():
        attributes = dict(element.attrib)
        if attributes.get("name") == "generator":
            del attributes["content"]
        found.append((str(element.tag), attributes))
    return found


@settings(deadline=None, max_examples=50)
@given(st.lists(FINDING, min_size=1, max_size=3), st.data())
def test_no_log_field_writes_markup(findings: list[Finding], data: st.DataObject) -> None:
    """Hostile texts everywhere give the very elements and attributes that harmless ones give."""
    about = run(
        [{"severity": "error", "what": "a", "path": "b", "line": 3, "rule": "c", "hint": "d"}]
    )
    hostile, about = _hostile(data, (findings, about))
    calm, calm_about = _harmless((hostile, about))
    shown = _html(hostile, about)
    assert _structure(shown) == _structure(_html(calm, calm_about))
    hidden = {
        c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    }
    assert hidden == {"\n"}
    shown.encode()


@settings(deadline=None, max_examples=50)
@given(st.lists(FINDING, max_size=3), st.data())
def test_nothing_runs_and_nothing_is_loaded(findings: list[Finding], data: st.DataObject) -> None:
    """No script, handler, style attribute or outside resource; links are https or lead inside."""
    shown = _html(_hostile(data, findings), run([Problem("broken line", "a.log", 3)]))
    elements = list(_read(shown).iter())
    names = {str(element.tag).rpartition("}")[2] for element in elements}
    assert not names & {"script", "img", "iframe", "object", "embed", "link", "base", "form", "use"}
    ids = [element.attrib["id"] for element in elements if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    for element in elements:
        assert not {name for name in element.attrib if name.startswith("on")}
        assert not {"style", "src", "srcset", "action", "background"} & set(element.attrib)
        target = element.attrib.get("href", "https://")
        assert target.startswith("https://") or target[1:] in ids


def test_the_policy_allows_the_style_and_nothing_else() -> None:
    """The hash is that of the style as it stands in the page, and the policy comes before it."""
    shown = _html([X11VNC], run([]))
    document = _read(shown)
    (style,) = document.iter("style")
    digest = base64.b64encode(hashlib.sha256((style.text or "").encode()).digest()).decode()
    (policy,) = (
        meta.attrib["content"]
        for meta in document.iter("meta")
        if meta.attrib.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert shown.index("Content-Security-Policy") < shown.index("<style")
    assert "url(" not in (style.text or "")
    assert "@import" not in (style.text or "")


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("https://attack.mitre.org/techniques/T1219/002/", True),
        ("https://host.example/a?b=c&d=e#f", True),
        ("https://host.example", True),
        ("http://host.example/", False),
        ("HTTPS://host.example/", False),
        ("javascript:alert(1)//https://host.example/", False),
        ("https://host.example/ x", False),
        ('https://host.example/"x', False),
        ("https://host.example/<b>", False),
        ("https://user@host.example/", False),
        ("https://host.example\\@other.example/", False),
        ("https://", False),
        ("https://host.example/\u202e", False),
        ("https://host.example/\n", False),
    ],
)
def test_only_plain_https_addresses_are_links(text: str, leads: bool) -> None:
    """Everything else is shown as text."""
    shown = _html([replace(X11VNC, references=(text,), techniques=())], run([]))
    targets = [element.attrib["href"] for element in _read(shown).iter("a")]
    assert [target for target in targets if not target.startswith("#")] == [text] * leads


def _text(element: Element) -> str:
    return re.sub(r"\s+", " ", "".join(element.itertext())).strip()


def _card(finding: Finding) -> str:
    (card,) = _read(_html([finding], run([]))).iter("article")
    return _text(card)


def test_a_card_says_what_the_finding_says() -> None:
    """Level, time, values, reasons, next steps, what is normal, evidence with its place, ATT&CK."""
    raised = replace(
        X11VNC, level=Level.HIGH, raised_by=(JIGGLER,), missing_filters=("ParentImage",)
    )
    shown = _card(raised)
    for part in (
        "Remote Access Tool - X11vnc Execution",
        "high ↑",
        "2026-11-23 10:22:00 to 2026-11-23 10:55:20 · 3 records · experimental rule",
        "Image /usr/bin/x11vnc",
        "ends with '/x11vnc'",
        "Raised by Mouse Movement Simulator Running (2 records, first at osqueryd.results.log:2)",
        "the query does not supply ParentImage",
        "What to do next Ask the help desk",
        "What is normal about it Help desk",
        "the earliest 1 of 3 records",
        "osqueryd.results.log:1 query pack_molehunt_process_events",
        "pid4711",
        "T1219.002 Remote Desktop Software Command and Control",
        "https://attack.mitre.org/techniques/T1219/002/",
        "6e0c5a53-2f2d-4b0e-9f0c-6c1d1f8a4d10",
        "0123456789abcdef",
    ):
        assert part in shown, part
    assert "Raised by" not in _card(replace(raised, level=Level.MEDIUM))


def test_the_part_that_matched_is_marked() -> None:
    """In the reason, and nowhere if none is known."""
    marks = [mark.text for mark in _read(_html([X11VNC], run([]))).iter("mark")]
    assert marks == ["/x11vnc"]


def test_what_limits_the_certainty_is_said() -> None:
    """A first look, a state that ended, an unknown time."""
    item = replace(X11VNC.evidence[0], basis="present", until=AT + 60)
    shown = _card(replace(X11VNC, evidence=(item,), count=1))
    assert "2026-11-23 10:22:00 or before · gone 2026-11-23 10:23:00 · 1 record" in shown
    timeless = replace(
        X11VNC, first_seen=None, last_seen=None, evidence=(replace(item, at=None, until=None),)
    )
    assert "time unknown" in _card(timeless)
    assert "there is no timeline" in _html([timeless], run([]))


def test_the_head_counts_and_tells_of_the_run() -> None:
    """Counts by level, hosts, version, inputs, approvals, problems, an interruption."""
    other = replace(X11VNC, host="b", host_name="lab-02", level=Level.CRITICAL, id="f")
    about = run([Problem("broken line", "a.log", 3, hint="look there")]) | {"complete": False}
    document = _read(_html([X11VNC, other], about))
    (head,) = document.findall(".//div[@class='page']/header")
    shown = _text(head)
    for part in (
        "2 findings on 2 hosts",
        "1critical 0high 1medium 0low 0informational",
        "Seen on 2026-11-23.",
        "molehunt 0.1.0",
        "osqueryd.results.log",
        "teamviewer: 2 matching records made no finding; IT Service Desk answers for them",
        "error: a.log:3 broken line; look there",
        "The run was interrupted.",
        "lab-02",
    ):
        assert part in shown, part
    assert [_text(name) for name in document.iter("h2")] == ["lab-02", "lab-01"]
    assert "Nothing to report" in _html([], run([]))


def test_two_hosts_of_one_name_are_two_sections() -> None:
    """With their identifiers."""
    document = _read(_html([X11VNC, replace(X11VNC, host="77c2aa10-lab", id="f")], run([])))
    sections = [_text(section) for section in document.iter("section")]
    assert len(sections) == 2
    assert "identifier 77c2aa10-lab" in sections[0]
    assert "identifier 9f1c0b52-lab" in sections[1]


@settings(deadline=None, max_examples=30)
@given(st.lists(FINDING, max_size=4, unique_by=lambda finding: finding.id))
def test_the_same_findings_give_the_same_bytes(findings: list[Finding]) -> None:
    """Whatever their order."""
    assert _html(findings, run([])) == _html(findings[::-1], run([]))


_SECONDS = st.floats(-62e9, 253e9) | st.floats(AT, AT + 90) | st.just(AT)
_TIMED = st.builds(
    lambda first, length, at: replace(
        X11VNC,
        first_seen=first,
        last_seen=first + length,
        evidence=(replace(X11VNC.evidence[0], at=at),),
    ),
    _SECONDS,
    st.floats(0, 1e9),
    st.none() | _SECONDS,
)


@settings(deadline=None)
@given(st.lists(_TIMED, min_size=1, max_size=5))
def test_places_on_the_axis_are_in_the_order_of_time(findings: list[Finding]) -> None:
    """Later is never further left; all lies within; ticks are few, in order and within."""
    drawn = timeline(list(enumerate(findings, 1)))
    assert drawn is not None
    placed = []
    for finding, lane in zip(findings, drawn.lanes, strict=True):
        known = [finding.first_seen, finding.last_seen, finding.evidence[0].at]
        times = sorted(at for at in map(moment, known) if at is not None)
        if times:
            assert lane.start is not None
            assert lane.end is not None
            placed += [(times[0], lane.start), (times[-1], lane.end)]
    placed.sort()
    places = [place for _, place in placed]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    ticks = [tick.at for tick in drawn.ticks]
    assert 0 < len(ticks) <= 6
    assert ticks == sorted(set(ticks))
    assert all(0 <= tick <= 100 for tick in ticks)


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0, ["2026-11-23 10:22:00"]),
        (3, ["11-23 10:22:00", "10:22:01", "10:22:02", "10:22:03"]),
        (1200, ["11-23 10:25", "10:30", "10:35", "10:40"]),
        (60_000, ["11-23 12:00", "18:00", "11-24 00:00"]),
        (400_000, ["2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28"]),
    ],
)
def test_ticks_are_round_times(seconds: int, labels: list[str]) -> None:
    """The date where it is new, the time where a day is too long a step."""
    drawn = timeline([(1, replace(X11VNC, last_seen=AT + seconds))])
    assert drawn is not None
    assert [tick.label for tick in drawn.ticks] == labels


def test_a_lane_can_be_read_without_seeing_it() -> None:
    """The picture has a title in words; ends are marked; a finding without a time says so."""
    item = replace(X11VNC.evidence[0], until=AT + 60)
    timeless = replace(X11VNC, id="f", first_seen=None, last_seen=None, evidence=())
    shown = _html([replace(X11VNC, evidence=(item,)), timeless], run([]))
    head = "medium: Remote Access Tool - X11vnc Execution"
    titles = [_text(title) for title in _read(shown).iter("{http://www.w3.org/2000/svg}title")]
    assert titles == [
        f"{head}, 2026-11-23 10:22:00 to 2026-11-23 10:55:20 UTC, 3 records",
        f"{head}, time unknown",
    ]
    assert 'class="mark end"' in shown


def test_a_host_with_very_many_findings_has_a_short_timeline() -> None:
    """All cards are there; the timeline counts those it leaves out."""
    many = [replace(X11VNC, id=f"{number:04}") for number in range(MOST_LANES + 5)]
    document = _read(_html(many, run([])))
    assert len(list(document.iter("article"))) == MOST_LANES + 5
    assert "and 5 more below" in _text(document)


def test_a_technique_of_another_shape_has_no_address() -> None:
    """Ids come from rule files, which may say anything."""
    odd = Technique('T1"><b>', "Odd", ("made-up",))
    shown = _html([replace(X11VNC, techniques=(odd,), references=())], run([]))
    assert "attack.mitre.org" not in shown
    assert 'T1"><b> Odd made-up' in _text(_read(shown))


def test_hidden_characters_are_shown() -> None:
    """In any place: here a value, a host and a place."""
    reason = Reason("Image", "path", "/tmp/\u202ex11vnc\x1b", "ends with 'x'")
    item = Evidence(Locator("a\u200b.log", 0, 1, 0), "q", AT, None, "new", (reason,), ())
    shown = _text(_read(_html([replace(X11VNC, host_name="h\x07", evidence=(item,))], run([]))))
    for part in (r"/tmp/\u202ex11vnc\x1b", r"h\x07", r"a\u200b.log:1"):
        assert part in shown
