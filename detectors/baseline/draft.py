"""A draft of the organisation's file from what a baseline found.

Owner and reason are left empty on purpose: molehunt refuses such entries, so nothing is approved
before a human has looked at the hosts and signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from .rates import OVER, Rate

DAYS = 90


def draft_lines(found: Sequence[Rate], today: date) -> Iterator[str]:
    """YAML lines. `today` (UTC) decides the absolute end dates."""
    until = today + timedelta(days=DAYS)
    yield "# A draft made by molehunt baseline. Look at each host before you approve: what is"
    yield "# normal here may be what you look for. An entry counts only once owner and reason"
    yield "# are filled in; delete the others. docs/findings.md describes the file."
    subjects = list(_by_subject(one for one in found if one.findings and one.budget is not None))
    yield "groups:" if subjects else "groups: {}"
    for subject, rates in subjects:
        hosts = sorted({host for one in rates for host in one.hosts})
        yield f"    {_text(f'has {subject}')}:"
        yield f"        hosts: [{', '.join(_text(_literal(host)) for host in hosts)}]"
    yield "approved:" if subjects else "approved: []"
    for subject, rates in subjects:
        for one in rates:
            yield f"    # {one.rule.title} ({one.rule.level}): {one.findings} findings"
            for words, count in one.top:
                yield f"    #     {count} x {_comment(words)}"
        yield f"    - what: {_text(subject)}"
        yield f"      for: {_text(f'has {subject}')}"
        yield "      owner:"
        yield "      reason:"
        yield f"      until: {until}"
    noisy = [one for one in found if one.verdict == OVER]
    yield "shadow:" if noisy else "shadow: []"
    for one in noisy:
        rate = f"{one.rate:,.2f} per 1,000 devices and week, budget {one.budget:g}"
        yield f"    # {one.rule.title}: {rate}"
        yield f"    - what: {_text(one.rule.id)}"
        yield "      owner:"
        yield "      reason:"
        yield f"      until: {until}"


def _by_subject(found: Iterable[Rate]) -> Iterator[tuple[str, list[Rate]]]:
    subjects: dict[str, list[Rate]] = {}
    for one in found:
        subjects.setdefault(one.rule.meta.subject or one.rule.id, []).append(one)
    yield from subjects.items()


def _text(text: str) -> str:
    """A YAML text: JSON's form, which YAML takes as it is."""
    return json.dumps(text)


def _literal(host: str) -> str:
    """A host as a pattern that means only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in host)


def _comment(words: str) -> str:
    return json.dumps(words)[1:-1]
