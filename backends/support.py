"""The support lock: for each rule and target how well its compiled query is known, line by line.

`<target> <profile> <rule id> <evidence> <hash of the artefact> <engine>`, or
`<target> <profile> <rule id> refused <code>`. `molehunt prove --update` writes it; an artefact
whose hash is another than the locked one has no evidence.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from .model import Artefact, Compiled, Evidence, Refusal
from .rendering import line

LOCK = "support.lock"
_HEAD = "# Made by `molehunt prove --update`: target, profile, rule, evidence, hash, engine.\n"


class Support(NamedTuple):
    """One line. Of a refusal `evidence` is None and `engine` the code."""

    target: str
    profile: str
    rule: str
    evidence: Evidence | None
    digest: str
    engine: str

    def __str__(self) -> str:
        if self.evidence is None:
            return f"{self.target} {self.profile} {self.rule} refused {self.engine}"
        word = self.evidence.name.lower()
        return f"{self.target} {self.profile} {self.rule} {word} {self.digest} {self.engine or '-'}"


def digest(artefact: Artefact) -> str:
    """16 hexadecimal digits of SHA-256 over the canonical JSON of what is run and imported."""
    said = line([artefact.language, artefact.query, artefact.body])
    return hashlib.sha256(said).hexdigest()[:16]


def parse(text: str, target: str = "") -> dict[tuple[str, str, str], Support]:
    """The lines of a lock by target, profile and rule, all or those of a target. Raises ValueError
    for a line of no form."""
    found = {}
    begin = f"{target} " if target else ""
    for number, entry in enumerate(text.splitlines(), 1):
        if not entry or entry.startswith("#") or not entry.startswith(begin):
            continue
        parts = entry.split(" ")
        if len(parts) == 5 and parts[3] == "refused":
            one = Support(parts[0], parts[1], parts[2], None, "", parts[4])
        elif len(parts) == 6 and parts[3].upper() in Evidence.__members__:
            level = Evidence[parts[3].upper()]
            one = Support(parts[0], parts[1], parts[2], level, parts[4], parts[5])
        else:
            raise ValueError(f"{LOCK}:{number}: not a line of the lock: {entry}")
        found[one.target, one.profile, one.rule] = one
    return found


def locked(target: str = "") -> dict[tuple[str, str, str], Support]:
    """The lock inside the package, or what it has of a target; empty where there is none."""
    path = files(__package__).joinpath(LOCK)
    return parse(path.read_text(encoding="utf-8"), target) if path.is_file() else {}


def render(found: Iterable[Support]) -> str:
    """The text of a lock; the same for the same lines in any order."""
    return _HEAD + "".join(f"{one}\n" for one in sorted(map(str, found)))


def evidence_of(
    compiled: Compiled, known: Mapping[tuple[str, str, str], Support], hashed: str = ""
) -> Evidence | None:
    """What is known of an artefact by the lock; None of a refusal. `hashed` is its digest, for
    whoever has it already."""
    if isinstance(compiled, Refusal):
        return None
    one = known.get((compiled.target, compiled.profile, compiled.rule))
    if one is None or one.evidence is None or one.digest != (hashed or digest(compiled)):
        return Evidence.NONE
    return one.evidence


def table(lines: Sequence[Support], correlations: frozenset[str]) -> str:
    """The support table of the docs in Markdown: counts by target and profile, rules and
    correlations apart, the refused by code."""
    words = [one.name.lower() for one in reversed(Evidence)]
    head = "| target | profile | of | " + " | ".join(words) + " | refused | of single rules |\n"
    text = head + "|---|---|---|" + "---:|" * (len(words) + 2) + "\n"
    groups: dict[tuple[str, str, str], list[Support]] = {}
    for one in lines:
        kind = "correlations" if one.rule in correlations else "rules"
        groups.setdefault((one.target, one.profile, kind), []).append(one)
    for (target, profile, kind), found in sorted(groups.items(), key=_rules_first):
        counts = Counter(one.evidence for one in found)
        numbers = [str(counts[level] or "") for level in reversed(Evidence)]
        best = max((level for level in counts if level), default=None)
        share = f"{counts[best] / len(found):.1%} {best.name.lower()}" if best is not None else "-"
        row = [target, profile, f"{len(found)} {kind}", *numbers, str(counts[None] or ""), share]
        text += "| " + " | ".join(row) + " |\n"
    return text


def by_type(lines: Sequence[Support], types: Mapping[str, str]) -> str:
    """The correlations in Markdown: for each target and profile, how many of each type are known
    how well. `types` are those of the correlations by id."""
    words = sorted(set(types.values()))
    found: dict[tuple[str, str], dict[str, Counter[Evidence | None]]] = {}
    for one in lines:
        if one.rule in types:
            of_target = found.setdefault((one.target, one.profile), {})
            of_target.setdefault(types[one.rule], Counter())[one.evidence] += 1
    text = "| target | profile | " + " | ".join(f"`{word}`" for word in words) + " |\n"
    text += "|---" * (len(words) + 2) + "|\n"
    for (target, profile), counts in sorted(found.items()):
        cells = [_counted(counts.get(word, Counter())) for word in words]
        text += f"| {target} | {profile} | " + " | ".join(cells) + " |\n"
    return text


def _counted(counts: Mapping[Evidence | None, int]) -> str:
    levels = [level for level in reversed(Evidence) if counts.get(level)]
    told = [f"{counts[level]} {level.name.lower()}" for level in levels]
    refused = counts.get(None, 0)
    return ", ".join([*told, *([f"{refused} refused"] if refused else [])]) or "-"


def _rules_first(item: tuple[tuple[str, str, str], object]) -> tuple[str, str, bool]:
    target, profile, kind = item[0]
    return target, profile, kind != "rules"
