"""What the ingest pipelines of Elastic's integrations make of a sign-in event.

Written after the text of the pipelines (`signins.py` says which), step by step for what becomes of
each name; steps that only add (geography, categories, related users) are left out. The records
have the events with dotted names, from which the nested event is put together again first.
"""

from __future__ import annotations

import re
from typing import Any

from molehunt.detectors.records import Record
from molehunt.joins import NETWORK
from molehunt.normalise import parse_ip

from ..searching.documents import iso
from ..searching.events import diagnostic_record, get_at, move_at, nested, put_at
from .debugdata import debug_data

# Okta: `rename` and `convert` steps, from the event to the document. What is not here goes with
# `remove: json`.
_OKTA_MOVED = {
    "displayMessage": "okta.display_message",
    "eventType": "okta.event_type",
    "uuid": "okta.uuid",
    "actor.alternateId": "okta.actor.alternate_id",
    "actor.displayName": "okta.actor.display_name",
    "actor.id": "okta.actor.id",
    "actor.type": "okta.actor.type",
    "client.device": "okta.client.device",
    "client.geographicalContext.country": "client.geo.country_name",
    "client.id": "okta.client.id",
    "client.userAgent.browser": "okta.client.user_agent.browser",
    "client.userAgent.os": "okta.client.user_agent.os",
    "client.userAgent.rawUserAgent": "okta.client.user_agent.raw_user_agent",
    "client.zone": "okta.client.zone",
    "device": "okta.device",
    "outcome.reason": "okta.outcome.reason",
    "outcome.result": "okta.outcome.result",
    "request.ipChain": "okta.request.ip_chain",
    "target": "okta.target",
    "transaction.id": "okta.transaction.id",
    "transaction.type": "okta.transaction.type",
    "authenticationContext.credentialProvider": "okta.authentication_context.credential_provider",
    "authenticationContext.credentialType": "okta.authentication_context.credential_type",
    "authenticationContext.externalSessionId": "okta.authentication_context.external_session_id",
    "securityContext.asNumber": "okta.security_context.as.number",
    "securityContext.asOrg": "okta.security_context.as.organization.name",
    "securityContext.domain": "okta.security_context.domain",
    "securityContext.isProxy": "okta.security_context.is_proxy",
    "securityContext.isp": "okta.security_context.isp",
}


def okta_document(record: Record, parsed: bool = True) -> dict[str, Any]:
    """An event of the System Log in `logs-okta.system-*`. `parsed` is false for versions of the
    integration that leave the tunnels as text."""
    event = _without_nothing(nested(record.values))
    found: dict[str, Any] = {}
    for source, target in _OKTA_MOVED.items():
        move_at(event, source, found, target)
    address = get_at(event, "client.ipAddress")
    if address is not None and parse_ip(str(address)) is not None:
        for name in ("okta.client.ip", "client.ip", "source.ip"):
            put_at(found, name, address)
    event_type = get_at(found, "okta.event_type")
    if event_type is not None:
        put_at(found, "event.action", event_type)
    target = get_at(found, "okta.target")
    if isinstance(target, dict):
        for old, new in (("alternateId", "alternate_id"), ("displayName", "display_name")):
            if old in target:
                target[new] = target.pop(old)
        target.pop("detailEntry", None)
    debug = get_at(event, "debugContext.debugData")
    if isinstance(debug, dict):
        put_at(found, "okta.debug_context.debug_data", debug_data(debug, parsed))
    _look_up(record, found)
    return found | _stamp(record, "okta.system")


def signin_document(record: Record) -> dict[str, Any]:
    """A sign-in of Entra ID in `logs-azure.signinlogs-*`."""
    event = snake_case(diagnostic_record(nested(record.values)))
    inner: dict[str, Any] = event["properties"]
    found: dict[str, Any] = {"azure": {"signinlogs": event}}
    address = inner.pop("ip_address", None)
    if address not in (None, ""):
        put_at(found, "source.address", address)
        if parse_ip(str(address)) is not None:
            put_at(found, "source.ip", address)
            put_at(found, "client.ip", address)
    move_at(event, "location", found, "geo.country_iso_code")
    move_at(inner, "created_date_time", inner, "created_at")
    status = inner.get("status")
    if isinstance(status, dict):
        status.pop("failure_reason", None)
        status.pop("additional_details", None)
    # City and coordinates are moved elsewhere first; the country goes.
    inner.pop("location", None)
    if "user_agent" in inner:
        put_at(found, "user_agent.original", inner.pop("user_agent"))
    _look_up(record, found)
    whole: dict[str, Any] = _without_nothing(found) | _stamp(record, "azure.signinlogs")
    return whole


_HUMP = re.compile(r"([a-z])([A-Z]+)")


def snake_case(value: Any) -> Any:
    """Names of an object and of those in it as the pipeline of Entra's sign-ins spells them."""
    if isinstance(value, dict):
        return {_HUMP.sub(r"\1_\2", name).lower(): snake_case(one) for name, one in value.items()}
    return [snake_case(one) for one in value] if isinstance(value, list) else value


_GOOGLE_MOVED = {
    "events.name": "event.action",
    "events.type": "google_workspace.event.type",
    "actor.email": "source.user.email",
    "actor.profileId": "source.user.id",
    "actor.callerType": "google_workspace.actor.type",
    "actor.key": "google_workspace.actor.key",
    "id.applicationName": "event.provider",
    "id.customerId": "organization.id",
    "kind": "google_workspace.kind",
    "ownerDomain": "google_workspace.organization.domain",
}


def google_document(record: Record) -> dict[str, Any]:
    """A login event of Google Workspace in `logs-google_workspace.login-*`."""
    event = nested(record.values)
    found: dict[str, Any] = {}
    for source, target in _GOOGLE_MOVED.items():
        move_at(event, source, found, target)
    address = get_at(event, "ipAddress")
    if address is not None and parse_ip(str(address)) is not None:
        put_at(found, "source.ip", address)
    for name, value in (get_at(event, "events.parameters") or {}).items():
        # The name of a parameter is a name and no path.
        put_at(found, "google_workspace.login", {})
        found["google_workspace"]["login"][name.removeprefix("login_")] = value
    _look_up(record, found)
    return found | _stamp(record, "google_workspace.login")


def _look_up(record: Record, found: dict[str, Any]) -> None:
    """The network of the address, in a database of Elastic's there, as the record has it here."""
    value = record.values.get(NETWORK)
    if value is not None:
        put_at(found, NETWORK, list(value) if isinstance(value, tuple) else value)


def _stamp(record: Record, dataset: str) -> dict[str, Any]:
    return {"@timestamp": iso(record), "data_stream": {"dataset": dataset}}


def _without_nothing(value: Any) -> Any:
    """Without null, empty texts, and what holds nothing else, at every depth."""
    if isinstance(value, dict):
        kept = {name: _without_nothing(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in (None, "", {}, [])}
    if isinstance(value, list):
        kept_items = [_without_nothing(one) for one in value]
        return [one for one in kept_items if one not in (None, "", {}, [])]
    return value
