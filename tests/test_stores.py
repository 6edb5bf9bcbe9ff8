"""The stores themselves behind `pysigma:NAME`: ClickHouse, Spark and VictoriaLogs, as they run.

Where one cannot be had (`make stores`) its tests are skipped, which in CI fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import backend_random
import pytest
from store_cases import CASES, Case, records

from molehunt.backends.model import Answer, Artefact, Engine, Evidence, Target
from molehunt.backends.proving import judge
from molehunt.backends.pysigma import fetching
from molehunt.backends.registry import target


class Running(NamedTuple):
    """A store that runs, empty or with what the last test loaded."""

    target: Target
    engine: Engine
    session: Any


@pytest.fixture(scope="module", params=["clickhouse", "databricks", "victorialogs"])
def store(request: pytest.FixtureRequest) -> Iterator[Running]:
    """Each store once for all tests: Spark takes long to start."""
    chosen = target(f"pysigma:{request.param}")
    engine = chosen.engines[-1]
    assert engine.evidence == Evidence.ENGINE
    why = engine.missing()
    if why:
        pytest.skip(f"NOT PROVEN on {engine.name}: it needs {why}")
    with engine.open(chosen.profile()) as session:
        yield Running(chosen, engine, session)


def asked(store: Running, made: list[Artefact]) -> list[Answer]:
    """An answer to each."""
    answers = list(store.session.ask(made))
    assert [one.rule for one in answers] == [one.rule for one in made]
    return answers


def test_random(store: Running) -> None:
    """Random rules over random rows: each record is found by the query as by the evaluator."""
    # In CI what is tested must not depend on chance.
    seed = 0 if os.environ.get("CI") else int.from_bytes(os.urandom(3))
    rules, corpus = backend_random.made(seed, rules=250, rows=12)
    made = backend_random.compiled(store.target, rules)
    store.session.load(corpus.records)
    verdicts = [
        judge(artefact, store.engine, answer, corpus.matched)
        for artefact, answer in zip(made, asked(store, made), strict=True)
    ]
    detections = {rule.id: rule.raw["detection"] for rule in rules}
    wrong = [
        f"{one.missed} {one.extra} {one.error}\n{detections[one.artefact.rule]}\n"
        f"{one.artefact.query}\n"
        f"{[dict(corpus.records[n].values) for n in (*one.missed, *one.extra)[:2]]}"
        for one in verdicts
        if one.disagrees
    ]
    assert not wrong, "\n".join([f"seed {seed}, {len(wrong)} wrong", *wrong[:3]])
    assert len(made) > 50 and len(corpus.records) > 100
    assert sum(one.positives for one in verdicts) > 5


@pytest.mark.parametrize("case", CASES, ids=[one.name for one in CASES])
def test_cases(store: Running, case: Case) -> None:
    """Numbers, texts and expressions where stores are known to differ."""
    made = case.compiled(store.target)
    store.session.load(records(case))
    for (detection, places), one, answer in zip(
        case.found.items(), made, asked(store, made), strict=True
    ):
        assert not answer.error, answer.error
        assert answer.found == places, (detection, one.query)


def test_wrong_queries(store: Running) -> None:
    """A query that the store does not take is an error, and spoils no other."""
    (case,) = (one for one in CASES if one.name == "numbers")
    good, *others = case.compiled(store.target)
    bad = replace(good, rule="bad", query=["SELECT * FROM logs WHERE ((", "SELECT 1"])
    store.session.load(records(case))
    first, broken, *rest = asked(store, [good, bad, *others])
    assert broken.error and broken.found is None
    found = list(case.found.values())
    assert [one.found for one in (first, *rest)] == found


def test_as_delivered(store: Running) -> None:
    """A query alone finds what it finds among others."""
    for case in CASES:
        made = case.compiled(store.target)[:2]
        store.session.load(records(case))
        together = [one.found for one in asked(store, made)]
        assert together == [one.found for each in made for one in asked(store, [each])]


def test_what_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is in the cache is not fetched again, and a package of another sum not at all."""
    monkeypatch.setenv("MOLEHUNT_ENGINES", str(tmp_path))
    there = fetching.CHDB.python
    there.parent.mkdir(parents=True)
    there.touch()
    assert not fetching.install(fetching.CHDB)
    wheel = tmp_path / "made_up-1-py3-none-any.whl"
    wheel.write_bytes(b"not what was pinned")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(fetching, "_ATTEMPTS", 1)
    wanted = fetching.Environment("Made up", (fetching.Package("made-up==1", ("0" * 64,)),))
    with pytest.raises(fetching.NotFetched, match=r"(?s)Made up could not be had.*HASHES"):
        fetching.install(wanted)
    assert not wanted.home.exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == [fetching.CHDB.home.name, wheel.name]


def test_no_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Go it says that it needs Go."""
    monkeypatch.setenv("MOLEHUNT_ENGINES", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(fetching.NotFetched, match="VictoriaLogs needs Go"):
        fetching.build(fetching.VICTORIALOGS)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each store says what it needs and how to get it."""
    monkeypatch.setenv("MOLEHUNT_ENGINES", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MOLEHUNT_VICTORIALOGS", raising=False)
    for name in ("clickhouse", "databricks", "victorialogs"):
        assert "`make stores`" in target(f"pysigma:{name}").engines[-1].missing()
