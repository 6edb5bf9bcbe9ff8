"""Microsoft's own KQL parser over the declared columns of Defender's tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from molehunt.detectors.records import Record

from ..model import Answer, Artefact, Engine, Evidence, Profile
from ..sentinel.parser import check, missing
from .tables import TABLES


class Parser:
    """A session: what it loads it does not need, what it answers is acceptance."""

    def load(self, records: Sequence[Record]) -> None:
        """Nothing is run."""

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """Whether the parser has nothing against the query of the custom detection."""
        listed = list(artefacts)
        hunted = [one.body["detection"]["queryCondition"]["queryText"] for one in listed]
        for one, errors in zip(listed, check(hunted, TABLES), strict=True):
            yield Answer(one.rule, accepted=not errors, error="; ".join(errors[:3]))


@contextmanager
def _open(_profile: Profile) -> Iterator[Parser]:
    yield Parser()


KUSTO = Engine("kusto-parser", Evidence.PARSER, missing, _open)
