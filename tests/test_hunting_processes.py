"""Parts are hunted by several processes, whatever becomes of these."""

from __future__ import annotations

import os
import pickle
import signal
import zlib
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import kit
import pytest

from molehunt.detectors.hunting.forked import Forked
from molehunt.detectors.hunting.share import sharing
from molehunt.detectors.hunting.spawned import Spawned
from molehunt.detectors.hunting.work import Hunter, Outcome, Span
from molehunt.detectors.matching.plan import FastPlan, compile_plan
from molehunt.detectors.reading.parts import Part, parts_of
from molehunt.rule import RuleSet
from molehunt.rulecache import cached_rules
from molehunt.rulefiles import builtin_rules_path
from molehunt.taxonomy import taxonomy


class Dying(Hunter):
    """Comes to its end in processes other than the first, from its second part on."""

    def hunt(self, part: Part, watch: Any = None) -> Iterator[Outcome]:
        """As any, until then."""
        if os.getpid() != PARENT and part.start:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from super().hunt(part, watch)


PARENT = os.getpid()


def hunter_of(kind: type[Hunter]) -> Hunter:
    """One that knows the shipped rules."""
    rules, plan = known()
    return kind(plan, rules, None, Span())


@cache
def known() -> tuple[RuleSet, FastPlan]:
    """The rules and the plan of a process."""
    rules, _ = cached_rules([builtin_rules_path()])
    return rules, compile_plan(rules.rules, taxonomy(), kit.binder())


@pytest.fixture(scope="module")
def log() -> str:
    """A recording of some size."""
    return str(Path(__file__).parent / "recordings/kvm-windows/windows.results.log")


@pytest.mark.parametrize("kind", [Hunter, Dying])
@pytest.mark.parametrize("jobs", [2, 4])
def test_what_a_lost_process_had_is_hunted_here(
    log: str, kind: type[Hunter], jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part once and in order, whether processes live or not; none of them is left behind."""
    children: list[int] = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: (children.append(child := fork()), child)[1])
    parts = parts_of(log, 700)
    assert len(parts) > 20
    hunter = hunter_of(kind)
    with sharing(jobs, hunter, partial(hunter_of, Hunter)) as hunt:
        found = list(hunt(parts))
    assert [one.part for one in found] == parts
    alone = [one for part in parts for one in hunter_of(Hunter).hunt(part)]
    assert [told(one) for one in found] == [told(one) for one in alone]
    assert len(children) == jobs - 1
    for child in children:
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


def test_a_lost_process_is_given_nothing_more(log: str) -> None:
    """The others go on with their share."""
    parts = parts_of(log, 2000)
    with Forked(2, hunter_of(Hunter)) as pool:
        first = pool.give(parts[0])
        assert first._child is not None
        os.kill(first._child._pid, signal.SIGKILL)
        os.waitid(os.P_PID, first._child._pid, os.WEXITED | os.WNOWAIT)
        given_parts = [pool.give(part) for part in parts[1:]]
        assert all(one.result() is not None for one in given_parts)


def told(one: Outcome) -> Any:
    """What an outcome says; matches that wait in heaps are there as evidence afterwards."""
    return one.lines, one.counts.lines, sorted(one.piles), len(one.collected.events)


def test_where_no_process_may_be_had_all_is_hunted_here(
    log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where there are too many already."""

    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    parts = parts_of(log, 2000)
    with sharing(3, hunter_of(Hunter), partial(hunter_of, Hunter)) as hunt:
        assert [one.part for one in hunt(parts)] == parts


class Interrupted(Hunter):
    """Is stopped by Ctrl-C in its second part here."""

    seen = 0

    def hunt(self, part: Part, watch: Any = None) -> Iterator[Outcome]:
        """As any, until then."""
        self.seen += 1
        if os.getpid() == PARENT and self.seen == 2:
            raise KeyboardInterrupt
        yield from super().hunt(part, watch)


def test_after_an_interrupt_nothing_more_begins(log: str) -> None:
    """What was under way is told, each part at most once."""
    parts = parts_of(log, 700)
    hunter = hunter_of(Interrupted)
    found: list[Part] = []
    with sharing(3, hunter, partial(hunter_of, Hunter)) as hunt, pytest.raises(KeyboardInterrupt):
        found.extend(one.part for one in hunt(parts))
    assert len(found) == len(set(found)) < len(parts)
    assert found == sorted(found)


def test_processes_that_are_started_anew_find_the_same(log: str) -> None:
    """As where none can be forked; their hunters are made there."""
    parts = parts_of(log, 2000)
    hunter = hunter_of(Hunter)
    alone = [told(one) for part in parts for one in hunter.hunt(part)]
    with Spawned(2, partial(hunter_of, Hunter)) as pool:
        given_parts = [pool.give(part) for part in parts]
        found = [pickle.loads(zlib.decompress(piece)) for one in given_parts
                 for piece in one.result() or []]  # fmt: skip
        assert all(one.done() for one in given_parts)
        pool.stop()
    assert [told(one) for one in found] == alone
