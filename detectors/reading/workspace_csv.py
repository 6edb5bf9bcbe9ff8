"""The CSV of Google's Admin console (Reporting, User log events, Export): activities again.

Google names the columns after the attributes of the page and lists these, but those of no file
(https://support.google.com/a/answer/4580120: Actor, before that User; Date; Event, before that
Event name; IP address; Login type; more). Which are in it is up to who exports. What `Event` says
is in https://cloud.google.com/logging/docs/audit/gsuite-login-samples: descriptions and names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..records import Locator
from .flat import moment
from .wrapping import Trap, Unwrapped

KEYS = ("Date",)
# A document in JSON is never such a record, so the raw scan needs no mark for it.
MARKS = (b'"login type"',)

LOST = Trap(
    "the Admin console's CSV lacks what was not chosen as a column",
    "rules on it cannot fire; read activities by Google's Reports API where you can",
)
TIMELESS = Trap(
    "times of this CSV are not in ISO 8601",
    "such sign-ins have no time; read activities by Google's Reports API",
)
UNKNOWN = Trap(
    "events of this CSV are not called as in Google's English console",
    "rules on them cannot fire; set your account's language to English (US) and export again",
)
# Event's description to its name: those of Google's list, and other wordings that the console may
# show, for which no public source was found.
_EVENTS = {
    "2-step verification disable": "2sv_disable",
    "2-step verification enroll": "2sv_enroll",
    "account password change": "password_edit",
    "account recovery email change": "recovery_email_edit",
    "account recovery phone change": "recovery_phone_edit",
    "account recovery secret question/answer change": "recovery_secret_qa_edit",
    "leaked password": "account_disabled_password_leak",
    "risky, sensitive action allowed": "risky_sensitive_action_allowed",
    "risky, sensitive action_blocked": "risky_sensitive_action_blocked",
    "suspicious login blocked": "suspicious_login",
    "suspicious login": "suspicious_login",
    "suspicious login from less secure app blocked": "suspicious_login_less_secure_app",
    "suspicious programmatic login blocked": "suspicious_programmatic_login",
    "user suspended": "account_disabled_generic",
    "user suspended (spam through relay)": "account_disabled_spamming_through_relay",
    "user suspended (spam)": "account_disabled_spamming",
    "user suspended (suspicious activity)": "account_disabled_hijacked",
    "advanced protection enroll": "titanium_enroll",
    "advanced protection unenroll": "titanium_unenroll",
    "government-backed attack": "gov_attack_warning",
    "government-backed attack warning": "gov_attack_warning",
    "out of domain email forwarding enabled": "email_forwarding_out_of_domain",
    "failed login": "login_failure",
    "login challenge": "login_challenge",
    "login verification": "login_verification",
    "logout": "logout",
    "sensitive action blocked": "risky_sensitive_action_blocked",
    "sensitive action allowed": "risky_sensitive_action_allowed",
    "successful login": "login_success",
}
# Column to the event's parameter.
_PARAMETERS = {
    "login type": "login_type",
    "challenge type": "login_challenge_method",
    "is suspicious": "is_suspicious",
    "is second factor": "is_second_factor",
    "affected user": "affected_email_address",
    "sensitive action name": "sensitive_action_name",
    "email forwarding address": "email_forwarding_destination_address",
}
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_ACCOUNT, _EVENT = ("actor", "user"), ("event", "event name")


def exported(columns: Iterable[str]) -> bool:
    """Whether a header is that of such a file: of the events of accounts, not of Drive's or
    administrators', which have no column of how somebody signed in."""
    names = {_plain(column) for column in columns}
    return (
        {"date", "ip address", "login type"} <= names
        and not names.isdisjoint(_ACCOUNT)
        and not names.isdisjoint(_EVENT)
    )


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a record of that CSV; empty cells are not in it."""
    if not isinstance(document.get("Date"), str):
        return False
    names = {_plain(column) for column in document}
    return (
        not names.isdisjoint(_ACCOUNT)
        and not names.isdisjoint(_EVENT)
        and not names.isdisjoint(("ip address", "login type"))
        and all(isinstance(cell, str) for cell in document.values())
    )


def unwrap(document: Mapping[str, Any], _where: Locator) -> Unwrapped:
    """The activity as the Reports API would give it, as far as the CSV has it."""
    record = {_plain(column): cell for column, cell in document.items()}
    said = _first(record, _EVENT)
    name = _EVENTS.get(said.casefold())
    at = moment(record["date"])
    found: dict[str, Any] = {
        "kind": "admin#reports#activity",
        "id": {"time": record["date"], "applicationName": "login"},
        "actor": {"email": _first(record, _ACCOUNT)},
        "events": [{"name": name or said, "parameters": list(_parameters(record))}],
    }
    if "ip address" in record:
        found["ipAddress"] = record["ip address"]
    number = record.get("ip asn", "").upper().removeprefix("AS")
    if number.isascii() and number.isdigit():
        found["networkInfo"] = {"ipAsn": [int(number)]}
    traps = [LOST]
    if at is None:
        traps.append(TIMELESS)
    if name is None:
        traps.append(UNKNOWN)
    return Unwrapped((found,), tuple(traps))


def _plain(column: str) -> str:
    return " ".join(column.split()).casefold()


def _first(record: Mapping[str, str], columns: tuple[str, ...]) -> str:
    return next((record[column] for column in columns if column in record), "")


def _parameters(record: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for column, parameter in _PARAMETERS.items():
        if column in record:
            cell = record[column]
            truth = _TRUTH.get(cell.casefold()) if parameter.startswith("is_") else None
            if truth is not None:
                yield {"name": parameter, "boolValue": truth}
            elif parameter == "login_type":
                yield {"name": parameter, "value": "_".join(cell.lower().split())}
            else:
                yield {"name": parameter, "value": cell}
