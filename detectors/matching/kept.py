"""What the engine works out from rules and schedules, kept from one run to the next."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from typing import Any

from molehunt.cache import code_of, keep, recall
from molehunt.installed import release
from molehunt.rule import Rule
from molehunt.taxonomy import Taxonomy

from ..native import FORM as FORM_IN_C
from ..schedule.binding import Binder
from ..schedule.kept import schema_digest
from .choose import Choice, Ruled
from .judge import Judge, Shape
from .necessary import Clause
from .plan import FastPlan, clauses_of
from .programs import Program, plain, restored
from .route import searched
from .scan import compiled, packed, unpacked
from .stored import stored_in

# Changed when clauses are made otherwise or kept in another form.
FORM = 11


# What was chosen for other data serves as long as it leaves not many more lines than it did there.
MORE_LINES, FEW_LINES = 1.5, 0.01
# The share of lines above which it is not taken for data that are too few to fit to.
LITTLE = 0.3
# Bytes of a sample, and of one that is looked at to see whether what was kept serves.
SAMPLE_BYTES, LOOKED_AT = 4 << 20, 1 << 19
# Bytes of a sample that are not judged, from which on the search for them is fitted to it.
FEW_BYTES = 64 << 10


def kept_clauses(
    rules: Sequence[Rule], key: str, taxonomy: Taxonomy, binder: Binder
) -> Callable[[], list[list[Clause] | None]]:
    """Gives the clauses of the rules, whose set has this key, when they are first asked for: not
    where all lines are judged."""

    @cache
    def clauses() -> list[list[Clause] | None]:
        name = f"plan-{_digest(key, binder)}"
        found = recall(name)
        if found is not None:
            # Else it is not what was kept, and made anew.
            with suppress(TypeError, ValueError):
                (there,) = found
                if (whole := _restored(there)) is not None:
                    return whole
        made = clauses_of(rules, taxonomy, binder)
        keep(name, [_plain(made)])
        return made

    return clauses


def tune_kept(plan: FastPlan, key: str, sampled: Callable[[int], bytes]) -> None:
    """Fit a plan, whose set of rules has this key, to a sample of the data, or take what it was
    fitted to before if that serves. `sampled` gives a sample (whole lines) of about so many
    bytes."""
    if plan.judge is not None and _serves(plan.judge, _judge_name(plan, key), sampled(LOOKED_AT)):
        _know_rows(plan, key)
        if plan.scan == "hyperscan":
            plan.prepare = lambda: _guess(plan, key)
        return
    sample = sampled(SAMPLE_BYTES)
    if plan.judge is not None:
        _fit_kept(plan.judge, _judge_name(plan, key), stored_in(sample) + sample)
        _know_rows(plan, key)
        sample = plan.unjudged(sample)
    if plan.scan != "hyperscan":
        return
    if len(sample) < FEW_BYTES:
        plan.prepare = lambda: _guess(plan, key)
        return
    name = _name("choice", plan, key)
    share = _used(plan, name)
    if share is not None and plan.share(sample) <= max(share * MORE_LINES, share + FEW_LINES):
        return
    plan.tune(sample)
    keep(name, [plan.share(sample), *_searching(plan)])


def guess_kept(plan: FastPlan, key: str, sample: bytes = b"") -> None:
    """Have a plan, whose set of rules has this key, search for what was fitted to other data if
    that leaves few lines of a sample, else for what is chosen without data."""
    if plan.judge is not None:
        _take_kept(plan.judge, _judge_name(plan, key), sample)
        _know_rows(plan, key)
    if plan.scan != "hyperscan":
        return
    if plan.judge is not None and len(plan.unjudged(sample)) < FEW_BYTES:
        plan.prepare = lambda: _guess(plan, key)
        return
    fitted = _used(plan, _name("choice", plan, key))
    if fitted is not None and plan.share(sample) <= LITTLE:
        return
    _guess(plan, key)


def _guess(plan: FastPlan, key: str) -> None:
    name = _name("guess", plan, key)
    if _used(plan, name) is None:
        plan.guess()
        keep(name, [1.0, *_searching(plan)])


def _judge_name(plan: FastPlan, key: str) -> str:
    return f"judge-{_digest(f'{key}{FORM_IN_C}', plan.binder)}"


def _know_rows(plan: FastPlan, key: str) -> None:
    """Have rows of exports judged by what was kept for them."""
    name = f"rows-{_judge_name(plan, key)}"
    plan.fit_rows = lambda judge, lines: _fit_kept(judge, name, lines)


def _serves(judge: Judge, name: str, sample: bytes) -> bool:
    """Have the judge know what it knew before: whether that tells of all queries of a sample, and
    nearly all of its lines."""
    try:
        if not (programs := _programs(recall(name))):
            return False
        judge.recall(sample, programs)
    except (TypeError, ValueError, AttributeError):
        return False
    _, kept = judge.sift(sample, often=1)
    left = sum(one.end - one.start for one in kept if one.rules is None)
    return len(judge.programs) == len(programs) and left * SAMPLE_BYTES < FEW_BYTES * LOOKED_AT


def _fit_kept(judge: Judge, name: str, sample: bytes) -> None:
    """Have the judge know all queries of a sample."""
    try:
        new = judge.fit(sample, _programs(recall(name)))
    except (TypeError, ValueError, AttributeError):
        new = judge.fit(sample, {})  # not what was kept: made anew
    if new:
        keep(
            name, [[query, columns, plain(one)] for (query, columns), one in judge.programs.items()]
        )


def _take_kept(judge: Judge, name: str, sample: bytes) -> None:
    """Have the judge know the queries that it knew before."""
    with suppress(TypeError, ValueError, AttributeError):
        judge.recall(sample, _programs(recall(name)))


def _programs(found: Any) -> dict[Shape, Program]:
    return {(query, tuple(columns)): restored(one) for query, columns, one in found or ()}


def _used(plan: FastPlan, name: str) -> float | None:
    """Have a plan search for what is kept: the share of lines that it left when it was made. None
    if nothing is kept."""
    found = recall(name)
    if found is not None:
        try:
            share, database, choice = found
            plan.use(_choice(choice), unpacked(b64decode(database, validate=True)))
            return float(share)
        except (TypeError, ValueError, AttributeError, KeyError, IndexError):
            pass  # not what was kept: made anew
    return None


def _name(kind: str, plan: FastPlan, key: str) -> str:
    return f"{kind}-{_digest(key + release('hyperscan'), plan.binder)}"


def _searching(plan: FastPlan) -> list[Any]:
    """What a plan searches for, with Hyperscan's database for it."""
    database = packed(compiled(*searched(plan.choice)))
    return [b64encode(database).decode(), _plain_choice(plan.choice)]


def _digest(key: str, binder: Binder) -> str:
    made_of = repr((FORM, key)).encode() + code_of(__file__)
    return sha256(made_of + binder.digest() + schema_digest()).hexdigest()


def _plain_choice(choice: Choice) -> list[Any]:
    # Masks have more bits than a JSON number.
    return [
        {word.decode("latin-1"): f"{rules:x}" for word, rules in choice.masks.items()},
        {text.decode("latin-1"): f"{rules:x}" for text, rules in choice.patterns.items()},
        [[[w.decode("latin-1") for w in one] for one in clauses] for clauses in choice.others],
        f"{choice.always:x}",
    ]


def _choice(plain: Any) -> Choice:
    masks, patterns, others, always = plain
    return Choice(
        {word.encode("latin-1"): int(rules, 16) for word, rules in masks.items()},
        {text.encode("latin-1"): int(rules, 16) for text, rules in patterns.items()},
        tuple(
            tuple(tuple(w.encode("latin-1") for w in one) for one in clauses) for clauses in others
        ),
        int(always, 16),
    )


def _restored(plain: Any) -> list[list[Clause] | None] | None:
    """None if it is not what was kept."""
    try:
        return [_clauses(one) for one in plain]
    except (TypeError, ValueError, AttributeError):
        return None


def _plain(ruled: Ruled) -> list[Any]:
    return [
        None
        if clauses is None
        else [[one.key, *(word.decode("latin-1") for word in one.literals)] for one in clauses]
        for clauses in ruled
    ]


def _clauses(plain: Any) -> list[Clause] | None:
    if plain is None:
        return None
    return [Clause(frozenset(w.encode("latin-1") for w in words), key) for key, *words in plain]
