"""Saved searches as an app that Splunk installs.

Settings: <https://docs.splunk.com/Documentation/Splunk/latest/Admin/Savedsearchesconf>,
<https://docs.splunk.com/Documentation/Splunk/latest/Admin/Appconf>.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from molehunt.correlation import Correlation
from molehunt.levels import Level
from molehunt.rule import Rule

from ..model import Artefact, Packing

APP = "molehunt"
# 2 info, 3 warn, 4 error, 5 severe, 6 fatal.
SEVERITY = {
    Level.CRITICAL: 6,
    Level.HIGH: 5,
    Level.MEDIUM: 4,
    Level.LOW: 3,
    Level.INFORMATIONAL: 2,
}
MACROS = """\
# Where osqueryd's results are. Change it in local/macros.conf.
[molehunt_osquery]
definition = index=* (sourcetype="osquery:results" OR sourcetype="osquery:snapshots")
iseval = 0

# Sign-ins of Entra ID, as the Splunk Add-on for Microsoft Cloud Services brings them.
[molehunt_entra]
definition = index=* sourcetype="azure:monitor:aad"
iseval = 0

# Okta's System Log, as the add-on for Okta Identity Cloud brings it.
[molehunt_okta]
definition = index=* sourcetype="OktaIM2:log"
iseval = 0

# Sign-ins of Google Workspace, as the Splunk Add-on for Google Workspace brings them.
[molehunt_google]
definition = index=* sourcetype="gws:reports:login"
iseval = 0
"""
META = """\
[]
access = read : [ * ], write : [ admin, sc_admin ]

[savedsearches]
export = none

[macros]
export = none
"""


def stanza(rule: Rule, query: str, *, signins: bool = False) -> dict[str, str]:
    """The settings of a rule's saved search: over what was indexed in the hour before. A row tells
    its host, and of `signins` the account with the event."""
    head, _, rest = query.partition(" | ")
    shown = "molehunt_host, molehunt_name, molehunt_action, molehunt_row"
    return settings(rule) | {
        "search": f"{head} _index_earliest=-60m@m _index_latest=@m | {rest}"
        f" | table _time, {'molehunt_account, _raw' if signins else shown}",
        "dispatch.earliest_time": "-7d@h",
        "alert.suppress.fields": "molehunt_account" if signins else "molehunt_host",
    }


def settings(rule: Rule | Correlation, hours: str = "*") -> dict[str, str]:
    """The settings that all saved searches have; what is "" is still to be set. `hours` is that
    part of the schedule.

    What only raises other findings, or serves correlations, comes disabled; what is merely an
    observation runs and makes no triggered alert.
    """
    minute = int(rule.id[:8], 16) % 60 if _hexadecimal(rule.id[:8]) else 0
    quiet = rule.level <= Level.LOW
    return {
        "description": f"{rule.title} ({rule.level.name.lower()}, {rule.id})",
        "search": "",
        "dispatch.earliest_time": "",
        "dispatch.latest_time": "+1h",
        "cron_schedule": f"{minute} {hours} * * *",
        "enableSched": "1",
        "disabled": "1" if rule.silent or rule.meta.context_only else "0",
        "counttype": "number of events",
        "relation": "greater than",
        "quantity": "0",
        "alert.track": "0" if quiet else "1",
        "alert.severity": str(SEVERITY[rule.level]),
        "alert.digest_mode": "0",
        "alert.suppress": "1",
        "alert.suppress.period": "24h",
        "alert.suppress.fields": "",
        "is_visible": "1",
    }


def _hexadecimal(text: str) -> bool:
    return all(character in "0123456789abcdef" for character in text)


def package(artefacts: Sequence[Artefact], packing: Packing) -> Mapping[str, bytes]:
    """The app's folder."""
    searches = [
        f"[{_name(one, packing)}]\n"
        + "".join(f"{key} = {value}\n" for key, value in one.body.items())
        for one in sorted(artefacts, key=lambda one: one.rule)
    ]
    files = {
        "default/app.conf": _app(packing.version),
        "default/macros.conf": MACROS,
        "default/savedsearches.conf": "\n".join(searches),
        "metadata/default.meta": META,
        "README.txt": _readme(len(artefacts)),
    }
    return {f"{APP}/{name}": text.encode() for name, text in files.items()}


def _name(artefact: Artefact, packing: Packing) -> str:
    stem = packing.rules[artefact.rule].name.rpartition("/")[2].removesuffix(".yml")
    return f"molehunt {stem} {artefact.rule[:8]}"


def _app(version: str) -> str:
    found = re.match(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", version)
    assert found is not None
    plain = ".".join(part or "0" for part in found.groups())
    return f"""\
[install]
state = enabled
build = 1

[package]
id = {APP}
check_for_updates = 0

[ui]
is_visible = 0
label = molehunt

[launcher]
author = The molehunt contributors
description = Saved searches that find fraudulent remote IT workers in osquery's results
version = {plain}

[id]
name = {APP}
version = {plain}
"""


def _readme(number: int) -> str:
    return f"""\
molehunt: {number} saved searches over osquery's results and sign-in logs
They read the raw JSON of sourcetypes osquery:results and osquery:snapshots (Splunk 9.0 or newer,
for json_array_to_mv), azure:monitor:aad, OktaIM2:log and gws:reports:login. Set the macros
molehunt_osquery, molehunt_entra, molehunt_okta and molehunt_google to your indexes.
"""
