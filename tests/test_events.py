"""What events of Windows tell: processes, connections, names and scripts inside `data`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import kit
import pytest
import wrapped
from hypothesis import example, given, settings
from hypothesis import strategies as st

from molehunt.data import load_yaml
from molehunt.detectors.matching import readrows
from molehunt.detectors.matching.judge import has_judge
from molehunt.detectors.matching.plan import FastPlan, compile_plan, reference_plan
from molehunt.detectors.reading import MARKS, read_document
from molehunt.detectors.reading.events import COLUMNS, told
from molehunt.detectors.reading.inputs import shaped
from molehunt.detectors.records import Locator, Row
from molehunt.eventdata import number, registry_data, registry_key, registry_path
from molehunt.problems import Problem
from molehunt.rule import Rule
from molehunt.schema import tables
from molehunt.taxonomy import check_taxonomy, parse_taxonomy, taxonomy

SYSMON, SECURITY = "Microsoft-Windows-Sysmon", "Microsoft-Windows-Security-Auditing"
WINDOWS = "{category: process_creation, product: windows}"
ANYDESK = r"C:\Users\ana\Downloads\AnyDesk.exe"


def started(**more: str) -> dict[str, str]:
    """The fields of Sysmon's event 1."""
    return {
        "RuleName": "-",
        "ProcessGuid": "{1}",
        "ProcessId": "7560",
        "Image": ANYDESK,
        "CommandLine": "AnyDesk.exe --install",
        "User": r"LAB\ana",
        "ParentProcessGuid": "{2}",
        "ParentProcessId": "4120",
        "ParentImage": r"C:\Windows\explorer.exe",
        "ParentCommandLine": "-",
    } | more


def audited(**more: str) -> dict[str, str]:
    """The fields of 4688."""
    return {
        "SubjectUserName": "ana",
        "NewProcessId": "0x1d88",
        "NewProcessName": ANYDESK,
        "ProcessId": "0x1018",
        "CommandLine": "AnyDesk.exe --install",
        "ParentProcessName": r"C:\Windows\explorer.exe",
    } | more


def event(
    eventid: int, fields: Mapping[str, Any], provider: str = SYSMON, end: str = "", **more: Any
) -> dict[str, Any]:
    """The columns of a row of windows_events."""
    return {
        "data": json.dumps({"EventData": fields}) + end,
        "datetime": "2026-11-23T10:21:40.123456700Z",
        "eventid": str(eventid),
        "provider_name": provider,
        "source": f"{provider}/Operational",
        "time": "1795429300",
    } | more


def rows(columns: Mapping[str, Any], **envelope: Any) -> Sequence[Row]:
    """The rows of one line."""
    document = json.loads(kit.line(columns, "windows_events", **envelope))
    return read_document(document, Locator("test.log", 0, 1, 0)).rows


def selects(item: str) -> Rule:
    """A rule for processes of Windows."""
    return kit.rule(f"selection:\n    {item}\ncondition: selection", WINDOWS)


@pytest.mark.parametrize(
    "columns",
    [
        event(1, started()),
        event(1, started(), end="\\x0A"),
        event(4688, audited(), SECURITY),
        {k: v for k, v in event(1, started()).items() if k not in ("time", "provider_name")},
    ],
    ids=["sysmon", "line feed", "4688", "few columns"],
)
def test_a_process_is_found_in_an_event(columns: dict[str, Any]) -> None:
    """By the rules for processes, whichever event tells of it."""
    line = kit.line(columns, "pack_it_windows_events")
    both = r"Image|endswith: '\AnyDesk.exe'" + "\n    ParentImage|endswith: '\\explorer.exe'"
    assert kit.fires([selects(both)], line)
    assert kit.fires([selects("ProcessId: 7560")], line)
    assert kit.fires([selects("ParentCommandLine: null")], line)
    assert not kit.fires([selects("CommandLine|contains: --service")], line)


def test_the_match_says_where_it_was_read() -> None:
    """The evidence is called as in the event, and the row is told from the one that holds it."""
    rule = selects(r"Image|endswith: '\anydesk.exe'")
    (match,) = kit.matches([rule], kit.line(event(4688, audited(), SECURITY), "sec"))
    assert [(one.field, one.column, one.value) for one in match.evidence] == [
        ("Image", "NewProcessName", ANYDESK)
    ]
    assert (match.record.locator.line, match.record.locator.row) == (1, 1)
    assert match.record.user == "ana"
    assert match.record.event_at == 1795429300
    assert match.record.values["NewProcessId|number"] == "7560"


@pytest.mark.parametrize(
    "columns",
    [
        event(5, started()),
        event(1, {k: v for k, v in started().items() if k != "ParentProcessGuid"}),
        event(1, started(), "Contoso-Sysmon"),
        event(3, {"DestinationPortName": "-", "Initiated": "false", "DestinationIp": "192.0.2.1"}),
        event(1, {}) | {"data": "[" * 100_000},
        event(1, {}) | {"data": json.dumps({"EventData": {"Data": ["ParentProcessGuid"]}})},
        event(1, {}) | {"data": "cut short {"},
        event(1, {}) | {"data": None},
    ],
    ids=["other event", "no mark", "other provider", "inbound", "deep", "list", "broken", "null"],
)
def test_what_is_no_such_event_tells_nothing(columns: dict[str, Any]) -> None:
    """And does no harm."""
    assert len(rows(columns)) == 1


def test_every_row_of_a_line_is_read() -> None:
    """What rows tell stands behind all of them, so that these keep their numbers."""
    three = [event(1, started()), event(5, {}), event(4688, audited(), SECURITY)]
    document = json.loads(kit.line({}, "windows_eventlog", snapshot=three, action="snapshot"))
    del document["columns"]
    found = read_document(document, Locator("test.log", 0, 1, 0)).rows
    assert [(row.source, row.locator.row) for row in found] == [
        ("osquery", 0),
        ("osquery", 1),
        ("osquery", 2),
        ("event:sysmon_process_creation", 3),
        ("event:security_process_creation", 4),
    ]


@pytest.mark.parametrize(
    ("logsource", "item", "columns"),
    [
        (
            "{category: network_connection, product: windows}",
            "{DestinationIp: 198.51.100.7, DestinationPort: 7070, Image|endswith: '\\ssh.exe'}",
            event(
                3,
                {
                    "Image": r"C:\Windows\System32\OpenSSH\ssh.exe",
                    "Initiated": "true",
                    "SourceIp": "192.0.2.9",
                    "DestinationIp": "198.51.100.7",
                    "DestinationPort": "7070",
                    "DestinationPortName": "-",
                },
            ),
        ),
        (
            "{category: dns_query, product: windows}",
            "{QueryName|endswith: .net.example}",
            event(22, {"QueryName": "relay.net.example", "QueryResults": "-", "QueryStatus": "0"}),
        ),
        (
            "{category: file_event, product: windows}",
            "{TargetFilename|endswith: '\\.vscode\\tasks.json'}",
            event(
                11,
                {
                    "TargetFilename": r"C:\src\.vscode\tasks.json",
                    "CreationUtcTime": "2026-11-23 10:21:40.123",
                },
            ),
        ),
        (
            "{category: registry_set, product: windows}",
            "{TargetObject: 'HKLM\\SOFTWARE\\Example\\On', Details: 1}",
            event(
                13,
                {"TargetObject": r"HKLM\SOFTWARE\Example\On", "Details": "DWORD (0x00000001)"},
            ),
        ),
        (
            "{category: ps_script, product: windows}",
            "{ScriptBlockText|contains: SendKeys}",
            event(
                4104,
                {"ScriptBlockText": "[SendKeys]::SendWait('x')", "Path": ""},
                "Microsoft-Windows-PowerShell",
            ),
        ),
    ],
    ids=["connection", "name", "file", "registry", "script"],
)
def test_other_events_are_read_too(logsource: str, item: str, columns: dict[str, Any]) -> None:
    """Each by the rules of its own log source."""
    rule = kit.rule(f"selection: {item}\ncondition: selection", logsource)
    assert kit.fires([rule], kit.line(columns, "whatever_it_is_called"))


def test_conversions() -> None:
    """Spellings of events as those of osquery."""
    assert number("0x1D88") == "7560"
    assert number("7560") == "7560"
    assert registry_path(r"HKU\S-1-5-18\X") == r"HKEY_USERS\S-1-5-18\X"
    assert registry_key(r"HKLM\A\B") == r"HKEY_LOCAL_MACHINE\A"
    assert registry_data("DWORD (0x0000000a)") == "10"
    assert registry_data("QWORD (0x00000000-0x00000003)") == "3"
    assert registry_data("DWORD (0x-)") == "DWORD (0x-)"
    assert registry_data("QWORD (0x00000001-0x00000000)") == str(1 << 32)
    assert registry_data("Binary Data") == "Binary Data"


def test_each_event_of_the_taxonomy_has_its_mark() -> None:
    """The raw scan passes over lines without any."""
    assert taxonomy().events
    for one in taxonomy().events:
        assert one.mark.lower().encode() in MARKS
        columns = event(int(one.eventid), {one.mark: "x"} | only(one.only), one.provider)
        assert [row.source for row in rows(columns)][1:] == [f"event:{one.name}"]


def only(asked: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Fields as an event asks for them."""
    return {name: values[0] for name, values in asked.items()}


def test_a_wrong_event_in_the_taxonomy_is_told() -> None:
    """A table, a column or a conversion that there is none of."""
    data = load_yaml("taxonomy.yml")
    event_ = {"provider": "P", "eventid": 1, "mark": "M", "table": "registry"}
    data["events"] = {
        "one": event_ | {"table": "no_such_table", "columns": {}},
        "two": event_ | {"columns": {"colour": "M", "parent.path": "M", "path": "M|louder"}},
    }
    found = [problem.what for problem in check_taxonomy(parse_taxonomy(data), tables())]
    assert found == [
        "event one: osquery has no table 'no_such_table'",
        "event two: no column colour",
        "event two: no column parent.path",
        "event two: no conversion 'louder'",
    ]


TEXTS = st.sampled_from(
    [
        "",
        "-",
        ANYDESK,
        ANYDESK.upper(),
        'a "quoted" b',
        "\\x0A",
        "Ünïcode",
        "a/b",
        "a\nb",
        "--install",
    ]
)
FIELDS = st.fixed_dictionaries(
    {"CommandLine": TEXTS, "ParentImage": TEXTS, "User": TEXTS}, optional={"Image": TEXTS}
)
ITEMS = (
    r"Image|endswith: '\anydesk.exe'",
    "CommandLine|contains: install",
    "CommandLine|re: '[a-z] \"quo'",
    "CommandLine|contains: a/b",
    "CommandLine: null",
    "ParentImage|contains: ïco",
    "User|cased: '-'",
    "Image|startswith: '\\'",
    r"CommandLine|contains: '\x0'",
    "osquery.action: removed",
    "'osquery.name': two",
)
RULES = (
    *map(selects, ITEMS),
    kit.rule("keywords: [quoted]\ncondition: keywords", WINDOWS),
    kit.rule(
        "selection: {data|contains: install}\ncondition: selection",
        "{product: osquery, service: windows_events}",
    ),
)
HOW = ("hyperscan", "re2", "", None)


def told_by(plan: Any, data: bytes) -> list[tuple[Any, ...]]:
    """The matches of a plan in a log."""
    problems: list[Problem] = []
    found = [
        (match.rule.id, match.rule.title, match.record.locator, match.closes, match.evidence)
        for match in plan.matches(
            shaped("test.log", iter([data]), problems.append), problems.append
        )
    ]
    assert not problems
    return found


def as_they_are(documents: list[dict[str, Any]]) -> bytes:
    """As osqueryd writes them."""
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in documents)


def in_filebeat(documents: list[dict[str, Any]]) -> bytes:
    """As hits of a search."""
    return wrapped.lines(wrapped.hit(wrapped.filebeat(one)) for one in documents)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from(["added", "removed"])), min_size=1),
    st.integers(0, 1 << 16),
    st.sampled_from([as_they_are, in_filebeat]),
)
@example([({"CommandLine": "a/b", "ParentImage": "", "User": "-"}, True, "added")], 1, as_they_are)
def test_engine_and_evaluator_agree(
    drawn: list[tuple[dict[str, str], bool, str]],
    seed: int,
    stored: Callable[[list[dict[str, Any]]], bytes],
) -> None:
    """Whether events stand in osqueryd's log or in an export, however lines are searched, and with
    so many of them that the part in C is asked."""
    chance = random.Random(seed)
    documents = []
    for fields, sysmon, action in drawn * (1 + readrows.FIRST * 3 // len(drawn)):
        columns = (
            event(1, started(**fields)) if sysmon else event(4688, audited(**fields), SECURITY)
        )
        query = chance.choice(["one", "two", "pack_it_windows_events"])
        document = json.loads(kit.line(columns, query, action=action))
        documents.append(document | {"unixTime": document["unixTime"] + len(documents)})
    data, binder = stored(documents), kit.binder()
    expected = told_by(reference_plan(RULES, taxonomy(), binder), data)
    for how in HOW:
        assert told_by(compile_plan(RULES, taxonomy(), binder, scan=how), data) == expected


@pytest.mark.skipif(not has_judge(), reason="the part in C was not built here")
def test_rows_of_exports_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rules are asked of a row: else an export takes a hundred times as long as a log."""
    asked = []
    inner = FastPlan.asking

    def counting(self: FastPlan, *args: Any) -> Any:
        asked.append(args)
        return inner(self, *args)

    monkeypatch.setattr(FastPlan, "asking", counting)
    documents = [
        json.loads(kit.line({"path": f"/usr/bin/x{n}", "cmdline": f"x{n}"}, "processes"))
        for n in range(3 * readrows.FIRST)
    ]
    rules = [selects(f"CommandLine|contains: word{n}") for n in range(20)]
    plan = compile_plan(rules, taxonomy(), kit.binder())
    assert told_by(plan, in_filebeat(documents)) == []
    assert asked == []


def test_rows_that_tell_are_read_once() -> None:
    """What an event tells tells nothing more."""
    (row, more) = rows(event(1, started()))
    assert not more.values.keys() >= COLUMNS
    assert list(told([more], 1)) == []
    assert list(told([row], 0)) == [more]
