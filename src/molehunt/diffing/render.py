"""Changes as text for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from molehunt.detectors.report.safe import printable

from .changes import FiredChange, Place, QueryChange, RuleChange

_KINDS = {
    "new": "new",
    "removed": "removed",
    "meaning": "changed in meaning",
    "text": "changed in words only",
    "moved": "moved",
}
SHOWN = 5
MARKDOWN_LIMIT = 60_000  # a GitHub comment holds 65,536 characters


@dataclass(frozen=True, slots=True)
class Changes:
    """All that changed since `revision`. `targets` are those whose queries were compared."""

    revision: str
    rules: Sequence[RuleChange]
    queries: Sequence[QueryChange]
    fired: Sequence[FiredChange]
    targets: Sequence[str] = ()


def as_text(changes: Changes) -> Iterator[str]:
    """Lines for a terminal."""
    yield _summary(changes)
    for change in changes.rules:
        yield ""
        yield printable(f"{_KINDS[change.kind]}: {change.title}{_levels(change)} ({change.path})")
        yield from (printable(f"  {line}") for line in change.diff)
    for query in changes.queries:
        yield ""
        yield printable(f"query for {query.target}: {query.title}")
        yield from (printable(f"  {line}") for line in query.diff)
    for fired in changes.fired:
        yield ""
        yield printable(f"{_verb(fired)}: {fired.title}")
        yield from (printable(f"  {line}") for line in _places(fired.places))


def as_markdown(changes: Changes) -> str:
    """A comment for a pull request; what does not fit is counted."""
    parts = [f"### Rules since `{_inline(changes.revision)}`\n\n{_summary(changes)}\n"]
    if changes.rules:
        parts.append("\n| rule | change | level | file |\n|---|---|---|---|\n")
        parts += [_row(change) for change in changes.rules]
    if changes.fired:
        parts.append("\n| rule | recordings |\n|---|---|\n")
        for fired in changes.fired:
            where = "<br>".join(f"`{_inline(line)}`" for line in _places(fired.places))
            parts.append(f"| {_cell(fired.title)} | {_verb(fired)} {where} |\n")
    for change in changes.rules:
        if change.diff:
            parts.append(_details(f"{_cell(change.title)}: rule", change.diff))
    for query in changes.queries:
        title = f"{_cell(query.title)}: query for {_cell(query.target)}"
        parts.append(_details(title, query.diff))
    return _fitting(parts)


def _fitting(parts: Sequence[str]) -> str:
    text = ""
    for number, part in enumerate(parts):
        if len(text) + len(part) > MARKDOWN_LIMIT:
            left = len(parts) - number
            return f"{text}\n… and {left} more parts; `molehunt diff` shows them all.\n"
        text += part
    return text


def _summary(changes: Changes) -> str:
    counts = Counter(change.kind for change in changes.rules)
    told = [f"{counts[kind]} {word}" for kind, word in _KINDS.items() if counts[kind]]
    text = f"Rules: {', '.join(told) or 'no change'}."
    if changes.targets:
        by = Counter(query.target for query in changes.queries)
        each = ", ".join(f"{target} {by[target]}" for target in changes.targets)
        text += f" Compiled queries changed: {each}."
    gained = sum(len(fired.places) for fired in changes.fired if fired.gained)
    lost = sum(len(fired.places) for fired in changes.fired if not fired.gained)
    return f"{text} Recorded rows: {gained} more fired, {lost} no longer."


def _levels(change: RuleChange) -> str:
    if change.was and change.level and change.was != change.level:
        return f", {change.was} -> {change.level}"
    return f", {change.level or change.was}"


def _verb(fired: FiredChange) -> str:
    return "now fires on" if fired.gained else "no longer fires on"


def _places(places: Sequence[Place]) -> Iterable[str]:
    for place in places[:SHOWN]:
        yield f"{place.log}:{place.line}" + (f":{place.row}" if place.row else "")
    if len(places) > SHOWN:
        yield f"and {len(places) - SHOWN} more"


def _row(change: RuleChange) -> str:
    level = _levels(change).removeprefix(", ")
    cells = (change.title, _KINDS[change.kind], level, change.path)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |\n"


def _details(title: str, lines: Sequence[str]) -> str:
    text = "\n".join(printable(line) for line in lines)
    longest = max((len(run) for run in _ticks(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"\n<details><summary>{title}</summary>\n\n{fence}diff\n{text}\n{fence}\n\n</details>\n"


def _ticks(text: str) -> Iterator[str]:
    run = ""
    for character in text + " ":
        if character == "`":
            run += character
        elif run:
            yield run
            run = ""


def _cell(text: str) -> str:
    safe = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return safe.replace("@", "@\u200b").replace("`", "'")


def _inline(text: str) -> str:
    return printable(text).replace("`", "'").replace("|", "\\|")
