"""Schedules from osquery configurations, packs and Fleet's YAML; which query a log name means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from molehunt.data import load_yaml
from molehunt.detectors.schedule.config import load_schedule
from molehunt.detectors.schedule.queries import Schedule, find, pack_schedule
from molehunt.problems import Problem, Severity

RECORDINGS = Path(__file__).parent / "recordings"
SQL = "SELECT pid FROM processes"


def _load(
    folder: Path, content: str | Mapping[str, Any], name: str = "osquery.conf"
) -> tuple[Schedule, list[Problem]]:
    text = content if isinstance(content, str) else json.dumps(content)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return load_schedule([str(path)])


def _good(folder: Path, content: str | Mapping[str, Any], name: str = "osquery.conf") -> Schedule:
    schedule, problems = _load(folder, content, name)
    assert not problems, [str(problem) for problem in problems]
    return schedule


def _found(schedule: Schedule, name: str) -> list[str]:
    return [query.sql for query in find(schedule, name)]


def _query(sql: str = SQL, **more: Any) -> dict[str, Any]:
    return {"query": sql, "interval": 60, **more}


@pytest.mark.parametrize(
    ("path", "count", "name"),
    [
        ("linux-lab-state/osquery.conf", 27, "pack_itw_listening_ports"),
        ("linux-lab-audit/osquery-audit.conf", 4, "pack_itw_socket_events"),
    ],
)
def test_recorded_configurations(path: str, count: int, name: str) -> None:
    """The configurations that made the recordings are read whole."""
    schedule, problems = load_schedule([str(RECORDINGS / path)])
    assert not problems
    assert len(schedule.queries) == count
    (query,) = find(schedule, name)
    assert query.platforms == {"linux"}
    assert query.pack == "itw"


def test_schedule_entries_are_logged_under_their_own_name(tmp_path: Path) -> None:
    """Only the exact name is the entry's; so are those of a pack called main."""
    schedule = _good(
        tmp_path, {"schedule": {"up": _query("SELECT 1")}, "packs": {"main": {"queries": {}}}}
    )
    assert _found(schedule, "up") == ["SELECT 1"]
    assert not find(schedule, "pack_x_up")
    main = _good(tmp_path, {"packs": {"main": {"queries": {"up": _query("SELECT 2")}}}})
    assert _found(main, "up") == ["SELECT 2"]


@pytest.mark.parametrize("name", ["pack_it_up", "pack/it/up", "pack::it::up"])
def test_pack_delimiters(tmp_path: Path, name: str) -> None:
    """The configured delimiter counts, and those that osquery and Fleet use by default."""
    schedule = _good(
        tmp_path,
        {"options": {"pack_delimiter": "::"}, "packs": {"it": {"queries": {"up": _query()}}}},
    )
    assert _found(schedule, name) == [SQL]
    assert schedule.log_name(schedule.queries[0]) == "pack::it::up"
    assert not find(schedule, "up")
    assert not find(schedule, "pack-it-up")


def test_an_ambiguous_split_gives_both(tmp_path: Path) -> None:
    """`pack_a_b_c` is `b_c` of pack `a` as well as `c` of pack `a_b`."""
    packs = {
        "a": {"queries": {"b_c": _query("SELECT 1")}},
        "a_b": {"queries": {"c": _query("SELECT 2")}},
    }
    schedule = _good(tmp_path, {"packs": packs})
    assert _found(schedule, "pack_a_b_c") == ["SELECT 1", "SELECT 2"]
    assert _found(schedule, "pack/a/b_c") == ["SELECT 1"]


def test_comments_and_continued_lines(tmp_path: Path) -> None:
    """Comment lines go, lines ending in a backslash go on, and `//` in a text stays."""
    schedule = _good(
        tmp_path,
        """\
        # a comment with "quotes
        {
          // another
          "schedule": {
            "web": {"query": "SELECT 'https://example.com/#a' AS x \\
        FROM processes", "interval": 60}
          }
        }
        """,
    )
    (sql,) = _found(schedule, "web")
    assert "'https://example.com/#a'" in sql
    assert sql.endswith("FROM processes")
    assert "\\" not in sql


def test_numbers_and_booleans_as_text(tmp_path: Path) -> None:
    """Texts count as the numbers and truth values that they spell."""
    entry = {"query": SQL, "interval": "120", "snapshot": "true", "removed": "false"}
    (query,) = _good(tmp_path, {"schedule": {"q": entry}}).queries
    assert (query.interval, query.snapshot, query.removed) == (120, True, False)
    (usual,) = _good(tmp_path, {"schedule": {"q": {"query": SQL}}}).queries
    assert (usual.interval, usual.snapshot, usual.removed) == (3600, False, True)


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("", set()),
        ("any", {"linux", "darwin", "windows"}),
        ("all", {"linux", "darwin", "windows"}),
        ("small", {"linux", "darwin", "windows"}),
        ("ubuntu", {"linux"}),
        ("centos", {"linux"}),
        ("posix", {"linux", "darwin"}),
        ("darwin,windows", {"darwin", "windows"}),
    ],
)
def test_platforms(tmp_path: Path, platform: str, expected: set[str]) -> None:
    """`platform` is a test for substrings, as osquery does it."""
    (query,) = _good(tmp_path, {"schedule": {"q": _query(platform=platform)}}).queries
    assert query.platforms == expected


def test_the_platform_of_a_pack_restricts_its_queries(tmp_path: Path) -> None:
    """A query runs where both let it; one that runs nowhere is left out with a warning."""
    queries = {"a": _query(), "b": _query(platform="linux"), "c": _query(platform="windows")}
    pack = {"platform": "posix", "queries": queries}
    schedule, problems = _load(tmp_path, {"packs": {"p": pack}})
    assert {q.name: set(q.platforms) for q in schedule.queries} == {
        "a": {"linux", "darwin"},
        "b": {"linux"},
    }
    (problem,) = problems
    assert problem.severity is Severity.WARNING
    assert "query c" in problem.what


def test_bad_entries_are_problems_and_good_ones_stay(tmp_path: Path) -> None:
    """Each bad entry is told with its file and line; the good entry beside them is kept."""
    schedule, problems = _load(
        tmp_path,
        """\
        {"schedule": {
          "text": "SELECT 1",
          "empty": {"query": " "},
          "good": {"query": "SELECT 1"},
          "slow": {"query": "SELECT 1", "interval": 604801},
          "some_epoch": {"query": "SELECT 1"}
        }}
        """,
    )
    assert [q.name for q in schedule.queries] == ["good"]
    assert [p.line for p in problems] == [2, 3, 5, 6]
    assert {p.path for p in problems} == {str(tmp_path / "osquery.conf")}
    assert all(p.hint for p in problems)


@pytest.mark.parametrize(
    ("text", "line"),
    [('{"schedule": {\n"a": }', 2), ('{"packs": []}', 1), ("[1, 2]", None), ("{}", None)],
)
def test_unusable_files(tmp_path: Path, text: str, line: int | None) -> None:
    """What is no configuration is a problem with the file, and never an exception."""
    schedule, problems = _load(tmp_path, text)
    assert not schedule.queries
    assert problems
    assert problems[0].path == str(tmp_path / "osquery.conf")
    assert line is None or problems[0].line == line


def test_missing_and_undecodable_files(tmp_path: Path) -> None:
    """A file that cannot be read does not keep others from being read."""
    bad, good = tmp_path / "bad.conf", tmp_path / "good.conf"
    bad.write_bytes(b'{"schedule": "\xff"}')
    good.write_text(json.dumps({"schedule": {"q": _query()}}))
    schedule, problems = load_schedule([str(tmp_path / "none.conf"), str(bad), str(good)])
    assert [q.name for q in schedule.queries] == ["q"]
    assert [Path(p.path).name for p in problems] == ["none.conf", "bad.conf"]


def test_packs_by_path(tmp_path: Path) -> None:
    """A pack's file is found beside the configuration; `*` takes names from the files."""
    for name in ("one", "two"):
        _load(tmp_path, {"queries": {name: _query(f"SELECT '{name}'")}}, f"packs/{name}.conf")
    schedule = _good(tmp_path, {"packs": {"first": "packs/one.conf", "*": "packs/*.conf"}})
    assert _found(schedule, "pack_first_one") == ["SELECT 'one'"]
    assert _found(schedule, "pack_two_two") == ["SELECT 'two'"]
    assert find(schedule, "pack_two_two")[0].path == str(tmp_path / "packs/two.conf")


def test_a_missing_pack_file_is_a_problem(tmp_path: Path) -> None:
    """The problem names the pack and the file; the rest of the configuration stays."""
    config = {"schedule": {"q": _query()}, "packs": {"gone": "packs/gone.conf"}}
    schedule, problems = _load(tmp_path, config)
    assert len(schedule.queries) == 1
    (problem,) = problems
    assert "gone" in problem.what
    assert "packs/gone.conf" in problem.what


def test_a_pack_file_fits_any_pack(tmp_path: Path) -> None:
    """Of a pack file the name of the pack is not known."""
    schedule = _good(tmp_path, {"platform": "linux", "queries": {"up": _query()}})
    for name in ("up", "pack_it_up", "pack/my_pack/up", "pack_my_pack_up"):
        assert _found(schedule, name) == [SQL], name
    assert not find(schedule, "pack_up")
    assert not find(schedule, "pack_it_startup")
    assert not find(schedule, "it_up")


def test_a_file_of_several_packs(tmp_path: Path) -> None:
    """Packs by name, without a configuration around them."""
    packs = {"a": {"queries": {"x": _query()}}, "b": {"queries": {"x": _query("SELECT 2")}}}
    schedule = _good(tmp_path, packs)
    assert _found(schedule, "pack_b_x") == ["SELECT 2"]
    assert not find(schedule, "pack_c_x")


@pytest.mark.parametrize("key", ["reports", "queries"])
def test_fleet_gitops(tmp_path: Path, key: str) -> None:
    """Reports are logged for all hosts or for a team; interval 0 schedules nothing."""
    schedule = _good(
        tmp_path,
        f"""\
        {key}:
          - name: usb
            query: SELECT vendor FROM usb_devices;
            platform: darwin,linux
            interval: 300
            logging: snapshot
          - name: by hand
            query: SELECT 1
            interval: 0
        """,
        "default.yml",
    )
    for name in ("pack/Global/usb", "pack/team-12/usb", "pack_Global_usb"):
        (query,) = find(schedule, name)
        assert query.platforms == {"darwin", "linux"}
        assert query.snapshot
    assert not find(schedule, "pack/team-x/usb")
    assert not find(schedule, "pack/Global/by hand")


def test_fleet_gitops_files(tmp_path: Path) -> None:
    """A list entry may name a file, relative to the file that it stands in."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "q.yml").write_text("- {name: q, query: SELECT 1, interval: 60}\n")
    schedule = _good(tmp_path, "reports:\n  - path: lib/q.yml\n", "default.yml")
    assert _found(schedule, "pack/Global/q") == ["SELECT 1"]


def test_fleet_reports_that_stay_in_fleet(tmp_path: Path) -> None:
    """Without automations nothing reaches a log: the query is marked, and a warning says so."""
    text = "reports:\n  - {name: q, query: SELECT 1, interval: 60, automations_enabled: false}\n"
    schedule, problems = _load(tmp_path, text, "default.yml")
    assert [q.logged for q in schedule.queries] == [False]
    assert [p.severity for p in problems] == [Severity.WARNING]


def test_fleet_documents_of_a_kind(tmp_path: Path) -> None:
    """Packs name their queries, which may stand in a later document."""
    schedule = _good(
        tmp_path,
        """\
        apiVersion: v1
        kind: pack
        spec:
          name: ir
          queries:
            - {query: who, name: people, interval: 60, platform: linux}
        ---
        apiVersion: v1
        kind: query
        spec: {name: who, query: SELECT user FROM logged_in_users}
        """,
        "fleet.yml",
    )
    (query,) = find(schedule, "pack/ir/people")
    assert query.sql == "SELECT user FROM logged_in_users"
    assert query.platforms == {"linux"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("default.yml", "agent_options:\n  path: ./lib/options.yml\n"),
        (
            "default.yml",
            "agent_options:\n  config: {schedule: {q: {query: SELECT 1, interval: 60}}}",
        ),
        (
            "config.yml",
            (
                "apiVersion: v1\nkind: config\nspec:\n  agent_options:\n"
                "    config: {schedule: {q: {query: SELECT 1, interval: 60}}}\n"
            ),
        ),
        (
            "team.yml",
            (
                "apiVersion: v1\nkind: team\nspec:\n  team:\n    name: a\n    agent_options:\n"
                "      overrides: {platforms: {darwin: {schedule: "
                "{q: {query: SELECT 1, interval: 60}}}}}\n"
            ),
        ),
    ],
)
def test_fleet_agent_options(tmp_path: Path, name: str, text: str) -> None:
    """The osquery configuration in agent options counts, wherever Fleet keeps them."""
    (tmp_path / "lib").mkdir()
    options = "config:\n  schedule: {q: {query: SELECT 1, interval: 60}}\n"
    (tmp_path / "lib" / "options.yml").write_text(options)
    assert _found(_good(tmp_path, text, name), "q") == ["SELECT 1"]


def test_fleet_agent_options_that_are_not_there(tmp_path: Path) -> None:
    """A file that is named and missing is a problem, and says who named it."""
    _, problems = _load(tmp_path, "agent_options:\n  path: gone.yml\n", "default.yml")
    assert [problem.path for problem in problems] == [str(tmp_path / "gone.yml")]
    assert "default.yml" in problems[0].hint


def test_a_bad_fleet_report_has_its_line(tmp_path: Path) -> None:
    """The line is that of the entry."""
    text = "reports:\n  - {name: a, query: SELECT 1, interval: 60}\n  - {query: SELECT 2}\n"
    schedule, problems = _load(tmp_path, text, "default.yml")
    assert [q.name for q in schedule.queries] == ["a"]
    assert [p.line for p in problems] == [3]


@pytest.mark.parametrize(
    "name",
    [
        "pack_molehunt_processes",
        "pack/molehunt/processes",
        "pack::molehunt::processes",
        "pack/Global/molehunt_processes",
        "pack/team-3/molehunt_processes",
    ],
)
def test_the_own_pack_is_known_by_name(name: str) -> None:
    """Whatever the delimiter, and as reports of Fleet."""
    manifest = load_yaml("pack.yml")
    schedule = pack_schedule(manifest)
    assert _found(schedule, name) == [manifest["queries"]["processes"]["sql"]]


def test_a_query_for_several_systems_says_which() -> None:
    """It is logged under a name for each system; the plain name is that of older packs."""
    schedule = pack_schedule(load_yaml("pack.yml"))
    systems = {
        name: set(find(schedule, f"pack_molehunt_processes{name}")[0].platforms)
        for name in ("", "_linux", "_darwin", "_windows")
    }
    assert systems == {
        "": {"linux", "darwin", "windows"},
        "_linux": {"linux"},
        "_darwin": {"darwin"},
        "_windows": {"windows"},
    }


@pytest.mark.parametrize("name", ["processes", "pack_other_processes", "pack_molehunt/processes"])
def test_other_names_are_not_of_the_own_pack(name: str) -> None:
    """A bare query name or another pack's is not molehunt's."""
    assert not find(pack_schedule(load_yaml("pack.yml")), name)


def test_retired_queries_are_known() -> None:
    """Logs of older packs hold them."""
    entry = {"sql": "SELECT 1", "systems": ["linux"], "interval": 60}
    manifest = {"pack": "molehunt", "queries": {}, "retired": {"old": entry}}
    assert _found(pack_schedule(manifest), "pack_molehunt_old") == ["SELECT 1"]
