"""Build the documentation site: `build.py OUTPUT` (`make site`).

Sphinx with MyST reads the pages of `docs/` and one catalogue page for each folder of rules, made
from the rules themselves. A warning is an error. Links out of `docs/` go to the repository.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import yaml

from molehunt.correlation import Correlation
from molehunt.rule import Rule
from molehunt.rulefiles import builtin_rules_path
from molehunt.ruleset import load_rules

DOCS = Path(__file__).resolve().parents[1]
SITE = Path(__file__).resolve().parent
REPOSITORY = "https://github.com/molehunt/molehunt/blob/main/"
_LINK = re.compile(r"(?<=\]\()\.\./([^)#\s]+)")
# What Markdown or MyST would take for markup, in text that comes from a rule.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~$^@])")


def pages(folder: Path) -> None:
    """Write the source of the site: the pages of `docs/`, links mended, and the catalogue."""
    for page in sorted(DOCS.glob("*.md")):
        text = _LINK.sub(lambda found: REPOSITORY + found[1], page.read_text(encoding="utf-8"))
        (folder / page.name).write_text(text, encoding="utf-8")
    for name in ("index.md", "conf.py"):
        shutil.copy(SITE / name, folder / name)
    shutil.copy(DOCS / "hunt.svg", folder / "hunt.svg")
    rules = folder / "rules"
    rules.mkdir()
    groups: dict[str, list[Rule | Correlation]] = {}
    for one in load_rules([builtin_rules_path()]).both:
        groups.setdefault(one.name.partition("/")[0], []).append(one)
    for group, listed in sorted(groups.items()):
        (rules / f"{group}.md").write_text("\n".join(group_page(group, listed)), encoding="utf-8")
    (rules / "index.md").write_text("\n".join(_index(groups)), encoding="utf-8")


def _index(groups: dict[str, list[Rule | Correlation]]) -> Iterator[str]:
    yield "# Rules\n"
    yield f"{sum(map(len, groups.values()))} rules and correlations, by behaviour.\n"
    yield "| behaviour | critical | high | medium | low | informational |"
    yield "|---|---:|---:|---:|---:|---:|"
    for group, listed in sorted(groups.items()):
        levels = [str(one.level) for one in listed]
        cells = [str(levels.count(level) or "") for level in _LEVELS]
        yield f"| [{_named(group)}]({group}.md) | {' | '.join(cells)} |"
    yield "\n```{toctree}\n:hidden:\n"
    yield from sorted(groups)
    yield "```\n"


_LEVELS = ("critical", "high", "medium", "low", "informational")


def group_page(group: str, rules: Sequence[Rule | Correlation]) -> Iterator[str]:
    """The lines of a folder's page: each rule with all that a human needs, highest level first."""
    yield f"# {_named(group)}\n"
    for rule in sorted(rules, key=lambda one: (-one.level, one.title, one.name)):
        yield from _section(rule)


def _section(rule: Rule | Correlation) -> Iterator[str]:
    yield f"(rule-{rule.id})="
    yield f"## {plain(rule.title)}\n"
    kind = "correlation" if isinstance(rule, Correlation) else "rule"
    context = ", context only: it raises other evidence" if rule.meta.context_only else ""
    yield f"**{rule.level}** {kind}, {rule.status}{context}.\n"
    yield f"{plain(rule.description)}\n"
    for name, items in (
        ("False positives", rule.false_positives),
        ("Blind spots", rule.meta.blind_spots),
        ("How to validate", rule.meta.validate),
        ("What to do next", rule.meta.next_steps),
    ):
        if items:
            yield f"**{name}**\n"
            yield from (f"- {plain(item)}" for item in items)
            yield ""
    needs = [f"table `{table}`" for table in rule.meta.tables]
    needs += [f"osquery {rule.meta.min_version} or later"] if rule.meta.min_version else []
    needs += [f"`{flag}`" for flag in rule.meta.flags] + [f"input `{i}`" for i in rule.meta.inputs]
    if needs:
        yield f"**Needs** {', '.join(needs)}.\n"
    if rule.techniques:
        links = (
            f"[{t}](https://attack.mitre.org/techniques/{t.replace('.', '/')}/)"
            for t in rule.techniques
        )
        yield f"**ATT&CK** {', '.join(links)}.\n"
    if rule.references:
        yield "**References**\n"
        yield from (f"- <{quote(link, safe=_URL)}>" for link in rule.references)
        yield ""
    shown = {
        key: rule.raw[key] for key in ("logsource", "detection", "correlation") if key in rule.raw
    }
    yield "```yaml"
    yield yaml.safe_dump(_mutable(shown), sort_keys=False, allow_unicode=True).rstrip()
    yield "```\n"
    yield f"`{rule.id}`, [{rule.name}]({REPOSITORY}rules/{quote(rule.name)})\n"


_SHOWN = ("logsource", "detection", "correlation")
_URL = ":/?#[]@!$&'()*+,;=%-._~"


def plain(text: str) -> str:
    """A text of a rule as Markdown that shows just that text, in one paragraph."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _named(group: str) -> str:
    return group.replace("_", " ").capitalize()


def _mutable(value: object) -> object:
    if isinstance(value, dict):
        return {key: _mutable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mutable(item) for item in value]
    return value


def main(arguments: Sequence[str]) -> int:
    """Write the source to a throw-away folder and run Sphinx. Its exit code."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as folder:
        pages(Path(folder))
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
        command += ["-j", "auto", folder, arguments[0]]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
