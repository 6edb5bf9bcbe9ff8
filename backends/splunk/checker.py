"""The form of a compiled saved search: all that can be checked without Splunk.

Nothing here runs SPL. That the settings are ones that Splunk documents, that the search is one line
whose strings and brackets close, and that PCRE's stand-in accepts its patterns, is `SCHEMA`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from molehunt.detectors.records import Record

from ..model import Answer, Artefact, Engine, Evidence, Profile

# savedsearches.conf.spec
SETTINGS = frozenset(
    "alert.digest_mode alert.severity alert.suppress alert.suppress.fields alert.suppress.period"
    " alert.track counttype cron_schedule description disabled dispatch.earliest_time"
    " dispatch.latest_time enableSched is_visible quantity relation search".split()
)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_MATCH = re.compile(r'match\([A-Za-z_0-9]+, "((?:[^"\\]|\\.)*)"\)')


class Checker:
    """A session that reads."""

    def load(self, records: Sequence[Record]) -> None:
        """Nothing is run."""

    def ask(self, artefacts: Iterable[Artefact]) -> Iterator[Answer]:
        """Whether each has the form."""
        for one in artefacts:
            errors = list(faults(one.body))
            yield Answer(one.rule, accepted=not errors, error="; ".join(errors))


def faults(body: dict[str, str]) -> Iterator[str]:
    """What is wrong with a stanza, in words."""
    for unknown in sorted(set(body) - SETTINGS):
        yield f"savedsearches.conf has no setting {unknown}"
    for key, value in body.items():
        if "\n" in value or value.endswith("\\"):
            yield f"{key} does not stand in one line"
    search = body["search"]
    bare = _STRING.sub('""', search)
    if bare.count('"') % 2 or bare.count("(") != bare.count(")"):
        yield "a string or bracket of the search does not close"
    if bare.count("`") % 2 or "`" in "".join(_STRING.findall(search)):
        yield "a backtick stands in a string"
    for text in _MATCH.findall(search):
        pattern = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                re.compile(pattern)
        except re.error as error:
            yield f"pattern {pattern}: {error}"


@contextmanager
def _open(_profile: Profile) -> Iterator[Checker]:
    yield Checker()


def _nothing_missing() -> str:
    return ""


CONF = Engine("conf-spec", Evidence.SCHEMA, _nothing_missing, _open)
