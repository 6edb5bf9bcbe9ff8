"""Coverage as text, Markdown, JSON values and an ATT&CK Navigator layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from molehunt.behaviours import SYSTEM_NAMES, SYSTEMS
from molehunt.levels import Level

from ..proof.coverage import ALERTS, BLIND, CONTEXT, GAP, Cell, Coverage, Covering
from . import attack
from .safe import printable

FORMAT = "molehunt.coverage/1"
STATES = (ALERTS, CONTEXT, GAP, BLIND)
# https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md
_LAYER = "4.5"
_NAVIGATOR = "5.1.0"
_COLOURS = ("#ffffff", "#9ecae1", "#08519c")


def cell_words(cell: Cell) -> str:
    """`high, 3 rules, published`; or `gap`, `blind`."""
    best = cell.best
    if best is None:
        return cell.state
    count = len(cell.rules)
    many = f"{count} rule{'' if count == 1 else 's'}"
    return f"{best.rule.level}, {many}, {cell.proof or 'not proven here'}"


def coverage_lines(found: Coverage) -> Iterator[str]:
    """A table of behaviours and systems, and totals, for the terminal."""
    names = [f"{one.id} {one.name}" for one in found.behaviours]
    width = max(map(len, names), default=0)
    columns = {
        system: [cell_words(found.cells[one.id, system]) for one in found.behaviours]
        for system in SYSTEMS
    }
    widths = {s: max([len(SYSTEM_NAMES[s]), *map(len, columns[s])]) for s in SYSTEMS}
    head = "  ".join(f"{SYSTEM_NAMES[system]:<{widths[system]}}" for system in SYSTEMS)
    yield f"{'':<{width}}  {head}".rstrip()
    phase = ""
    for index, one in enumerate(found.behaviours):
        if one.phase != phase:
            phase = one.phase
            yield phase.upper()
        cells = "  ".join(f"{columns[system][index]:<{widths[system]}}" for system in SYSTEMS)
        yield f"{names[index]:<{width}}  {cells}".rstrip()
    yield ""
    yield from totals(found)


def totals(found: Coverage) -> Iterator[str]:
    """How many behaviours are in which state on each system, and which rules name none."""
    for system in SYSTEMS:
        counts = Counter(found.cells[one.id, system].state for one in found.behaviours)
        listed = ", ".join(f"{counts[state]} {state}" for state in STATES)
        yield f"{SYSTEM_NAMES[system]}: {listed}"
    if found.unplaced:
        yield f"{len(found.unplaced)} rules name no behaviour:"
        for one in found.unplaced:
            yield printable(f"    {one.rule.name}: {one.rule.title}")


def coverage_json(found: Coverage) -> dict[str, Any]:
    """The same for machines."""
    return {
        "format": FORMAT,
        "behaviours": [
            {
                "id": one.id,
                "name": one.name,
                "phase": one.phase,
                "context": one.context,
                "systems": {
                    system: {
                        "state": found.cells[one.id, system].state,
                        "rules": [c.rule.id for c in found.cells[one.id, system].rules],
                        "tables": list(one.sees.get(system, ())),
                        "cannot": one.cannot.get(system, ""),
                    }
                    for system in SYSTEMS
                },
            }
            for one in found.behaviours
        ],
        "rules": [
            {
                "id": one.rule.id,
                "title": one.rule.title,
                "file": one.rule.name,
                "level": str(one.rule.level),
                "status": one.rule.status,
                "alerts": one.alerts,
                "systems": list(one.systems),
                "behaviours": list(one.rule.meta.behaviours),
                "techniques": list(one.rule.techniques),
                "proof": one.proof,
                "proof_on": {system: one.proof_on(system) for system in one.systems},
                "positives": dict(one.positives),
                "near_misses": dict(one.near_misses),
            }
            for one in found.covering
        ],
        "unplaced": [one.rule.id for one in found.unplaced],
    }


def by_technique(found: Coverage) -> dict[str, list[Covering]]:
    """Rules by ATT&CK technique, sorted by id."""
    table: dict[str, list[Covering]] = {}
    for one in found.covering:
        for technique in one.rule.techniques:
            table.setdefault(technique, []).append(one)
    return dict(sorted(table.items()))


def navigator_layer(found: Coverage) -> dict[str, Any]:
    """A layer for the ATT&CK Navigator; the score is the highest level, 1 to 5."""
    return {
        "name": "molehunt",
        "versions": {
            "attack": attack.VERSION.partition(".")[0],
            "navigator": _NAVIGATOR,
            "layer": _LAYER,
        },
        "domain": "enterprise-attack",
        "description": "Techniques that the rules of molehunt look for. Score: the highest level, "
        "from 1 (informational) to 5 (critical).",
        "sorting": 3,
        "hideDisabled": False,
        "showTacticRowBackground": False,
        "techniques": [
            {
                "techniqueID": technique,
                "score": max(one.rule.level for one in rules) + 1,
                "comment": "\n".join(
                    f"{one.rule.title} ({one.rule.level}, {one.proof or 'not proven'})"
                    for one in sorted(rules, key=lambda one: (-one.rule.level, one.rule.title))
                ),
                "enabled": True,
                "showSubtechniques": "." in technique,
                "metadata": [{"name": "rules", "value": str(len(rules))}],
            }
            for technique, rules in by_technique(found).items()
        ],
        "gradient": {"colors": list(_COLOURS), "minValue": 0, "maxValue": len(Level)},
        "legendItems": [
            {"label": f"up to {level}", "color": colour}
            for level, colour in (("medium", _COLOURS[1]), ("critical", _COLOURS[2]))
        ],
    }


def coverage_markdown(found: Coverage) -> Iterator[str]:
    """docs/coverage.md: the matrix, then each behaviour with its rules and what is not seen."""
    yield "# What is covered"
    yield ""
    yield (
        "Made by `make coverage` from the rules, `rules/behaviours.yml` and the manifests of the "
        "recordings; do not edit. A cell has the highest level, the number of rules, and the "
        "strongest kind of row recorded on that system on which the best of them fires "
        "(docs/recordings.md). `gap`: it could be seen there, and no rule looks. `blind`: no table "
        "and no sign-in log shows it. An observation (low, informational) never alerts alone. "
        "Recordings are no detection rate."
    )
    yield ""
    yield from (f"- {line}" for line in totals(found) if not line.startswith(" "))
    yield ""
    heads = [SYSTEM_NAMES[system] for system in SYSTEMS]
    yield f"| behaviour | {' | '.join(heads)} |"
    yield "|---" * (1 + len(heads)) + "|"
    for one in found.behaviours:
        cells = " | ".join(cell_words(found.cells[one.id, system]) for system in SYSTEMS)
        yield f"| [{one.id}](#{one.id.lower()}) {one.name} | {cells} |"
    phase = ""
    for one in found.behaviours:
        yield ""
        if one.phase != phase:
            phase = one.phase
            yield f"## {phase}"
            yield ""
        yield f"### {one.id}"
        yield ""
        yield f"**{one.name}.**" + (
            " Many honest people do this too: it only raises other evidence." if one.context else ""
        )
        rules = _unique(found.cells[one.id, system].rules for system in SYSTEMS)
        if rules:
            yield ""
        for rule in rules:
            yield _rule_line(rule)
        unseen = [(SYSTEM_NAMES[s], one.cannot[s]) for s in SYSTEMS if s in one.cannot]
        if unseen:
            yield ""
            texts = dict.fromkeys(text for _, text in unseen)
            for text in texts:
                where = [name for name, said in unseen if said == text]
                said = "" if len(where) == len(SYSTEMS) else f" ({', '.join(where)})"
                yield f"Not seen{said}: {text}"
    if found.unplaced:
        yield ""
        yield "## Rules that name no behaviour"
        yield ""
        for rule in found.unplaced:
            yield _rule_line(rule)


def _unique(groups: Iterator[tuple[Covering, ...]]) -> list[Covering]:
    found = {one.rule.id: one for group in groups for one in group}
    return sorted(found.values(), key=lambda one: (-one.rule.level, one.rule.name))


def _rule_line(one: Covering) -> str:
    systems = ", ".join(SYSTEM_NAMES[system] for system in one.systems)
    proof = proof_words(one)
    return f"- [{one.rule.title}](../rules/{one.rule.name}): {one.rule.level}; {systems}; {proof}"


def proof_words(one: Covering) -> str:
    """`fires on 3 published, 1 invented rows; 2 near misses`."""
    if not one.positives:
        return "no recorded row"
    kinds = ", ".join(f"{count} {kind}" for kind, count in _ordered(one))
    rows = "row" if sum(one.positives.values()) == 1 else "rows"
    near = sum(one.near_misses.values())
    return f"fires on {kinds} {rows}; {near} near miss{'' if near == 1 else 'es'}"


def _ordered(one: Covering) -> Sequence[tuple[str, int]]:
    from ..proof.manifest import KINDS

    return [(kind, one.positives[kind]) for kind in KINDS if kind in one.positives]
