"""Write the support table of docs/support.md from the lock (`make support`); `--check` compares."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from molehunt.backends.reviewed import load_reviewed
from molehunt.backends.support import by_type, locked, table
from molehunt.rulefiles import builtin_rules_path
from molehunt.ruleset import load_rules

PAGE = Path(__file__).with_name("support.md")
BEGIN, END = "<!-- made by make support -->", "<!-- end -->"


def made() -> str:
    """The tables: counts by target, then every reviewed refusal and difference with its reason."""
    types = {one.id: one.type for one in load_rules([builtin_rules_path()]).correlations}
    lines = list(locked().values())
    text = table(lines, frozenset(types))
    text += f"\n## Correlations by type\n\n{by_type(lines, types)}"
    entries, _ = load_reviewed()
    for kind, title in (("refusals", "Refused"), ("differences", "Known differences")):
        listed = [entry for entry in entries if entry.kind == kind]
        text += f"\n## {title}\n\n"
        if not listed:
            text += "None.\n"
            continue
        text += "| target | code | rules | why |\n|---|---|---:|---|\n"
        for entry in sorted(listed, key=lambda one: (one.target, one.code)):
            key = (entry.target, entry.code)
            refused = {
                one.rule
                for one in lines
                if one.evidence is None and (one.target, one.engine) == key
            }
            number = str(len(refused) or len(entry.rules) or "any")
            reason = " ".join(entry.reason.split()).replace("|", "\\|")
            text += f"| {entry.target} | `{entry.code}` | {number} | {reason} |\n"
    return text


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with --check say whether it is current."""
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    wanted = f"{head}{BEGIN}\n\n{made()}\n{END}{tail}"
    if "--check" in arguments:
        if wanted != text:
            print("docs/support.md is not what the lock says; run make support", file=sys.stderr)
            return 2
        return 0
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
