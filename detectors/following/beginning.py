"""Files seen for the first time: whether they can be followed, and where their end is."""

from __future__ import annotations

from molehunt.problems import Problem, Severity

from ..reading.inputs import GLOG_HEADER, Report, is_lines
from .source import Source, reader_at

BLOCK = 1 << 20


def may_read(path: str, head: bytes, report: Report) -> bool:
    """Whether a file that begins so is lines; if not it is reported."""
    if head.startswith(GLOG_HEADER):
        what, hint = "a status log of osqueryd, not results", "nothing to hunt in it"
    elif not is_lines(path, head):
        what, hint = "its documents are not lines, so it cannot be followed", "hunt it instead"
    else:
        return True
    report(Problem(what, path, severity=Severity.WARNING, hint=hint))
    return False


def skip_to_end(source: Source, path: str) -> None:
    """Place a source behind the last whole line that is there."""
    with open(path, "rb") as stream:
        end, line, read = 0, 1, 0
        while piece := stream.read(BLOCK):
            last = piece.rfind(b"\n") + 1
            if last:
                end, line = read + last, line + piece.count(b"\n")
            read += len(piece)
        source.place(end, line, reader_at(stream.fileno()))
