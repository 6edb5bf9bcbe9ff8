"""Where the result of a hunt goes and in which format."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from molehunt.detectors.findings.model import Finding

from ..problems import UsageError

TABLE = "table"
# The most that a terminal shows unasked, and how wide a table is elsewhere.
TERMINAL = 50
WIDTH = 120
# The standards that require a time in every document, and the field that holds it.
_TIMED = {"ocsf": "time", "ecs": "@timestamp"}
# What a file's name promises. OCSF and ECS have no ending of their own, so they must be asked for.
_BY_SUFFIX = {
    ".csv": "csv",
    ".htm": "html",
    ".html": "html",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
}


def write(options: Namespace, findings: Sequence[Finding], run: Mapping[str, Any]) -> None:
    """Write the result to `--output`, or to stdout, in `--format`; the table always to stdout.

    `run` follows run.schema.json. Raises UsageError if the file cannot be written.
    """
    kind = options.format
    if options.output:
        _write_file(options.output, file_format(kind, options.output), findings, run)
    if kind in _TIMED and not options.quiet:
        _tell_of_missing_times(_TIMED[kind], findings)
    if kind == TABLE:
        _table(findings, options.top)
    elif not options.output:
        # A report is UTF-8 with its own line ends, whatever the locale.
        if kind in ("csv", "html") and hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", newline="")
        render(kind, findings, run, sys.stdout)


def file_format(kind: str, path: str) -> str:
    """The format of the file: what was asked for; beside a table, what the name's end promises."""
    return kind if kind != TABLE else _BY_SUFFIX.get(Path(path).suffix.lower(), "json")


def render(kind: str, findings: Sequence[Finding], run: Mapping[str, Any], stream: TextIO) -> None:
    """Write the findings to `stream` in a format other than the table."""
    if kind == "csv":
        from molehunt.detectors.report.csvfile import write_csv

        write_csv(findings, stream)
    elif kind == "html":
        from molehunt.detectors.report.html import write_html

        write_html(findings, run, stream)
    elif kind == "ocsf":
        from molehunt.detectors.report.ocsf import write_ocsf

        write_ocsf(findings, stream)
    elif kind == "ecs":
        from molehunt.detectors.report.ecs import write_ecs

        write_ecs(findings, stream)
    else:
        from molehunt.detectors.report.machine import write_json, write_ndjson

        if kind == "ndjson":
            write_ndjson(findings, stream)
        else:
            write_json(findings, run, stream)


def _write_file(path: str, kind: str, findings: Sequence[Finding], run: Mapping[str, Any]) -> None:
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            render(kind, findings, run, file)
    except OSError as error:
        raise UsageError(f"--output: {path}: {error.strerror}") from None


def _tell_of_missing_times(field: str, findings: Sequence[Finding]) -> None:
    from molehunt.detectors.report.times import moment

    timeless = [
        finding
        for finding in findings
        if not any(moment(at) for at in (finding.first_seen, finding.last_seen))
    ]
    if timeless:
        count = f"{len(timeless)} finding{'' if len(timeless) == 1 else 's'}"
        print(
            f"note: no record of {count} has a time, so `{field}` is missing there; "
            "set it when you take them in",
            file=sys.stderr,
        )


def _table(findings: Sequence[Finding], top: int | None) -> None:
    import os

    from molehunt.detectors.report.table import render_table

    terminal, width = sys.stdout.isatty(), WIDTH
    if terminal or "COLUMNS" in os.environ:
        import shutil

        width = shutil.get_terminal_size((WIDTH, 40)).columns
    colour = terminal and "NO_COLOR" not in os.environ
    if top is None:
        # Who reads a terminal sees the end first; a file or a pipe gets everything.
        top = TERMINAL if terminal else 0
    render_table(findings, width=width, colour=colour, file=sys.stdout, top=top)
