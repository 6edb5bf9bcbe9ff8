"""`molehunt deploy`: bring compiled rules to a server; without --apply only show the plan."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from molehunt.backends.deploying.http import Server, secret_of
from molehunt.backends.deploying.plan import (
    Body,
    DeployError,
    Plan,
    Step,
    Store,
    carry_out,
    describe,
    make_plan,
)
from molehunt.detectors.report.safe import printable

from ..data import load_yaml, read_bytes
from ..exits import Exit
from ..lock import LOCK, parse_lock
from ..problems import Problem, UsageError
from ..rule import RuleSet
from ..rulecache import cached_sources
from ..taxonomy import taxonomy
from .common import named, show

if TYPE_CHECKING:
    from molehunt.backends.model import Artefact, Subject


class _Place(NamedTuple):
    """Where to, what should be there by key, and how a key is called."""

    store: Store
    wanted: Mapping[str, Body]
    title: Callable[[str], str]


def run(options: Namespace) -> Exit:
    """Plan, show, and with --apply carry out; what fails half-way is taken up by the next run."""
    _check_usage(options)
    problems: list[Problem] = []
    try:
        place = _PLACES[options.target](options, problems)
        wanted = {} if options.remove else place.wanted
        prune = options.prune or options.remove
        plan = make_plan(wanted, place.store.present(), place.store.kept, prune)
        for line in describe(plan, place.title):
            print(printable(line))
        if options.apply:
            done: list[Step] = []
            try:
                carry_out(place.store, plan, done.append)
            finally:
                print(_told(plan, done))
        else:
            print(_told(plan, None))
    except DeployError as error:
        hint = "run it again: it goes on where it stopped" if options.apply else ""
        problems.append(Problem(str(error), hint=hint))
    return show(problems)


def _elastic(options: Namespace, problems: list[Problem]) -> _Place:
    from molehunt.backends.deploying.kibana import KibanaRules, kibana_server, wanted_rules

    ruleset, made = _subjects(options, problems)
    artefacts = _artefacts(f"elastic/{options.profile}", options, made)
    server = kibana_server(options.url, _secret("ApiKey"), options.ca)
    return _Place(
        KibanaRules(server, _owned(ruleset), options.space),
        wanted_rules({key: one.body for key, one in artefacts.items()}),
        _titles(ruleset),
    )


def _opensearch(options: Namespace, problems: list[Problem]) -> _Place:
    from molehunt.backends.deploying.opensearch import OpenSearchThings, wanted_things
    from molehunt.backends.opensearch.layouts import templates
    from molehunt.backends.opensearch.monitors import versioned
    from molehunt.backends.opensearch.stored import INDEX, SETTINGS, index_body, stored_query

    ruleset, made = _subjects(options, problems)
    artefacts = _artefacts("opensearch", options, made)
    server = Server(options.url, _secret("Bearer"), options.ca)
    store = OpenSearchThings(server, _owned(ruleset), INDEX, SETTINGS, options.remove)
    monitors: dict[str, Body] = {}
    queries: dict[str, Body] = {}
    rules = {rule.id: rule for rule in ruleset.rules}
    if store.alerting():
        monitors = {key: versioned(one, rules[key]) for key, one in artefacts.items()}
    else:
        print("no alerting plugin there: rules become stored queries of a percolator index")
        queries = {key: stored_query(one, rules[key]) for key, one in artefacts.items()}
    wanted = wanted_things(monitors, queries, INDEX, index_body(made))
    titles = _titles(ruleset)
    return _Place(
        store,
        {**{f"template/{name}": body for name, body in templates().items()}, **wanted},
        lambda key: _thing(key, titles),
    )


def _thing(key: str, titles: Callable[[str], str]) -> str:
    kind, name = key.split("/")[:2]
    return titles(name) if kind in ("monitor", "query") else f"the {kind}"


def _fleet(options: Namespace, problems: list[Problem]) -> _Place:
    from molehunt.backends.deploying.fleet import FleetQueries, wanted_queries
    from molehunt.backends.osquery.pack import make_pack

    from ..schema import tables

    ruleset = cached_sources(named(options.rules))
    problems += ruleset.problems
    manifest = load_yaml("pack.yml")
    pack, found = make_pack(manifest, ruleset.rules, tables())
    problems += found
    server = Server(options.url, _secret("Bearer"), options.ca)
    wanted = wanted_queries(pack, str(manifest["pack"]))
    return _Place(FleetQueries(server, options.team), wanted, lambda key: f"query {key}")


def _subjects(options: Namespace, problems: list[Problem]) -> tuple[RuleSet, tuple[Subject, ...]]:
    from molehunt.backends.subjects import subjects

    ruleset = cached_sources(named(options.rules))
    problems += ruleset.problems
    return ruleset, subjects(ruleset, load_yaml("pack.yml"), taxonomy())


def _artefacts(
    target_name: str, options: Namespace, made: tuple[Subject, ...]
) -> dict[str, Artefact]:
    """What is compiled and well enough known, by rule."""
    from molehunt.backends.compiling import at_least, compile_all
    from molehunt.backends.model import Artefact, Evidence
    from molehunt.backends.support import locked

    from .compile import pick

    target, profile = pick(target_name)
    compiled = compile_all(target, profile, made)
    kept = at_least(compiled, Evidence[options.min_evidence.upper()], locked())
    return {one.rule: one for one in kept if isinstance(one, Artefact)}


def _owned(ruleset: RuleSet) -> set[str]:
    """The ids of rules that molehunt ships or has shipped, and of the rules named."""
    entries, _ = parse_lock(read_bytes(LOCK).decode().splitlines())
    return {*entries, *(one.id for one in ruleset.both), *_deprecated()}


_PLACES: Mapping[str, Callable[[Namespace, list[Problem]], _Place]] = {
    "elastic": _elastic,
    "fleet": _fleet,
    "opensearch": _opensearch,
}


def _secret(scheme: str) -> str:
    found = secret_of(os.environ, scheme)
    if not found:
        print("no MOLEHUNT_API_KEY, MOLEHUNT_USER or MOLEHUNT_PASSWORD is set", file=sys.stderr)
    return found


def _titles(ruleset: RuleSet) -> Callable[[str], str]:
    titles = {one.id: one.title for one in ruleset.both}
    return lambda key: titles.get(key, "a rule of another release")


def _deprecated() -> set[str]:
    try:
        listed = load_yaml("deprecated.yml")
    except FileNotFoundError:
        return set()
    return {str(entry["id"]) for entry in listed or ()}


def _told(plan: Plan, done: list[Step] | None) -> str:
    steps = f"{len(plan.steps)} to do" if done is None else f"{len(done)} of {len(plan.steps)} done"
    more = f", {len(plan.foreign)} not molehunt's" if plan.foreign else ""
    more += f", {len(plan.left)} no longer wanted" if plan.left else ""
    hint = "; --apply does it" if done is None and plan.steps else ""
    return f"{steps}, {plan.same} as they should be{more}{hint}"


def _check_usage(options: Namespace) -> None:
    if options.space and options.target != "elastic":
        raise UsageError("--space is for elastic")
    if options.profile and options.target != "elastic":
        raise UsageError("--profile is for elastic")
    if options.team is not None and options.target != "fleet":
        raise UsageError("--team is for fleet")
