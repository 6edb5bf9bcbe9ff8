"""Write the checks into docs/lint.md (`make lint-docs`), or with `--check` say whether they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from molehunt.linting.catalogue import Check, checks

PAGE = Path(__file__).with_name("lint.md")
BEGIN = "<!-- checks -->"
FAMILIES = {
    "MH0": "Reading and references",
    "MH1": "Values",
    "MH2": "Condition",
    "MH3": "Telemetry",
    "MH4": "Words and ATT&CK",
    "MH5": "Several rules",
    "MH6": "Proof",
    "MH7": "Cost",
    "MH8": "Validators of others",
    "MH9": "Suppressions",
}


def main() -> int:
    """Put the sections behind the mark; with `--check` only compare."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = text.partition(BEGIN)[0] + BEGIN + "\n\n" + "\n".join(lines()) + "\n"
    if "--check" in sys.argv[1:]:
        if text != wanted:
            print(f"{PAGE}: not current; run make lint-docs", file=sys.stderr)
        return int(text != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def lines() -> Iterator[str]:
    """The table of all checks, and a section for each."""
    yield "| id | name | severity | |"
    yield "|---|---|---|---|"
    for check in checks().values():
        anchor = f"[{check.id}](#{check.id.lower()})"
        yield f"| {anchor} | `{check.name}` | {check.severity} | {check.title} |"
    family = ""
    for check in checks().values():
        if check.id[:3] != family:
            family = check.id[:3]
            yield f"\n## {FAMILIES[family]}"
        yield from _section(check)


def _section(check: Check) -> Iterator[str]:
    yield f"\n### {check.id}\n"
    told = f"**{check.title}** (`{check.name}`, {check.severity}"
    told += ", `--fix` mends it" if check.fixes else ""
    told += ", rules with a `molehunt` block only" if check.ours else ""
    yield f"{told})\n\n{check.why}"
    if not check.failing.shown.strip():
        yield f"\nFound in a rule without this:\n\n```yaml\n{check.passing.shown.rstrip()}\n```"
        return
    yield f"\nFound:\n\n```yaml\n{check.failing.shown.rstrip()}\n```"
    yield f"\nNot found:\n\n```yaml\n{check.passing.shown.rstrip()}\n```"


if __name__ == "__main__":
    sys.exit(main())
