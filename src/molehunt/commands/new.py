"""`molehunt new`: the beginning of a rule with its recordings, and a proof that fails."""

from __future__ import annotations

import datetime as dt
import difflib
import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from molehunt.detectors.schedule.queries import pack_queries

from ..data import load_yaml
from ..exits import Exit
from ..problems import Severity, UsageError
from ..scaffold import Draft, Source, draft, sources, texts
from ..schema import tables
from ..taxonomy import taxonomy


def run(options: Namespace) -> Exit:
    """Write the files and say what to do; FOUND if what came out is not as it should be."""
    source = _source(options.query)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    made = draft(str(uuid4()), options.title, source, taxonomy(), tables(), today)
    files = texts(made, options.folder, options.recordings)
    there = [path for path in files if Path(path).exists()]
    if there:
        raise UsageError(f"{there[0]} is there already; choose another title")
    for path, text in files.items():
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        print(path)
    return _tell(made, options)


def _source(word: str) -> Source:
    known = sources(pack_queries(load_yaml("pack.yml")), tables())
    found = [one for one in known if one.query == word]
    if found:
        return found[0]
    near = sorted(one.query for one in known if word in (one.table, one.query.rpartition("_")[0]))
    if not near:
        near = difflib.get_close_matches(word, [one.query for one in known], 3, 0.5)
    hint = f"did you mean {', '.join(near)}?" if near else _all(one.query for one in known)
    raise UsageError(f"the pack has no query '{word}'; {hint}")


def _all(names: Iterable[str]) -> str:
    return "it has " + ", ".join(sorted(names))


def _tell(made: Draft, options: Namespace) -> Exit:
    """Load and prove what was written, as the author will: it has to fail for one reason."""
    from molehunt.detectors.proof.manifest import load_scenario
    from molehunt.detectors.proof.prove import observe, prove

    from ..ruleset import load_rules
    from .common import make_binder, show

    ruleset = load_rules([str(Path(options.folder, made.name))])
    manifest = Path(options.recordings, made.scenario, "manifest.yml")
    scenario, problems = load_scenario(str(manifest))
    if ruleset.problems or problems or scenario is None:
        show([*ruleset.problems, *problems])
        return Exit.FOUND
    binder = make_binder([], problems)
    seen = observe(scenario, ruleset.rules, taxonomy(), binder)
    known = {rule.id: rule for rule in ruleset.rules}
    proofs, others = prove(ruleset.rules, [(scenario, seen)], known)
    failing = [one for proof in proofs for one in proof.problems]
    failing += [one for one in (*others, *seen.problems) if one.severity is Severity.ERROR]
    print("\nThe proof fails now, as it should:", file=sys.stderr)
    show(failing)
    rule, log = Path(options.folder, made.name), manifest.with_name("results.log")
    print(
        f"\nNext: put the telling values into {log} (line 1 must fire, line 2 is the near miss)\n"
        f"and the condition into {rule}; fill in what it says in words. Then\n"
        f"    molehunt lint {rule}\n"
        f"    molehunt test --rules {rule} --recordings {manifest.parent}",
        file=sys.stderr,
    )
    return Exit.DONE if failing else Exit.FOUND
