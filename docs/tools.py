"""Write the keys by tool and system into docs/tools.md (`make tools`); with `--check` compare."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from molehunt.catalogue.categories import CATEGORIES
from molehunt.catalogue.entries import Tool, read_catalogue
from molehunt.rule import Rule
from molehunt.rulefiles import builtin_rules_path
from molehunt.ruleset import load_rules

PAGE = Path(__file__).with_name("tools.md")
BEGIN, END = "<!-- made by make tools -->", "<!-- end -->"
SYSTEMS = {"windows": "Windows", "darwin": "macOS", "linux": "Linux"}

# What a rule on a table, or on a kind of event, knows a tool by.
STRONG: Mapping[str, str] = {
    "authenticode": "signature",
    "es_process_events": "team or signing id",
    "signature": "code signature",
    "launchd": "launch item",
    "services": "service",
    "system_extensions": "system extension",
    "systemd_units": "unit",
    "listening_ports": "port",
    "sharing_preferences": "setting",
    "registry_set": "setting",
    "dns_query": "look-up",
}
WEAK: Mapping[str, str] = {
    "apps": "application",
    "programs": "program",
    "deb_packages": "package",
    "rpm_packages": "package",
    "userassist": "trace",
    "background_activities_moderator": "trace",
    "prefetch": "trace",
}
ORDER = (*STRONG.values(), "folder", "command", *WEAK.values(), "name")


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with --check say whether it is current."""
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    wanted = f"{head}{BEGIN}\n\n" + "\n".join(lines()) + f"\n{END}{tail}"
    if "--check" in arguments:
        if wanted != text:
            print(f"{PAGE}: not current; run make tools", file=sys.stderr)
        return int(wanted != text)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def lines() -> Iterator[str]:
    """A section with a table for each category of the catalogue."""
    rules = builtin_rules_path()
    tools, _ = read_catalogue(str(Path(rules, "catalogue")))
    known = keys(load_rules([rules]).rules)
    for slug, category in CATEGORIES.items():
        yield f"## {category.title}\n"
        yield "| tool | " + " | ".join(SYSTEMS.values()) + " |"
        yield "|---|" + "---|" * len(SYSTEMS)
        for tool in sorted(tools, key=lambda one: one.name.casefold()):
            if tool.category == slug:
                yield _row(tool, known)
        yield ""


def _row(tool: Tool, known: Mapping[tuple[str, str], set[str]]) -> str:
    cells = []
    for system in SYSTEMS:
        found = known.get((tool.id, system), set())
        cells.append(", ".join(_told(key) for key in ORDER if key in found))
    return f"| [{tool.name}](../rules/catalogue/{tool.id}.yml) | " + " | ".join(cells) + " |"


def _told(key: str) -> str:
    return f"**{key}**" if key in STRONG.values() or key == "folder" else key


def keys(rules: Sequence[Rule]) -> Mapping[tuple[str, str], set[str]]:
    """Subject and system to the words for what its rules look at."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for rule in rules:
        for system in rule.meta.platforms:
            found[rule.meta.subject or "", system] |= set(_keys(rule))
    return found


def _keys(rule: Rule) -> Iterator[str]:
    source = rule.service or rule.category or ""
    for words in (STRONG, WEAK):
        if source in words:
            yield words[source]
    if rule.category == "process_creation":
        detection = {
            name: selection
            for name, selection in rule.raw["detection"].items()
            if not name.startswith(("filter", "condition"))
        }
        if "CommandLine" in str(detection):
            yield "command"
            return
        if "Image|contains" in str(detection):
            yield "folder"
        if "Image|endswith" in str(detection) or "'Image'" in str(detection):
            yield "name"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
