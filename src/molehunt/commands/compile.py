"""`molehunt compile`: rules as a SIEM or osquery imports them."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from molehunt.backends.compiling import at_least
from molehunt.backends.kept import compile_kept
from molehunt.backends.manifest import make_manifest, render
from molehunt.backends.model import (
    Artefact,
    Evidence,
    Packing,
    Profile,
    Subject,
    Target,
)
from molehunt.backends.packed import Packed, keep_packed, packed, packed_key, recalled
from molehunt.backends.registry import target, targets
from molehunt.backends.reviewed import load_reviewed, unreviewed
from molehunt.backends.support import locked

from .. import __version__
from ..collecting import without_garbage_collection
from ..data import load_yaml
from ..exits import Exit, leave
from ..lock import versions
from ..problems import Problem, UsageError
from ..processes import Aside
from ..rule import RuleSet
from ..rulecache import ruleset_key, sources_of
from ..taxonomy import taxonomy
from .common import named, show


def run(options: Namespace) -> Exit:
    """Compile all rules for each target and write the files, or list what there is."""
    with without_garbage_collection(options.alone), Aside() as aside:
        code = _run(options, aside)
    if options.alone:
        leave(code)
    return code


def _run(options: Namespace, aside: Aside) -> Exit:
    if options.list or not options.target:
        return _list(options)
    chosen = [pick(word) for word in options.target]
    problems: list[Problem] = []
    organisation = None
    if options.organisation:
        from molehunt.detectors.findings.organisation_file import load_organisation

        organisation, problems = load_organisation(options.organisation)
    key = ruleset_key(named(options.rules))
    work = _Work(options, key, organisation, aside)
    for product, profile in chosen:
        asked = (options.min_evidence, str(bool(options.rules)))
        place = "" if options.organisation else packed_key(product, profile, key, asked)
        packed = recalled(place)
        if packed is None:
            packed, found = work.packed(product, profile)
            problems += found
            if not found:
                aside(partial(keep_packed, place, packed))
        _write(Path(options.output) / product.name, packed.files)
        _tell(product, profile, packed, options.output)
    return show(problems)


class _Work:
    """What is loaded for the first target that needs it."""

    def __init__(self, options: Namespace, key: str, organisation: Any, aside: Aside) -> None:
        self.options, self.key, self.organisation = options, key, organisation
        self.aside = aside

    @cached_property
    def ruleset(self) -> RuleSet:
        return sources_of(named(self.options.rules), self.key, self.aside)

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = load_yaml("pack.yml")
        return found

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        from molehunt.backends.subjects import subjects

        return subjects(self.ruleset, self.manifest, taxonomy())

    def packed(self, product: Target, profile: Profile) -> tuple[Packed, list[Problem]]:
        """The files of a target, and what is wrong with the rules or the reviews."""
        ruleset, options = self.ruleset, self.options
        known = locked(product.name)
        reviewed, problems = load_reviewed()
        problems = [*ruleset.problems, *problems]
        compiled = compile_kept(
            product,
            profile,
            self.key,
            lambda: self.subjects,
            self.aside,
            lambda: not self.ruleset.filtered,
        )
        problems += _as_asked(unreviewed(compiled, reviewed), options)
        kept = at_least(compiled, Evidence[options.min_evidence.upper()], known)
        both = {one.id: one for one in ruleset.both}
        packing = Packing(self.manifest, both, __version__, self.organisation)
        files = product.package([one for one in kept if isinstance(one, Artefact)], packing)
        listing = make_manifest(kept, files, versions(ruleset), known, __version__)
        whole = {**files, "manifest.json": render(listing)}
        return packed(whole, compiled, len(kept), listing), problems


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
    made: set[str] = set()
    try:
        for name, data in files.items():
            path = os.path.join(folder, name)
            parent = os.path.dirname(path)
            if parent not in made:
                os.makedirs(parent, exist_ok=True)
                made.add(parent)
            with open(path, "wb") as stream:
                stream.write(data)
    except OSError as error:
        raise UsageError(f"--output: {error.filename}: {error.strerror}") from None


def _tell(product: Target, profile: Profile, made: Packed, output: str) -> None:
    told = ", ".join(f"{number} {word}" for word, number in made.counts.items())
    print(
        f"{product.name}/{profile.name}: {sum(made.counts.values())} of {made.number} compiled"
        f" ({told or 'none'})"
        + (f", {made.left} below --min-evidence" if made.left else "")
        + f" -> {output}/{product.name}"
    )
    for code, number in made.refused.items():
        print(f"  {number} refused: {code}", file=sys.stderr)
