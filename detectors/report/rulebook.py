"""Every rule on one HTML page, by behaviour and by technique: what an analyst keeps open.

Self-contained like the report (`html`): no script, nothing is loaded. The template is
rulebook.html.jinja, the style report.css with rulebook.css.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from molehunt.behaviours import SYSTEM_NAMES, SYSTEMS, Behaviour
from molehunt.correlation import Correlation
from molehunt.levels import Level

from ..findings.fold import techniques_of
from ..proof.coverage import Coverage, Covering
from . import attack
from .coverage import STATES, by_technique, cell_words, proof_words
from .html import template
from .view import Link, link
from .words import sentence

_STYLES = ("report.css", "rulebook.css")


@dataclass(frozen=True, slots=True)
class Card:
    """One rule as it is shown; `number` names its place in the page."""

    number: int
    rule_id: str
    title: str
    level: str
    facts: tuple[tuple[str, str], ...]
    description: str
    detection: tuple[str, ...]
    false_positives: tuple[str, ...]
    blind_spots: tuple[str, ...]
    validate: tuple[str, ...]
    next_steps: tuple[str, ...]
    techniques: tuple[Link, ...]
    references: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One behaviour: the cards that stand below it, and links to those that stand elsewhere."""

    behaviour: Behaviour | None
    cards: tuple[Card, ...]
    elsewhere: tuple[Card, ...]
    unseen: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the matrix: the behaviour and, by system, state and words."""

    behaviour: Behaviour
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    counts: tuple[tuple[str, int], ...]
    rules: int
    systems: tuple[str, ...]
    totals: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    phases: tuple[tuple[str, tuple[Row, ...]], ...]
    sections: tuple[Section, ...]
    techniques: tuple[tuple[Link, tuple[Card, ...]], ...]


def write_rulebook(found: Coverage, stream: TextIO) -> None:
    """Write the page to `stream`, which should be UTF-8. The same rules give the same bytes."""
    stream.writelines(template("rulebook.html.jinja", *_STYLES).generate(page=rulebook(found)))


def rulebook(found: Coverage) -> Page:
    """What the page shows, as plain values. A rule's card stands below its first behaviour."""
    ordered = sorted(found.covering, key=lambda one: (-one.rule.level, one.rule.title))
    cards = {one.rule.id: _card(number, one) for number, one in enumerate(ordered, 1)}
    levels = Counter(one.rule.level for one in ordered)
    return Page(
        counts=tuple((str(level), levels[level]) for level in sorted(Level, reverse=True)),
        rules=len(ordered),
        systems=tuple(SYSTEM_NAMES[system] for system in SYSTEMS),
        totals=tuple(_totals(found)),
        phases=tuple(_phases(found)),
        sections=tuple(_sections(found, ordered, cards)),
        techniques=tuple(
            (_technique(name), tuple(cards[one.rule.id] for one in rules))
            for name, rules in by_technique(found).items()
        ),
    )


def _totals(found: Coverage) -> Iterator[tuple[str, tuple[tuple[str, int], ...]]]:
    for system in SYSTEMS:
        counts = Counter(found.cells[one.id, system].state for one in found.behaviours)
        yield SYSTEM_NAMES[system], tuple((state, counts[state]) for state in STATES)


def _phases(found: Coverage) -> Iterator[tuple[str, tuple[Row, ...]]]:
    for phase in dict.fromkeys(one.phase for one in found.behaviours):
        yield (
            phase,
            tuple(
                Row(
                    one,
                    tuple(
                        (found.cells[one.id, s].state, cell_words(found.cells[one.id, s]))
                        for s in SYSTEMS
                    ),
                )
                for one in found.behaviours
                if one.phase == phase
            ),
        )


def _sections(
    found: Coverage, ordered: Sequence[Covering], cards: dict[str, Card]
) -> Iterator[Section]:
    known = {one.id for one in found.behaviours}
    home = {
        one.rule.id: next((name for name in one.rule.meta.behaviours if name in known), "")
        for one in ordered
    }
    for behaviour in found.behaviours:
        mine = [one for one in ordered if behaviour.id in one.rule.meta.behaviours]
        unseen: dict[str, list[str]] = {}
        for system in SYSTEMS:
            if system in behaviour.cannot:
                unseen.setdefault(behaviour.cannot[system], []).append(SYSTEM_NAMES[system])
        yield Section(
            behaviour,
            tuple(cards[one.rule.id] for one in mine if home[one.rule.id] == behaviour.id),
            tuple(cards[one.rule.id] for one in mine if home[one.rule.id] != behaviour.id),
            tuple(
                ("" if len(names) == len(SYSTEMS) else ", ".join(names), text)
                for text, names in unseen.items()
            ),
        )
    lost = tuple(cards[one.rule.id] for one in ordered if not home[one.rule.id])
    if lost:
        yield Section(None, lost, (), ())


def _technique(name: str) -> Link:
    (found,) = techniques_of([name])
    return Link(f"{found.id} {found.name}", attack.technique(found).url)


def _card(number: int, one: Covering) -> Card:
    rule, meta = one.rule, one.rule.meta
    facts = [
        ("Systems", ", ".join(SYSTEM_NAMES[system] for system in one.systems)),
        ("Proof", proof_words(one)),
        ("Status", rule.status),
        ("Alerts", "only raises other findings" if meta.context_only else ""),
        ("Tables", ", ".join(meta.tables)),
        ("osquery", f"from {meta.min_version}" if meta.min_version else ""),
        ("Flags", " ".join(meta.flags)),
        ("Approve as", meta.subject),
        ("File", rule.name),
    ]
    return Card(
        number=number,
        rule_id=rule.id,
        title=rule.title,
        level=str(rule.level),
        facts=tuple((name, text) for name, text in facts if text),
        description=sentence(rule.description),
        detection=tuple(_source(rule.raw, isinstance(rule, Correlation))),
        false_positives=tuple(map(sentence, rule.false_positives)),
        blind_spots=tuple(map(sentence, meta.blind_spots)),
        validate=tuple(map(sentence, meta.validate)),
        next_steps=tuple(map(sentence, meta.next_steps)),
        techniques=tuple(map(_technique, rule.techniques)),
        references=tuple(map(link, rule.references)),
    )


def _source(raw: object, correlation: bool) -> Iterator[str]:
    """The part of the file that decides, as YAML lines (without its comments)."""
    import yaml

    keys = ("correlation",) if correlation else ("logsource", "detection")
    part = {key: raw[key] for key in keys if isinstance(raw, dict) and key in raw}
    if part:
        text = yaml.safe_dump(part, sort_keys=False, allow_unicode=True, width=96)
        yield from text.rstrip("\n").split("\n")
