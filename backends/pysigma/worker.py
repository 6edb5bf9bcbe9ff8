"""A store in a process of its own, which speaks JSON in lines: its packages are not molehunt's.

The process is given `{"table": FILE, "columns": [...]}` (a file of JSON lines; all columns are
texts but for `PLACE`), and `{"queries": [...]}` as they are delivered. It answers the first with
`{}`, the second with `{"answers": [...]}`: for each query the places found, or an error in words.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from molehunt.detectors.records import Record

from ..model import Answer, Artefact, Profile
from .rows import written

_LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_WORD = re.compile(r"\w+")
_PATIENCE = 60  # seconds


class Broken(Exception):
    """The process ended, with the last that it said."""


class Process:
    """A started worker."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Its answer. Raises Broken."""
        given, taken = self._process.stdin, self._process.stdout
        assert given is not None and taken is not None
        try:
            given.write(json.dumps(request).encode() + b"\n")
            given.flush()
        except BrokenPipeError:
            pass
        line = taken.readline()
        if not line:
            told = self._log.read_text(encoding="utf-8", errors="replace")
            raise Broken(f"the process ended: {told[-2000:]}")
        return json.loads(line)


class Session:
    """A table `logs` of texts, in a worker."""

    def __init__(self, process: Process, profile: Profile, together: int, kept: ExitStack) -> None:
        self._process, self._profile, self._together = process, profile, together
        self._kept, self._file, self._columns = kept, Path(), frozenset[str]()

    def load(self, records: Sequence[Record]) -> None:
        """The rows of osquery, those of other logs left out, in the place of those before."""
        self._kept.close()
        self._file, columns = self._kept.enter_context(written(records, self._profile))
        self._columns = frozenset(columns)

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """What any of the queries of each finds."""
        every = list(artefacts)
        queries = [query for one in every for query in one.query]
        # A column that no row has is one that is empty in all.
        columns = self._columns.union(*(named(query, self._profile) for query in queries))
        self._process.ask({"table": str(self._file), "columns": sorted(columns)})
        answers = self._answers(queries)
        for one in every:
            yield _answer(one.rule, [next(answers) for _ in one.query])

    def _answers(self, queries: Sequence[str]) -> Iterator[list[int] | str]:
        for start in range(0, len(queries), self._together):
            part = queries[start : start + self._together]
            yield from self._process.ask({"queries": part})["answers"]


def _answer(rule: str, answers: Sequence[list[int] | str]) -> Answer:
    found: set[int] = set()
    for one in answers:
        if isinstance(one, str):
            return Answer(rule, error=one[:300])
        found.update(one)
    return Answer(rule, frozenset(found))


def named(query: str, profile: Profile) -> set[str]:
    """The columns of osquery, and decorations, that a query of SQL names."""
    starts = tuple(one.partition("{}")[0] for one in (profile.column, profile.decoration))
    words = _WORD.findall(_LITERAL.sub("''", query))
    return {word for word in words if word.startswith(starts)}


@contextmanager
def working(
    python: Path, script: str, profile: Profile, together: int, settings: Mapping[str, str]
) -> Iterator[Session]:
    """Start the script beside this file with that Python; it ends with its input."""
    with ExitStack() as kept, TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            # Its packages are those of its environment, and no others.
            process = subprocess.Popen(  # noqa: S603 - an environment of the cache, a file of ours
                [str(python), "-I", str(Path(__file__).with_name(script))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=folder,
                env={**os.environ, **settings},
            )
        try:
            yield Session(Process(process, log), profile, together, kept)
        finally:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
