"""Work that is shared among processes gives what one process gives."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import RULE

from molehunt import processes
from molehunt.processes import Aside, mapped
from molehunt.rule import RuleSet
from molehunt.ruleset import load_rules

LINUX = sys.platform == "linux"
several = pytest.mark.skipif(not LINUX, reason="nothing is forked here")
may_fork = processes._may_fork
# Python tells of forks beside threads, which other tests may have left.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where three cores are free, and this process has no threads of other tests."""
    monkeypatch.setattr(processes, "_free_cores", lambda: 3)
    monkeypatch.setattr(processes, "_may_fork", lambda: LINUX)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few things are shared already."""
    monkeypatch.setattr(processes, "LEAST", 3)


@several
def test_cores_that_others_use_are_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """`/proc/loadavg` counts this process among those that run."""
    monkeypatch.undo()
    told = ["0.00 0.00 0.00 1/200 77", "9.00 9.00 9.00 3/200 77", "1 1 1 99/200 77", "odd"]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    free = []
    for text in told:
        monkeypatch.setattr("builtins.open", lambda *_, text=text, **__: io.StringIO(text))
        free.append(processes._free_cores())
    assert free == [4, 2, 1, 4]


@several
def test_who_wakes_for_a_moment_takes_no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of a few looks counts."""
    monkeypatch.undo()
    told = iter([f"0 0 0 {running}/200 77" for running in (4, 5, 3, 1)])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr("builtins.open", lambda *_, **__: io.StringIO(next(told)))
    assert processes._free_cores() == 4


@several
def test_what_is_set_aside_takes_no_core_from_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs; ended, it is no longer looked at."""
    real = open

    def others() -> int:
        """As if three processes ran, this one and a busy one among them."""
        loadavg = io.StringIO("0 0 0 3/200 77")
        with monkeypatch.context() as patch:
            patch.setattr(
                "builtins.open",
                lambda path, *a, **k: loadavg if path == "/proc/loadavg" else real(path, *a, **k),
            )
            return processes._others()

    with Aside() as aside:
        aside(_never_done)
        (child,) = processes._aside
        assert soon_is(others, 1)
        os.kill(child, signal.SIGKILL)
        assert soon_is(others, 2)
    assert not processes._aside


def _never_done() -> None:
    while True:
        pass


def soon_is(told: Callable[[], int], wanted: int) -> bool:
    """Whether that is told within half a minute."""
    until = time.monotonic() + 30
    while told() != wanted:
        if time.monotonic() > until:
            return False
    return True


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 17, 200, 1001])
@pytest.mark.usefixtures("soon")
def test_results_come_in_order(number: int) -> None:
    """However many there are."""
    assert mapped(lambda n: (n, str(n)), range(number)) == [(n, str(n)) for n in range(number)]


@several
def test_a_process_of_one_thread_may_fork() -> None:
    """A new one, as the command is."""
    code = "from molehunt import processes; print(processes._may_fork())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@several
def test_several_processes_work() -> None:
    """And few things are not worth one."""
    assert len(set(mapped(lambda _: os.getpid(), range(1000)))) == 3
    assert set(mapped(lambda _: os.getpid(), range(20))) == {os.getpid()}


@several
def test_beside_other_threads_nothing_is_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that one of them holds would stay held."""
    monkeypatch.setattr(processes, "_may_fork", may_fork)
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        assert set(mapped(lambda _: os.getpid(), range(1000))) == {os.getpid()}
    finally:
        over.set()
        other.join()


@pytest.mark.usefixtures("soon")
def test_what_goes_wrong_is_raised_here() -> None:
    """Wherever it went wrong."""
    for bad in range(20):
        with pytest.raises(ZeroDivisionError):
            mapped(lambda n, bad=bad: 1 // (n - bad), range(20))


def children() -> set[str]:
    """The processes below this one: tests of other things may have left some."""
    tasks = Path("/proc/self/task").iterdir()
    return {child for task in tasks for child in (task / "children").read_text().split()}


@pytest.mark.usefixtures("soon")
def test_the_share_of_a_process_that_ends_is_worked_on_here() -> None:
    """Nothing is lost by it, and no process is left behind."""
    here = os.getpid()

    def work(number: int) -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return number * 2

    before = children()
    assert mapped(work, range(500)) == [number * 2 for number in range(500)]
    assert children() <= before


@pytest.mark.usefixtures("soon")
def test_what_cannot_be_sent_is_made_here() -> None:
    """A function of a function cannot be pickled."""
    made = mapped(lambda n: lambda: n, range(50))
    assert [one() for one in made] == list(range(50))


@several
def test_read_only_mappings_come_back_as_such() -> None:
    """Rules have them. All but the first share come from other processes."""
    made = mapped(lambda n: (os.getpid(), MappingProxyType({"n": n})), range(1000))
    assert [dict(one) for _, one in made] == [{"n": n} for n in range(1000)]
    assert {type(one) for pid, one in made if pid != os.getpid()} == {MappingProxyType}


def test_what_is_done_aside_is_done_at_the_end(tmp_path: Path) -> None:
    """Beside this process where a core is free, else here; what fails there stops nobody."""
    with Aside() as aside:
        for number in range(3):
            aside(lambda number=number: write(tmp_path / str(number), str(os.getpid())))
        if LINUX:
            aside(lambda: write(tmp_path / "no" / "folder", "lost"))
    wrote = [int((tmp_path / str(number)).read_text()) for number in range(3)]
    assert (os.getpid() in wrote) is not LINUX


def test_without_a_free_core_nothing_is_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is done before the call is over."""
    monkeypatch.setattr(processes, "_free_cores", lambda: 1)
    with Aside() as aside:
        aside(lambda: write(tmp_path / "file", str(os.getpid())))
        assert int((tmp_path / "file").read_text()) == os.getpid()


def write(path: Path, text: str) -> None:
    """Write a file."""
    path.write_text(text, encoding="utf-8")


GOOD = RULE.format(
    logsource="{category: process_creation, product: windows}",
    detection="  selection:\n    Image|endswith: '\\one.exe'\n  condition: selection",
    more="",
)
FILTER = """\
title: Not there
logsource: {category: process_creation, product: windows}
filter:
  rules: [00000000-0000-4000-8000-000000000007]
  known:
    Image: 'C:\\known\\one.exe'
  condition: not known
"""
# What can stand in a file: a rule, one with a warning, broken ones, none.
KINDS = {
    "good": GOOD,
    "same id": GOOD.replace("title: Test Rule", "title: Same id"),
    "misspelt": GOOD.replace("level:", "levle:"),
    "no yaml": "title: [",
    "condition": GOOD.replace("condition: selection", "condition: nothing"),
    "regex": GOOD.replace("Image|endswith: '\\one.exe'", "Image|re: '(?=x)'"),
    "no rule": "some: thing\n",
    "filter": FILTER,
}


def plain(found: RuleSet) -> list[object]:
    """All of a rule set, lines as they are."""
    values = [
        [getattr(rule, name) for name in rule.__dataclass_fields__ if name != "lines"]
        for rule in found.both
    ]
    return [values, [dict(one.lines) for one in found.both], found.problems, found.ignored]


@given(st.lists(st.sampled_from(sorted(KINDS)), min_size=4, max_size=12))
def test_rules_are_loaded_the_same_by_several(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    """With the problems in the same order, whatever stands in the files."""
    folder = tmp_path_factory.mktemp("rules")
    for number, kind in enumerate(kinds):
        text = KINDS[kind]
        if kind != "same id":
            text = text.replace("8000-000000000001", f"8000-{number:012}")
        Path(folder, f"rule_{number:02}.yml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "_free_cores", lambda: 3)
        patch.setattr(processes, "_may_fork", lambda: LINUX)
        patch.setattr(processes, "LEAST", 3)
        shared = load_rules([str(folder)])
        patch.setattr(processes, "LEAST", 10**9)
        alone = load_rules([str(folder)])
    assert plain(shared) == plain(alone)
