"""The catalogue of tools: rules are made from it, and made the same way each time."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import kit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molehunt.catalogue.categories import CATEGORIES, LEVELS
from molehunt.catalogue.drafts import drafts
from molehunt.catalogue.entries import Tool, read_catalogue
from molehunt.catalogue.making import MARK, make_rule, rule_texts
from molehunt.catalogue.matching import escaped
from molehunt.cli import main
from molehunt.rulefiles import builtin_rules_path
from molehunt.ruleset import load_rules

RULES = Path(builtin_rules_path())
ENTRY = """\
id: exampledesk
name: ExampleDesk
category: remote_desktop
vendor: https://desk.example
benign: medium
added: 2026-11-25
sources:
    list: https://list.example/exampledesk
windows:
    services:
        - {is: ExampleDesk, status: verified, source: [list]}
    processes:
        - {is: exdesk.exe, status: reported, source: [seen]}
        - {is: agent.exe, status: reported, source: [seen], shared: true}
    folders:
        - {is: '\\ExampleDesk\\', status: reported, source: [seen], shared: true}
    signers:
        - {is: Example Desk Ltd, status: uncertain, source: [recalled]}
linux:
    packages:
        - {is: exampledesk, status: reported, source: [list]}
"""


def _folder(path: Path, entries: Iterable[tuple[str, str]]) -> Path:
    rules = path / "rules"
    (rules / "catalogue").mkdir(parents=True)
    shutil.copy(RULES / "catalogue.schema.json", rules)
    for name, text in entries:
        (rules / "catalogue" / f"{name}.yml").write_text(text, encoding="utf-8")
    return rules


def _rules(path: Path, text: str = ENTRY) -> dict[str, dict[str, object]]:
    rules = _folder(path, [("exampledesk", text)])
    assert main(["generate", "--rules", str(rules)]) == 0
    return {
        file.stem: kit.parsed(file.read_text(encoding="utf-8"))
        for file in rules.glob("*/*.yml")
        if file.parent.name != "catalogue"
    }


def test_the_shipped_rules_are_what_the_catalogue_makes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`molehunt generate --check`: no drift."""
    code = main(["generate", "--check"])
    assert (code, capsys.readouterr().err) == (0, "")


def test_every_shipped_entry_makes_rules() -> None:
    """An entry without a rule would be data that nobody uses."""
    tools, problems = read_catalogue(str(RULES / "catalogue"))
    assert not problems
    assert [tool.id for tool in tools if not drafts(tool)] == []
    assert len({tool.id for tool in tools}) == len(tools) >= 100


def test_the_rules_of_a_small_entry(tmp_path: Path) -> None:
    """One rule for each log source that the entry has keys for."""
    made = _rules(tmp_path)
    assert sorted(made) == [
        "osquery_authenticode_exampledesk",
        "osquery_deb_packages_exampledesk",
        "osquery_rpm_packages_exampledesk",
        "osquery_services_exampledesk",
        "proc_creation_windows_exampledesk",
    ]
    process = made["proc_creation_windows_exampledesk"]
    assert process["detection"] == {
        "selection_name": {"Image|endswith": "\\exdesk.exe"},
        "selection_name_in_folder": {
            "Image|contains": "\\ExampleDesk\\",
            "Image|endswith": "\\agent.exe",
        },
        "condition": "1 of selection_*",
    }
    assert process["references"] == ["https://desk.example"]
    assert made["osquery_services_exampledesk"]["references"] == [
        "https://list.example/exampledesk"
    ]
    assert {rule["level"] for name, rule in made.items() if "deb" in name} == {"low"}
    assert process["level"] == "medium"


def test_uncertain_keys_alone_stay_low(tmp_path: Path) -> None:
    """A value from memory must not cost anybody a night."""
    assert _rules(tmp_path)["osquery_authenticode_exampledesk"]["level"] == "low"


def test_uncertain_keys_beside_certain_ones_are_left_out(tmp_path: Path) -> None:
    """A strong rule does not grow a weak branch."""
    second = "        - {is: Example Desk GmbH, status: verified, source: [list]}\nlinux:"
    rule = _rules(tmp_path, ENTRY.replace("linux:", second))["osquery_authenticode_exampledesk"]
    assert rule["detection"]["selection"] == {"subject_name": "Example Desk GmbH"}  # type: ignore[index]
    assert rule["level"] == "medium"


def test_the_made_rules_load(tmp_path: Path) -> None:
    """They are Sigma as pySigma and this project read it."""
    _rules(tmp_path)
    ruleset = load_rules([str(tmp_path / "rules")])
    assert len(ruleset.rules) == 5
    assert not ruleset.problems


def test_made_twice_is_made_once(tmp_path: Path) -> None:
    """The second run changes no byte, and ids follow from the entry."""
    first, again = _rules(tmp_path / "a"), _rules(tmp_path / "b")
    assert first == again
    assert {UUID(str(rule["id"])).version for rule in first.values()} == {5}
    assert len({rule["id"] for rule in first.values()}) == len(first)


def test_what_drifted_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Edited, missing and left-over files are each named; nothing is written."""
    _rules(tmp_path)
    folder = tmp_path / "rules" / "remote_desktop"
    edited = folder / "osquery_services_exampledesk.yml"
    edited.write_text(edited.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    (folder / "osquery_authenticode_exampledesk.yml").unlink()
    (folder / "old.yml").write_text(f"# {MARK}gone.yml; change that\n", encoding="utf-8")
    (folder / "hand.yml").write_text("title: by hand\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["generate", "--check", "--rules", str(tmp_path / "rules")]) == 2
    said = capsys.readouterr().err
    assert "osquery_services_exampledesk.yml: error: is not what the catalogue makes" in said
    assert "osquery_authenticode_exampledesk.yml: error: is missing" in said
    assert "old.yml: error: was made by the catalogue" in said
    assert "hand.yml" not in said
    assert main(["generate", "--rules", str(tmp_path / "rules")]) == 0
    assert not (folder / "old.yml").exists()
    assert (folder / "hand.yml").exists()
    assert main(["generate", "--check", "--rules", str(tmp_path / "rules")]) == 0


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("category: remote_desktop", "category: spyware", 3, "is not one of"),
        ("status: verified, ", "", 11, "'status' is a required property"),
        ("source: [list]}", "source: [book]}", 11, "source 'book' has no address"),
        ("id: exampledesk", "id: otherdesk", 1, "must be called otherdesk.yml"),
        ("    list: https", "    list: ftp", 8, "does not match"),
        ("uncertain", "reported", 18, "only recalled must be uncertain"),
        ("is: ExampleDesk,", "is: ExampleDesk, starts: Ex,", 11, "valid under each of"),
        ("2026-11-25", "yesterday", 6, "added must be a day"),
        ("name: ExampleDesk", "name: [", 4, "not YAML"),
    ],
)
def test_bad_entries_are_named_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: int, said: str
) -> None:
    """And the rules on disk stay as they are."""
    assert old in ENTRY
    rules = _folder(tmp_path, [("exampledesk", ENTRY.replace(old, new, 1))])
    assert main(["generate", "--rules", str(rules)]) == 2
    text = capsys.readouterr().err
    assert f"exampledesk.yml:{line}: error:" in text
    assert said in text
    assert not (rules / "remote_desktop").exists()


def test_the_catalogue_is_not_taken_for_rules(tmp_path: Path) -> None:
    """Only beside its schema: a user's own folder of that name holds rules."""
    _rules(tmp_path)
    rules = tmp_path / "rules"
    assert load_rules([str(rules)]).ignored == ()
    (rules / "catalogue.schema.json").unlink()
    assert len(load_rules([str(rules)]).ignored) == 1


@given(st.text(st.sampled_from("a\\*? é"), min_size=1))
def test_an_escaped_value_means_itself(text: str) -> None:
    """As pySigma reads it back: no wildcard, the same characters."""
    from sigma.types import SigmaString

    read = SigmaString(escaped(text))
    assert not read.contains_special()
    assert "".join(str(part) for part in read.s) == text


@pytest.fixture(scope="module")
def shipped() -> list[Tool]:
    """The shipped entries."""
    return read_catalogue(str(RULES / "catalogue"))[0]


def test_levels_and_words_of_the_shipped_rules(shipped: list[Tool]) -> None:
    """Words agree with the level, nothing is left unfilled, context stays context."""
    for tool in shipped:
        for draft in drafts(tool):
            rule = make_rule(tool, draft)
            text = str(rule)
            assert "{" not in str([rule["description"], rule["falsepositives"]]), text
            assert rule["description"].startswith("Detects ")
            assert ("Suspicious" in rule["title"]) == (rule["level"] == "high")
            assert rule["references"], text
            if CATEGORIES[tool.category].context_only and draft.set_up is None:
                assert rule["molehunt"]["context_only"] is True
                assert LEVELS.index(rule["level"]) <= LEVELS.index("low")
            if draft.keys and all(key.status == "uncertain" for key in draft.keys):
                assert LEVELS.index(rule["level"]) <= LEVELS.index("low")


@settings(max_examples=20)
@given(st.data())
def test_the_order_of_the_files_does_not_matter(shipped: list[Tool], data: st.DataObject) -> None:
    """Rules follow from the entries, one by one."""
    tools = data.draw(st.lists(st.sampled_from(shipped), unique_by=lambda tool: tool.id))
    assert rule_texts(tools) == rule_texts(reversed(tools))


SET_UP = """\
    set_up:
        - slug: exampledesk_password
          title: ExampleDesk Password on Windows
          detects: the setting of a password for ExampleDesk
          why: Whoever knows it comes in.
          program: [exdesk.exe]
          any: ['--password ']
          matching: ['--port\\s+\\d+']
          unless: ['--connect ']
          source: [seen]
          level: high
linux:
"""


def test_a_command_line_that_sets_a_tool_up(tmp_path: Path) -> None:
    """The tool or the shell that runs it, with what prepares it, unless for its other use."""
    rule = _rules(tmp_path, ENTRY.replace("linux:\n", SET_UP))[
        "proc_creation_windows_exampledesk_password"
    ]
    assert rule["title"] == "Remote Access Tool - Suspicious ExampleDesk Password on Windows"
    assert rule["level"] == "high"
    detection = rule["detection"]
    assert isinstance(detection, dict)
    assert detection["selection_tool"] == [
        {"Image|endswith": "\\exdesk.exe"},
        {"CommandLine|contains": "exdesk.exe"},
    ]
    assert detection["selection_set_up"] == {"CommandLine|contains": "--password "}
    assert detection["selection_matching"] == {"CommandLine|re|i": r"--port\s+\d+"}
    assert detection["filter_main_other_use"] == {"CommandLine|contains": "--connect "}
    assert detection["condition"] == "all of selection_* and not 1 of filter_main_*"


def test_a_command_line_may_tell_without_the_name_of_the_program(tmp_path: Path) -> None:
    """All texts of one list, or what an expression finds, beside the named program or alone."""
    telling = "telling: [['--exdesk-id=', '--hidden'], ['--exdesk-service']]\n          any:"
    detection = _rules(
        tmp_path,
        ENTRY.replace(
            "linux:\n", SET_UP.replace("any:", telling).replace("matching:", "telling_matching:")
        ),
    )["proc_creation_windows_exampledesk_password"]["detection"]
    assert isinstance(detection, dict)
    assert detection["selection_telling"] == [
        {"CommandLine|contains|all": ["--exdesk-id=", "--hidden"]},
        {"CommandLine|contains": "--exdesk-service"},
        {"CommandLine|re|i": r"--port\s+\d+"},
    ]
    assert detection["condition"] == (
        "((selection_tool and selection_set_up) or selection_telling) and not 1 of filter_main_*"
    )
    alone = "telling: [['--exdesk-service']]\n"
    text = SET_UP.replace("program: [exdesk.exe]\n", alone)
    for line in ("any: ['--password ']", "matching: ['--port\\s+\\d+']", "unless: ['--connect ']"):
        text = text.replace(f"          {line}\n", "")
    detection = _rules(
        tmp_path / "alone", ENTRY.replace("linux:\n", text.replace("high", "medium"))
    )["proc_creation_windows_exampledesk_password"]["detection"]
    assert isinstance(detection, dict)
    assert detection["condition"] == "selection_telling and not filter_main_reader"


def test_a_renamed_file_is_found_by_its_command_line(tmp_path: Path) -> None:
    """Of processes and services; who looks the words up is filtered out."""
    keys = "windows:\n    command_lines:\n"
    keys += "        - {contains: '--exdesk-id=', status: reported, source: [seen]}\n"
    keys += "        - {matching: '--desk=\\d+', status: reported, source: [seen]}\n"
    made = _rules(tmp_path, ENTRY.replace("windows:\n", keys, 1))
    process = made["proc_creation_windows_exampledesk"]["detection"]
    service = made["osquery_services_exampledesk"]["detection"]
    assert isinstance(process, dict) and isinstance(service, dict)
    assert process["selection_command_line"] == [
        {"CommandLine|contains": "--exdesk-id="},
        {"CommandLine|re|i": r"--desk=\d+"},
    ]
    assert "filter_main_reader" in process
    assert {"path|contains": "--exdesk-id="} in service["selection"]
    assert {"path|re|i": r"--desk=\d+"} in service["selection"]


def test_a_launch_item_is_found_by_what_it_starts(tmp_path: Path) -> None:
    """Whatever its label is."""
    keys = "macos:\n    launch_programs:\n"
    keys += "        - {contains: /exdesk/, status: reported, source: [seen]}\nlinux:\n"
    made = _rules(tmp_path, ENTRY.replace("linux:\n", keys, 1))
    assert made["osquery_launchd_exampledesk"]["detection"] == {
        "selection": [
            {"program|contains": "/exdesk/"},
            {"program_arguments|contains": "/exdesk/"},
        ],
        "condition": "selection",
    }


def test_a_lowered_tool_weighs_one_level_less(tmp_path: Path) -> None:
    """And says why, in the place of what its category says."""
    reason = "lowered: Somebody must agree.\nwindows:"
    rule = _rules(tmp_path, ENTRY.replace("windows:", reason, 1))["osquery_services_exampledesk"]
    assert rule["level"] == "low"
    assert str(rule["description"]).endswith("Somebody must agree.\n")


def test_a_raised_tool_weighs_one_level_more(tmp_path: Path) -> None:
    """And says why, in the place of what its category says."""
    reason = "raised: It was seen in every case.\nwindows:"
    rule = _rules(tmp_path, ENTRY.replace("windows:", reason, 1))["osquery_services_exampledesk"]
    assert rule["level"] == "high"
    assert str(rule["description"]).endswith("It was seen in every case.\n")
    assert "Suspicious ExampleDesk" in str(rule["title"])


def test_what_honest_firms_use_weighs_one_level_less(tmp_path: Path) -> None:
    """A tool that is everywhere is an observation."""
    made = _rules(tmp_path, ENTRY.replace("benign: medium", "benign: high"))
    assert made["osquery_services_exampledesk"]["level"] == "low"


PORTABLE = """\
    downloads:
        - {starts: exdesk-, status: verified, source: [list]}
"""


def _traced() -> str:
    """A tool that no company rolls out, with the name of its portable copy."""
    text = ENTRY.replace("benign: medium", "benign: low")
    return text.replace("    folders:\n", f"{PORTABLE}    folders:\n", 1)


def test_traces_of_a_run_are_found_by_lists_over_many_tools(tmp_path: Path) -> None:
    """One rule for each table, by whole names, their beginnings, and shared names in a folder."""
    made = _rules(tmp_path, _traced())
    listed = {name: rule for name, rule in made.items() if name.endswith("_remote_tool")}
    assert sorted(listed) == [
        "osquery_autoexec_remote_tool",
        "osquery_background_activities_moderator_remote_tool",
        "osquery_certificates_remote_tool",
        "osquery_file_remote_tool",
        "osquery_prefetch_remote_tool",
        "osquery_shimcache_remote_tool",
        "osquery_userassist_remote_tool",
        "osquery_windows_crashes_remote_tool",
        "osquery_windows_firewall_rules_remote_tool",
    ]
    assert {rule["level"] for rule in listed.values()} == {"low"}
    assert listed["osquery_userassist_remote_tool"]["detection"] == {
        "selection": [
            {"path|endswith": "\\exdesk.exe"},
            {"path|contains": "\\exdesk-"},
            {"path|contains": "\\ExampleDesk\\", "path|endswith": "\\agent.exe"},
        ],
        "condition": "selection",
    }
    assert listed["osquery_prefetch_remote_tool"]["detection"] == {
        "selection": [{"filename": "exdesk.exe"}, {"filename|startswith": "exdesk-"}],
        "condition": "selection",
    }


def test_other_tables_show_what_they_know_of_a_tool(tmp_path: Path) -> None:
    """Names of services, makers and servers beside files; what is blocked does not count."""
    domain = "    domains:\n        - {ends: .desk.example, status: verified, source: [list]}\n"
    text = _traced().replace("    folders:\n", f"{domain}    folders:\n", 1)
    made = _rules(tmp_path / "a", text)
    assert made["osquery_certificates_remote_tool"]["detection"] == {
        "selection": {"common_name": "Example Desk Ltd"},
        "condition": "selection",
    }
    started = made["osquery_autoexec_remote_tool"]["detection"]
    assert {"name": "ExampleDesk"} in started["selection"]  # type: ignore[index]
    passed = made["osquery_windows_firewall_rules_remote_tool"]["detection"]
    assert passed["filter_main_block"] == {"action": "Block"}  # type: ignore[index]
    asked = made["dns_query_windows_remote_tool"]
    assert asked["logsource"] == {"category": "dns_query", "product": "windows"}
    assert asked["detection"]["selection"] == {  # type: ignore[index]
        "QueryName|endswith": ".desk.example"
    }
    case = text.replace("benign: low", "benign: medium\ncases: [https://case.example/1]", 1)
    assert "dns_query_windows_remote_tool" not in _rules(tmp_path / "b", case)


def test_what_firms_use_is_in_no_list_of_traces(tmp_path: Path) -> None:
    """Unless workers of the scheme are known to use it."""
    medium = _traced().replace("benign: low", "benign: medium")
    assert not [name for name in _rules(tmp_path / "a", medium) if "prefetch" in name]
    case = medium.replace("windows:", "cases: [https://case.example/1]\nwindows:", 1)
    assert "osquery_prefetch_remote_tool" in _rules(tmp_path / "b", case)


def test_a_tool_may_have_rules_on_its_traces_for_itself(tmp_path: Path) -> None:
    """Under its own subject, so that it is approved like its other rules."""
    made = _rules(tmp_path, _traced().replace("windows:", "traces: true\nwindows:", 1))
    own = made["osquery_background_activities_moderator_exampledesk"]
    assert own["molehunt"]["subject"] == "exampledesk"  # type: ignore[index]
    assert "filter_main_system" in own["detection"]  # type: ignore[operator]
