"""What correlations found, as findings of the one model."""

from __future__ import annotations

from collections.abc import Iterator

from ..correlating.correlator import Correlated, Correlator
from ..correlating.store import Shown
from ..matching.match import Match
from ..records import EMPTY, Binding, Record
from .fold import finding_id, techniques_of
from .model import Evidence, Finding

_UNBOUND = Binding("", "unbound", None)


def correlated_findings(correlator: Correlator) -> Iterator[tuple[Finding, bool]]:
    """Each correlation's findings, one for each group, and whether they are only context.

    One that only serves other correlations has none. Reads the correlator out.
    """
    for found in correlator.results():
        one = found.correlation
        if one.meta.context_only or not one.silent:
            yield _finding(found, correlator), one.meta.context_only


def _finding(found: Correlated, correlator: Correlator) -> Finding:
    one = found.correlation
    identity = tuple(zip(one.group_by, found.group, strict=True))
    hosts = _hosts(found)
    return Finding(
        # No host: which of several comes first must not matter.
        id=finding_id(one.id, "", identity),
        rule=one.id,
        title=one.title,
        description=one.description,
        rule_level=one.level,
        level=one.level,
        status=one.status,
        host=hosts[0][0],
        host_name=hosts[0][1],
        users=tuple(sorted({who.user for who in found.who if who.user})),
        identity=identity,
        first_seen=found.first,
        last_seen=found.last,
        count=found.count,
        evidence=tuple(_evidence(shown, correlator) for shown in found.shown),
        techniques=tuple(techniques_of(one.techniques)),
        raised_by=(),
        missing_filters=tuple(sorted({name for who in found.who for name in who.missing})),
        false_positives=one.false_positives,
        next_steps=one.meta.next_steps,
        references=one.references,
        hosts=hosts,
    )


def _hosts(found: Correlated) -> tuple[tuple[str, str], ...]:
    """Identifier and name of each host, sorted; the identifier where no name was logged."""
    names: dict[str, set[str]] = {}
    for who in found.who:
        names.setdefault(who.host, set()).update({who.host_name} - {""})
    return tuple((host, min(names[host], default=host)) for host in sorted(names))


def _evidence(shown: Shown, correlator: Correlator) -> Evidence:
    rule, seen, values = correlator.rules[shown.rule], shown.seen, dict(shown.seen.values)
    record = Record(
        source="",
        query=seen.query,
        host=shown.host,
        user=None,
        action=seen.action,
        observed_at=seen.observed_at,
        event_at=seen.event_at,
        values=values,
        provenance={},
        decorations=dict(seen.decorations) or EMPTY,
        counter=seen.counter,
        locator=shown.where,
        binding=_UNBOUND,
    )
    return Evidence(
        where=shown.where,
        query=seen.query,
        at=shown.at,
        until=shown.until,
        basis=seen.basis,
        reasons=Match(rule, record, correlator.fields_of(shown)).evidence,
        values=seen.values,
        host=shown.host,
        rule=rule.id,
    )
