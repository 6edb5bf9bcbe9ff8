"""Tools in, rule files out: the text of every generated rule, and what differs on disk."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..ids import generated_id
from ..problems import Problem
from .categories import CATEGORIES, Category, lower_level, raise_level
from .draft import OSQUERY, Draft
from .drafts import drafts
from .entries import Tool, addresses
from .traces import trace_rules
from .writing import write_rule

MARK = "Made by `molehunt generate` from rules/catalogue/"
_WIDTH = 100


def rule_texts(tools: Iterable[Tool]) -> dict[str, str]:
    """The text of each rule file by its path below the rules folder."""
    texts: dict[str, str] = {}
    known = list(tools)
    for path, rule in trace_rules(known):
        texts[path] = write_rule(rule, f"{MARK}*.yml; change those files")
    for tool in known:
        for draft in drafts(tool):
            category = CATEGORIES[tool.category]
            path = f"{category.folder}/{draft.slug}.yml"
            texts[path] = write_rule(make_rule(tool, draft), f"{MARK}{tool.id}.yml; change that")
    return texts


def make_rule(tool: Tool, draft: Draft) -> dict[str, Any]:
    """A rule as plain values, its keys in the order of docs/rule_style.md."""
    category = CATEGORIES[tool.category]
    level = _level(tool, category, draft)
    names = {"name": tool.name, "id": tool.id, "noun": category.noun}
    needs: dict[str, Any] = {"tables": list(draft.tables), "min_version": draft.min_version}
    if draft.flags:
        needs["flags"] = list(draft.flags)
    block: dict[str, Any] = {
        "subject": tool.id,
        "behaviours": list(category.set_up if draft.set_up else category.behaviours),
        "identity": [],
        "platforms": [OSQUERY[draft.system]],
        "needs": needs,
        "blind_spots": [*draft.blind_spots, *tool.blind_spots],
        "validate": [draft.validate.format(**names)],
        "next_steps": _next_steps(tool, category, draft, names),
    }
    if category.context_only and draft.set_up is None:
        block["context_only"] = True
    return {
        "title": _title(tool, category, draft, level),
        "id": generated_id(tool.id, draft.slug, draft.system),
        "status": "experimental",
        "description": _description(tool, category, draft, names),
        "references": _references(tool, draft),
        "author": "molehunt contributors",
        "date": tool.added,
        "tags": list(category.tags),
        "logsource": dict(draft.logsource),
        "detection": _plain(draft.detection),
        "falsepositives": _falsepositives(tool, category, draft, names),
        "level": level,
        "molehunt": block,
    }


def _plain(detection: Mapping[str, Any]) -> dict[str, Any]:
    """A single selection is called just that."""
    names = [name for name in detection if name.startswith("selection_")]
    if len(names) != 1 or "1 of selection_*" not in detection["condition"]:
        return dict(detection)
    plain = {("selection" if name == names[0] else name): detection[name] for name in detection}
    plain["condition"] = detection["condition"].replace("1 of selection_*", "selection")
    return plain


def _level(tool: Tool, category: Category, draft: Draft) -> str:
    if draft.set_up is not None:
        return draft.set_up.level
    level = category.running if draft.strength == "running" else category.present
    if tool.raised:
        level = raise_level(level)
    elif tool.benign == "high":
        level = lower_level(level)
    if tool.lowered:
        level = lower_level(level)
    return "low" if draft.weak and level not in ("informational", "low") else level


def _title(tool: Tool, category: Category, draft: Draft, level: str) -> str:
    text = draft.title.format(name=tool.name)
    return f"{category.title} - {'Suspicious ' if level == 'high' else ''}{text}"


def _description(tool: Tool, category: Category, draft: Draft, names: Mapping[str, str]) -> str:
    if draft.set_up is not None:
        paragraphs = [f"Detects {draft.detects}.", draft.set_up.why]
    else:
        said = f"Detects {draft.detects.format(**names)}."
        why = tool.raised or tool.lowered or category.why.format(**names)
        paragraphs = [said, tool.about, why]
    lines = [line for text in paragraphs if text for line in textwrap.wrap(text, _WIDTH)]
    return "\n".join(lines) + "\n"


def _references(tool: Tool, draft: Draft) -> list[str]:
    cited = draft.set_up.sources if draft.set_up else [n for key in draft.keys for n in key.sources]
    found = addresses(tool, cited) or [tool.vendor]
    return [*found, *(case for case in tool.cases if case not in found)]


def _falsepositives(
    tool: Tool, category: Category, draft: Draft, names: Mapping[str, str]
) -> list[str]:
    if draft.set_up is not None:
        own = draft.set_up.falsepositives
        return list(own) or [f"IT that rolls {tool.name} out this way (approve {tool.id})"]
    texts = (*(tool.falsepositives or category.falsepositives), *draft.falsepositives)
    return [text.format(**names) for text in texts]


def _next_steps(
    tool: Tool, category: Category, draft: Draft, names: Mapping[str, str]
) -> list[str]:
    steps = [step.format(**names) for step in category.next_steps]
    look = tool.look.get(draft.system)
    if look:
        steps.insert(1, look)
    if draft.set_up is not None:
        first = "Ask IT whether a roll-out or a support case ran this command; if so, approve "
        steps[0] = f"{first}{tool.id} for those hosts"
    return steps


def compare(texts: Mapping[str, str], rules: str) -> Iterator[Problem]:
    """What differs between the texts and the files of the rules folder."""
    hint = "run molehunt generate"
    root = Path(rules)
    for name, text in sorted(texts.items()):
        path = root / name
        if not path.is_file():
            yield Problem("is missing", str(path), hint=hint)
        elif path.read_text(encoding="utf-8") != text:
            yield Problem("is not what the catalogue makes", str(path), hint=hint)
    for path in leftovers(texts, rules):
        yield Problem("was made by the catalogue, which no longer makes it", str(path), hint=hint)


def leftovers(texts: Mapping[str, str], rules: str) -> list[Path]:
    """Generated files that the catalogue no longer makes."""
    root = Path(rules)
    found = []
    for path in sorted(root.glob("*/*.yml")):
        if path.relative_to(root).as_posix() not in texts:
            with path.open(encoding="utf-8") as stream:
                if stream.readline().startswith(f"# {MARK}"):
                    found.append(path)
    return found


def write(texts: Mapping[str, str], rules: str) -> None:
    """Bring the files up to date; those that are current stay untouched."""
    for name, text in texts.items():
        path = Path(rules, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in leftovers(texts, rules):
        path.unlink()
