"""Correlations over many rules: `rules` lists them by id, as Sigma wants it, and the list is made
from `molehunt.members`, which says what kind of rule belongs on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .levels import Level
from .metadata import BLOCK
from .problems import Problem
from .rule import Rule
from .rulefiles import rule_files
from .yamlloader import SAFE_LOADER

# The list of a correlation: the key and all lines that are indented deeper.
_LIST = re.compile(r"^( +)rules:[^\n]*\n(?:\1 +[^\n]*\n)*", re.MULTILINE)
_HINT = "run molehunt members --update"


class Listing(NamedTuple):
    """A file with one correlation that has `members`: its text, the ids listed, and the wishes."""

    path: str
    text: str
    listed: tuple[str, ...]
    wanted: tuple[Mapping[str, Any], ...]


def listings(paths: Sequence[str]) -> Iterator[Listing]:
    """Every such file below the paths; whatever else is wrong with it, loading tells."""
    for path, _, _ in rule_files(paths, []):
        try:
            text = Path(path).read_text(encoding="utf-8")
            if "members:" not in text:
                continue
            data = yaml.load(text, SAFE_LOADER)  # noqa: S506 - one of the safe loaders
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        block = data.get(BLOCK) if isinstance(data, dict) else None
        wanted = block.get("members") if isinstance(block, dict) else None
        if wanted and isinstance(data.get("correlation"), dict):
            listed = data["correlation"].get("rules") or ()
            yield Listing(path, text, tuple(map(str, listed)), tuple(wanted))


def belongs(rule: Rule, wanted: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any entry of `members` means the rule: one in its folders, of at least its level,
    whose subject is not in `except`. A context-only rule never belongs."""
    if rule.meta.context_only:
        return False
    return any(
        Path(rule.name).parts[0] in entry["folders"]
        and rule.level >= Level[str(entry.get("level", "low")).upper()]
        and rule.meta.subject not in entry.get("except", ())
        for entry in wanted
    )


def members_of(one: Listing, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that the correlation should list, in the order of their files."""
    found = [rule for rule in rules if belongs(rule, one.wanted)]
    return tuple(sorted(found, key=lambda rule: (rule.name, rule.id)))


def check_members(found: Iterable[Listing], rules: Sequence[Rule]) -> Iterator[Problem]:
    """Each correlation whose list is not what its `members` say."""
    for one in found:
        members = tuple(rule.id for rule in members_of(one, rules))
        if not members:
            yield Problem("molehunt.members describes no rule", one.path, hint=_HINT)
        elif members != one.listed:
            what = "rules are not those that molehunt.members describes"
            yield Problem(what, one.path, hint=_HINT)


def updated(one: Listing, rules: Sequence[Rule]) -> str:
    """The text of the file with its list made anew, each id with its title."""

    def listed(found: re.Match[str]) -> str:
        space = found[1]
        lines = [f"{space}    - {rule.id} # {rule.title}\n" for rule in members_of(one, rules)]
        return f"{space}rules:\n" + "".join(lines)

    return _LIST.sub(listed, one.text, count=1)
