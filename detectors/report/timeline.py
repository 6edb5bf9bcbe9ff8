"""A host's findings on one time axis, as places from 0 (left) to 100 (right)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..findings.model import Finding
from .times import moment

# A host with more findings than this shows the first ones, which matter most.
MOST_LANES = 60
_TICKS = 5
_MARGIN = 3.0
# Steps of the axis, in seconds: from a second to a year, all easy to read.
_STEPS = (
    *(1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200),
    *(86_400 * days for days in (1, 2, 7, 14, 28, 91, 182, 365)),
)
_MIDDLE = 50.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One record: where it stands, and its `basis` (see `Evidence`) or `end` where a row went."""

    at: float
    basis: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One finding: its place in the order, its span, its marks, and all of it in words.

    `start` and `end` are None if no record of the finding has a time.
    """

    number: int
    start: float | None
    end: float | None
    marks: tuple[Mark, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the axis with its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The lanes of the first findings, the ticks, and how many findings have no lane."""

    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    more: int


def timeline(findings: Sequence[tuple[int, Finding]]) -> Timeline | None:
    """The findings of one host with their numbers; None if none of them has a time."""
    shown = findings[:MOST_LANES]
    times = sorted(at for _, finding in shown for at in _times(finding))
    if not times:
        return None
    axis = _Axis(times[0], times[-1])
    lanes = tuple(_lane(number, finding, axis) for number, finding in shown)
    return Timeline(lanes, tuple(axis.ticks()), len(findings) - len(shown))


class _Axis:
    def __init__(self, first: datetime, last: datetime) -> None:
        self._first, self._span = first, last - first

    def place(self, at: datetime) -> float:
        """A place between the margins; the middle if there is only one time."""
        if not self._span:
            return _MIDDLE
        share = (at - self._first) / self._span
        return round(_MARGIN + share * (100 - 2 * _MARGIN), 2)

    def ticks(self) -> Iterable[Tick]:
        """Round times of UTC, a few of them; the one time if there is only one."""
        if self._span < timedelta(seconds=1):
            yield Tick(self.place(self._first), f"{self._first:%Y-%m-%d %H:%M:%S}")
            return
        seconds = self._span.total_seconds()
        longest = _STEPS[-1] * (1 + int(seconds / _STEPS[-1] / _TICKS))
        step = next((one for one in _STEPS if seconds / one <= _TICKS), longest)
        day = self._first.replace(hour=0, minute=0, second=0, microsecond=0)
        count = -((day - self._first) // timedelta(seconds=step))
        last = self._first + self._span
        labelled = None
        while (left := last - day) >= timedelta(seconds=step) * count:
            at = day + timedelta(seconds=step) * count
            yield Tick(self.place(at), _label(at, step, labelled))
            labelled, count = at, count + 1
            if left < timedelta(seconds=step) * count:
                return


def _label(at: datetime, step: int, before: datetime | None) -> str:
    """The date where it is new, the time where the step is shorter than a day."""
    if step >= _STEPS[12]:
        return f"{at:%Y-%m-%d}"
    clock = f"{at:%H:%M:%S}" if step < 60 else f"{at:%H:%M}"
    return clock if before and before.date() == at.date() else f"{at:%m-%d} {clock}"


def _lane(number: int, finding: Finding, axis: _Axis) -> Lane:
    times = sorted(_times(finding))
    if not times:
        return Lane(number, None, None, (), "time unknown")
    marks = {
        Mark(axis.place(at), basis)
        for item in finding.evidence
        for at, basis in ((moment(item.at), item.basis), (moment(item.until), "end"))
        if at is not None
    }
    words = f"{times[0]:%Y-%m-%d %H:%M:%S}"
    if times[-1] != times[0]:
        words += f" to {times[-1]:%Y-%m-%d %H:%M:%S}"
    words += f" UTC, {finding.count} record{'' if finding.count == 1 else 's'}"
    ordered = tuple(sorted(marks, key=lambda mark: (mark.at, mark.basis)))
    return Lane(number, axis.place(times[0]), axis.place(times[-1]), ordered, words)


def _times(finding: Finding) -> Iterable[datetime]:
    """Every known time of the finding."""
    at = [finding.first_seen, finding.last_seen]
    for item in finding.evidence:
        at += item.at, item.until
    return (known for known in map(moment, at) if known is not None)
