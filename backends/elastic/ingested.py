"""What the ingest pipelines of Elastic's integrations make of a sign-in event.

Written after the text of the pipelines (`signins.py` says which), step by step for what becomes of
each name; steps that only add (geography, categories, related users) are left out. The records
have the events with dotted names, from which the nested event is put together again first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from molehunt.detectors.records import Record
from molehunt.joins import NETWORK
from molehunt.normalise import parse_ip
from molehunt.taxonomy import ENRICHED_FIELDS

from ..searching.documents import iso
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
        _move(event, source, found, target)
    address = _get(event, "client.ipAddress")
    if address is not None and parse_ip(str(address)) is not None:
        for name in ("okta.client.ip", "client.ip", "source.ip"):
            _put(found, name, address)
    event_type = _get(found, "okta.event_type")
    if event_type is not None:
        _put(found, "event.action", event_type)
    target = _get(found, "okta.target")
    if isinstance(target, dict):
        for old, new in (("alternateId", "alternate_id"), ("displayName", "display_name")):
            if old in target:
                target[new] = target.pop(old)
        target.pop("detailEntry", None)
    debug = _get(event, "debugContext.debugData")
    if isinstance(debug, dict):
        _put(found, "okta.debug_context.debug_data", debug_data(debug, parsed))
    _look_up(record, found)
    return found | _stamp(record, "okta.system")


# Entra ID: the columns of the SigninLogs table that do not only begin with a small letter in the
# record of the diagnostic settings.
_DIAGNOSTIC = {
    "IPAddress": "ipAddress",
    "LocationDetails": "location",
    "RiskEventTypes_V2": "riskEventTypes_v2",
    "ResourceIdentity": "resourceId",
}
_OUTER = {
    "ResultType": "resultType",
    "ResultDescription": "resultDescription",
    "OperationName": "operationName",
    "Location": "location",
}


def signin_document(record: Record) -> dict[str, Any]:
    """A sign-in of Entra ID in `logs-azure.signinlogs-*`."""
    event = snake_case(diagnostic_record(nested(record.values)))
    inner: dict[str, Any] = event["properties"]
    found: dict[str, Any] = {"azure": {"signinlogs": event}}
    address = inner.pop("ip_address", None)
    if address not in (None, ""):
        _put(found, "source.address", address)
        if parse_ip(str(address)) is not None:
            _put(found, "source.ip", address)
            _put(found, "client.ip", address)
    _move(event, "location", found, "geo.country_iso_code")
    _move(inner, "created_date_time", inner, "created_at")
    status = inner.get("status")
    if isinstance(status, dict):
        status.pop("failure_reason", None)
        status.pop("additional_details", None)
    # City and coordinates are moved elsewhere first; the country goes.
    inner.pop("location", None)
    if "user_agent" in inner:
        _put(found, "user_agent.original", inner.pop("user_agent"))
    _look_up(record, found)
    whole: dict[str, Any] = _without_nothing(found) | _stamp(record, "azure.signinlogs")
    return whole


def diagnostic_record(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The record as Entra's diagnostic settings write it."""
    outer: dict[str, Any] = {"category": "SignInLogs"}
    inner: dict[str, Any] = {}
    for name, value in columns.items():
        if name in _OUTER:
            # Texts there; only `status.errorCode` is a number.
            outer[_OUTER[name]] = str(value) if name == "ResultType" else value
        else:
            inner[_DIAGNOSTIC.get(name, name[:1].lower() + name[1:])] = value
    return outer | {"properties": inner}


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
        _move(event, source, found, target)
    address = _get(event, "ipAddress")
    if address is not None and parse_ip(str(address)) is not None:
        _put(found, "source.ip", address)
    for name, value in (_get(event, "events.parameters") or {}).items():
        # The name of a parameter is a name and no path.
        _put(found, "google_workspace.login", {})
        found["google_workspace"]["login"][name.removeprefix("login_")] = value
    _look_up(record, found)
    return found | _stamp(record, "google_workspace.login")


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The event behind dotted names, without what was added to it. Several values under one name
    stay a list there, as a store that flattens lists of objects reads them the same way."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in ENRICHED_FIELDS:
            _put(found, name, list(value) if isinstance(value, tuple) else value)
    return found


def _look_up(record: Record, found: dict[str, Any]) -> None:
    """The network of the address, in a database of Elastic's there, as the record has it here."""
    value = record.values.get(NETWORK)
    if value is not None:
        _put(found, NETWORK, list(value) if isinstance(value, tuple) else value)


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


def _get(inside: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(inside, dict):
            return None
        inside = inside.get(part)
    return inside


def _put(inside: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    for part in way:
        step = inside.get(part)
        if not isinstance(step, dict):
            # A name that is a value and an object too: the object is kept.
            step = inside[part] = {}
        inside = step
    if not (isinstance(inside.get(last), dict) and not isinstance(value, dict)):
        inside[last] = value if not isinstance(value, dict) else {**inside.get(last, {}), **value}


def _move(source: dict[str, Any], path: str, target: dict[str, Any], new: str) -> None:
    value = _get(source, path)
    if value is not None:
        *way, last = path.split(".")
        holder = _get(source, ".".join(way)) if way else source
        holder.pop(last)
        _put(target, new, value)
