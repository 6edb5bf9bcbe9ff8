"""`molehunt lint`: what is wrong or doubtful in Sigma rules, and where."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..collecting import without_garbage_collection
from ..exits import Exit
from ..linting.catalogue import Check, checks
from ..linting.fixing import fix
from ..linting.model import Severity
from ..linting.output import plural, render
from ..linting.run import Linted, lint
from ..problems import UsageError
from ..rulefiles import builtin_rules_path

_ORDER = tuple(Severity)
_RECORDINGS = "tests/recordings"


def run(options: Namespace) -> Exit:
    """Lint the files and folders, or the rules inside the package.

    BAD_INPUT if a rule cannot be used at all, FOUND if something is at or above `--fail-on`.
    """
    with without_garbage_collection(options.alone):
        return _run(options)


def _run(options: Namespace) -> Exit:
    known = checks()
    if options.explain or options.list:
        return _tell(options.explain, known)
    wanted = _wanted(options.select, options.ignore, known)
    paths = list(options.paths) or [builtin_rules_path()]
    _check_paths(paths)
    recordings = _recordings(options.recordings)
    linted = _lint(options, paths, recordings, wanted)
    if options.fix:
        fixed = fix(linted.findings)
        for problem in fixed.left:
            print(problem, file=sys.stderr)
        if fixed.findings:
            said = f"{plural(fixed.findings, 'finding')} in {plural(fixed.files, 'file')}"
            print(f"mended {said}", file=sys.stderr)
            linted = _lint(options, paths, recordings, wanted)
    shown = _from(linted, Severity(options.level), known)
    colour = options.output is None and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    _put(options.output, render(options.format, shown, known, colour))
    return _exit(linted, options.fail_on, known)


def _lint(
    options: Namespace, paths: Sequence[str], recordings: str | None, wanted: set[str]
) -> Linted:
    linted = lint(paths, checks(), recordings, cached=not options.no_cache)
    if options.validators:
        from ..linting.validators import validated

        linted = validated(linted, paths)
    return replace(linted, findings=tuple(one for one in linted.findings if one.check in wanted))


def _wanted(select: Sequence[str], ignore: Sequence[str], known: Mapping[str, Check]) -> set[str]:
    chosen = {name for word in select for name in _meant(word, known)} if select else set(known)
    return chosen - {name for word in ignore for name in _meant(word, known)}


def _meant(word: str, known: Mapping[str, Check]) -> set[str]:
    """The checks that an id, the beginning of one, or a name means."""
    found = set()
    for part in word.split(","):
        these = {
            name for name, one in known.items() if name.startswith(part.upper()) or one.name == part
        }
        if not these or not part:
            raise UsageError(f"there is no check '{part}'; `molehunt lint --list` has them all")
        found |= these
    return found


def _check_paths(paths: Sequence[str]) -> None:
    for path in paths:
        if not os.path.exists(path):
            raise UsageError(f"no such file or folder: {path}")


def _recordings(named: str | None) -> str | None:
    """The folder that was named, or the usual one if it is there."""
    if named is not None:
        if not Path(named).is_dir():
            raise UsageError(f"--recordings: no such folder: {named}")
        return named
    return _RECORDINGS if Path(_RECORDINGS).is_dir() else None


def _from(linted: Linted, least: Severity, known: Mapping[str, Check]) -> Linted:
    shown = _ORDER[: _ORDER.index(least) + 1]
    kept = tuple(one for one in linted.findings if known[one.check].severity in shown)
    return replace(linted, findings=kept)


def _exit(linted: Linted, fail_on: str, known: Mapping[str, Check]) -> Exit:
    if any(one.check.startswith("MH00") and one.check < "MH008" for one in linted.findings):
        return Exit.BAD_INPUT
    if fail_on == "never":
        return Exit.DONE
    bad = _ORDER[: _ORDER.index(Severity(fail_on)) + 1]
    found = any(known[one.check].severity in bad for one in linted.findings)
    return Exit.FOUND if found else Exit.DONE


def _put(path: str | None, text: str) -> None:
    if path is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"--output: {path}: {error.strerror}") from None


def _tell(word: str | None, known: Mapping[str, Check]) -> Exit:
    if word is None:
        for check in known.values():
            print(f"{check.id}  {check.severity:<7}  {check.name:<26}  {check.title}")
        return Exit.DONE
    for name in sorted(_meant(word, known)):
        check = known[name]
        print(f"{check.id} {check.name} ({check.severity}): {check.title}\n\n{check.why}\n")
        print(f"Found in:\n\n{_indented(check.failing.shown)}\n")
        if check.passing.shown != check.failing.shown:
            print(f"Not in:\n\n{_indented(check.passing.shown)}\n")
    return Exit.DONE


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
