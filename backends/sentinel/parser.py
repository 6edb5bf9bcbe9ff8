"""Microsoft's own KQL parser and type checker, in Node.js.

`@kusto/language-service-next` (MIT) is what the editors of Azure use. It knows the grammar, every
function, and the types of declared tables; it runs nothing.
"""

from __future__ import annotations

import json
import os
import subprocess  # nosec: fixed programs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from shutil import which

from molehunt.detectors.records import Record

from ..model import Answer, Artefact, Engine, Evidence, Profile
from .packaging import COLUMNS
from .signins import LOGS

VARIABLE = "MOLEHUNT_KUSTO"
TABLES: Mapping[str, Mapping[str, str]] = {
    "Osquery_CL": COLUMNS | {"_ItemId": "string"},
    **{name: columns for log in LOGS.values() for name, columns in log.tables.items()},
}


def folder() -> Path:
    """Where the package is: the folder named by MOLEHUNT_KUSTO, or our cache."""
    named = os.environ.get(VARIABLE)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(cache) / "molehunt" / "kusto-12.4.1"


def missing() -> str:
    """What is needed, or "". Gets the package with npm if it is not there yet."""
    if which("node") is None:
        return "Node.js is not installed (node)"
    place = folder()
    if (place / "node_modules/@kusto/language-service-next/package.json").is_file():
        return ""
    npm = which("npm")
    if npm is None:
        return f"npm is not installed, and {VARIABLE} names no folder with the Kusto parser"
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            data = files(__package__).joinpath(name).read_bytes()
            (place / name).write_bytes(data)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(  # noqa: S603
            command, cwd=place, capture_output=True, text=True, timeout=180, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the Kusto parser could not be had: {error}"
    return "" if done.returncode == 0 else f"npm: {done.stderr.strip()[-300:]}"


class Parser:
    """A session: what it loads it does not need, what it answers is acceptance."""

    def load(self, records: Sequence[Record]) -> None:
        """Nothing is run."""

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """Whether the parser has nothing against the query as it is imported."""
        listed = list(artefacts)
        told = check([_text(one) for one in listed])
        for one, errors in zip(listed, told, strict=True):
            yield Answer(one.rule, accepted=not errors, error="; ".join(errors[:3]))


def _text(one: Artefact) -> str:
    """The query as it is imported; that of a function as it stands in the function."""
    text: str = one.query["query"] if isinstance(one.query, dict) else one.body["query"]
    return text


def check(
    queries: Sequence[str], tables: Mapping[str, Mapping[str, str]] = TABLES
) -> list[list[str]]:
    """The errors of each query over tables with typed columns. Raises RuntimeError if the parser
    does not start."""
    with_tables = json.dumps({"tables": tables, "queries": list(queries)})
    node = which("node")
    assert node is not None
    done = subprocess.run(  # noqa: S603
        [node, str(files(__package__).joinpath("check.js")), str(folder())],
        input=with_tables, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the Kusto parser ended with {done.returncode}: {done.stderr[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def _open(_profile: Profile) -> Iterator[Parser]:
    yield Parser()


KUSTO = Engine("kusto-parser", Evidence.PARSER, missing, _open)
