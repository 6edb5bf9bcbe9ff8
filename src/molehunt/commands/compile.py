"""`molehunt compile`: rules as a SIEM or osquery imports them."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from molehunt.backends.compiling import at_least
from molehunt.backends.kept import compile_kept
from molehunt.backends.manifest import make_manifest, render
from molehunt.backends.model import (
    Artefact,
    Compiled,
    Evidence,
    Packing,
    Profile,
    Refusal,
    Subject,
    Target,
)
from molehunt.backends.registry import target, targets
from molehunt.backends.reviewed import load_reviewed, unreviewed
from molehunt.backends.support import locked

from .. import __version__
from ..collecting import without_garbage_collection
from ..data import load_yaml
from ..exits import Exit
from ..lock import versions
from ..problems import Problem, UsageError
from ..rulecache import sources_and_key
from ..taxonomy import taxonomy
from .common import named, show


def run(options: Namespace) -> Exit:
    """Compile all rules for each target and write the files, or list what there is."""
    with without_garbage_collection():
        return _run(options)


def _run(options: Namespace) -> Exit:
    if options.list or not options.target:
        return _list(options)
    chosen = [pick(word) for word in options.target]
    ruleset, key = sources_and_key(named(options.rules))
    problems = list(ruleset.problems)
    organisation = None
    if options.organisation:
        from molehunt.detectors.findings.organisation_file import load_organisation

        organisation, found = load_organisation(options.organisation)
        problems += found
    manifest = load_yaml("pack.yml")

    @cache
    def made() -> tuple[Subject, ...]:
        from molehunt.backends.subjects import subjects

        return subjects(ruleset, manifest, taxonomy())

    known = locked()
    reviewed, found = load_reviewed()
    problems += found
    both = {one.id: one for one in ruleset.both}
    packing = Packing(manifest, both, __version__, organisation)
    for product, profile in chosen:
        compiled = compile_kept(product, profile, key, made)
        problems += _as_asked(unreviewed(compiled, reviewed), options)
        kept = at_least(compiled, Evidence[options.min_evidence.upper()], known)
        files = product.package([one for one in kept if isinstance(one, Artefact)], packing)
        listing = make_manifest(kept, files, versions(ruleset), known, __version__)
        _write(Path(options.output) / product.name, {**files, "manifest.json": render(listing)})
        _tell(product, profile, compiled, len(kept), listing, options.output)
    return show(problems)


def pick(word: str) -> tuple[Target, Profile]:
    """The target and profile behind `TARGET` or `TARGET/PROFILE`. Raises UsageError."""
    name, _, profile = word.partition("/")
    try:
        found = target(name)
    except KeyError as error:
        raise UsageError(f"no target '{name}'; there are: {error.args[0]}") from None
    try:
        return found, found.profile(profile)
    except KeyError as error:
        raise UsageError(f"{name} has no profile '{profile}'; it has: {error.args[0]}") from None


def _as_asked(problems: Iterable[Problem], options: Namespace) -> list[Problem]:
    """For rules of the user's own a refusal is told and is no defect of the file of reviews."""
    return [] if options.rules else list(problems)


def _list(options: Namespace) -> Exit:
    for one in targets():
        print(f"{one.name:16} {one.title}")
        for profile in one.profiles:
            default = " (default)" if profile is one.profiles[0] else ""
            print(f"{'':16}   {one.name}/{profile.name}{default}: {profile.index}")
    if not options.list:
        raise UsageError("name a target with -t")
    return Exit.DONE


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"--output: {error.filename}: {error.strerror}") from None


def _tell(
    product: Target,
    profile: Profile,
    compiled: Sequence[Compiled],
    kept: int,
    listing: Mapping[str, Any],
    output: str,
) -> None:
    counts = Counter(one["evidence"] for one in listing["rules"])
    words = [one.name.lower() for one in reversed(Evidence)]
    told = ", ".join(f"{counts[one]} {one}" for one in words if counts[one])
    left = len(compiled) - kept
    print(
        f"{product.name}/{profile.name}: {len(listing['rules'])} of {len(compiled)} compiled"
        f" ({told or 'none'})"
        + (f", {left} below --min-evidence" if left else "")
        + f" -> {output}/{product.name}"
    )
    refused = Counter(one.code for one in compiled if isinstance(one, Refusal))
    for code, number in sorted(refused.items()):
        print(f"  {number} refused: {code}", file=sys.stderr)
