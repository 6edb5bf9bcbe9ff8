"""Events between processes, in any order, and on disk."""

from __future__ import annotations

import os
import pickle
import random
import sys
import tracemalloc
from pathlib import Path

import correlation_kit as ck
import pytest
from correlation_lines import COUNT, event, load

from molehunt.detectors.correlating import store
from molehunt.detectors.correlating.collector import Collector
from molehunt.detectors.correlating.correlator import Correlator
from molehunt.detectors.findings.correlated import correlated_findings
from molehunt.detectors.findings.fold import Folder
from molehunt.detectors.records import Locator


def test_events_can_be_sent_and_come_in_any_order() -> None:
    """What other processes collected, pickled and shuffled, gives the same bytes."""
    section = {"type": "temporal", "rules": ["r1", "r2"], "group-by": ["cmdline"], "timespan": "1m"}
    loaded = load(section, ck.correlation(COUNT, "c2").replace("0000c1", "0000c2"))
    rng = random.Random(7)
    lines = [event(rng.randrange(900), rng.choice(["/a", "/b", "/ab"])) for _ in range(120)]
    direct = ck.findings(loaded, *lines)
    for _ in range(4):
        collectors = [Collector(loaded), Collector(loaded)]
        for match in ck.matches(loaded, *lines):
            rng.choice(collectors).add(match)
        sent = [pickle.loads(pickle.dumps(one.take())) for one in collectors]
        assert not collectors[0].take().events
        for one in sent:
            rng.shuffle(one.events)
        with Correlator(loaded) as correlator:
            for one in reversed(sent):
                correlator.merge(one)
            sent_findings = correlated_findings(correlator)
            assert Folder().findings(sent_findings) == direct
    assert len(direct) == 2


def test_a_window_of_many_events_needs_little_memory() -> None:
    """Counting thirty thousand events in one window takes no thirty thousand objects."""
    loaded = load(COUNT | {"timespan": "30d", "condition": {"gte": 30_000}})
    (match,) = ck.matches(loaded, event(0))
    collector = Collector(loaded)
    collector.add(match)
    (one,) = collector.take().events
    with Correlator(loaded) as correlator:
        tracemalloc.start()
        try:
            correlator.extend(
                one._replace(at=one.at + number, where=Locator("big.log", number, number + 1, 0))
                for number in range(30_000)
            )
            (found,) = correlator.results()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert found.count == 30_000
    assert peak < 3_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_spilled_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into the cache is in a file that is deleted already: whatever becomes of
    the process, no log content stays behind."""
    monkeypatch.setattr(store, "CACHE_KIB", 64)
    loaded = load(COUNT)
    before = _opened()
    with Correlator(loaded) as correlator:
        for match in ck.matches(loaded, *map(event, range(2000))):
            correlator.add(match)
        (found,) = correlator.results()
        spilled = _opened() - before
        assert spilled
        assert all(name.endswith("(deleted)") for name in spilled)
    assert found.count == 2000
    assert not _opened() - before


def _opened() -> set[str]:
    """The files that this process has open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return {name for link in links if (name := os.readlink(link)).startswith("/")}


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The correlator goes on without a trace of Python, and says what is missing."""
    monkeypatch.setattr(store, "_TABLES", "PRAGMA max_page_count = 40;" + store._TABLES)
    loaded = load(COUNT)
    with Correlator(loaded) as correlator:
        for match in ck.matches(loaded, *map(event, range(2000))):
            correlator.add(match)
        assert not list(correlator.results())
        (problem,) = correlator.problems()
    assert "database or disk is full" in problem.what
