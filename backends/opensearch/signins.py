"""How OpenSearch keeps the sign-in logs of Okta and Entra ID: as their services write them.

No integration for them is in OpenSearch's distribution, so that what is asked for is the event
itself, one a document, below `okta-*` and `entra-signins-*`:

- Okta: the `LogEvent` object of the System Log API
  (<https://developer.okta.com/docs/api/openapi/okta-management/management/tag/SystemLog/>);
- Entra ID: the record of the diagnostic settings (`searching/events.py`), one of its `records`.

Names are the logs' own. Objects in a list are not kept apart ("Object field type" in OpenSearch's
documentation), as in molehunt's reader. A truth value is kept as a keyword, its word: a field of
the type `boolean` refuses events with another text there and reads an empty one as false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from molehunt.detectors.records import Record
from molehunt.joins import NETWORK

from ..searching.documents import iso
from ..searching.events import diagnostic_name, diagnostic_record, nested, put_at
from ..searching.layout import Kept, SignIns
from .templates import KEYWORD, index_template

# Code of reviewed.yml.
NETWORK_DATABASE = "network_database"

_OKTA_TEXTS = (
    "eventType", "displayMessage", "severity", "legacyEventType", "uuid",
    "actor.id", "actor.type", "actor.alternateId", "actor.displayName",
    "client.id", "client.device", "client.zone",
    "client.geographicalContext.city", "client.geographicalContext.state",
    "client.geographicalContext.country", "client.geographicalContext.postalCode",
    "client.userAgent.browser", "client.userAgent.os", "client.userAgent.rawUserAgent",
    "device.id", "device.name", "device.managed", "device.registered",
    "outcome.result", "outcome.reason",
    "target.id", "target.type", "target.alternateId", "target.displayName",
    "authenticationContext.authenticationProvider", "authenticationContext.credentialProvider",
    "authenticationContext.credentialType", "authenticationContext.externalSessionId",
    "authenticationContext.rootSessionId",
    "securityContext.asOrg", "securityContext.isp", "securityContext.domain",
    "securityContext.isProxy",
    "debugContext.debugData.behaviors", "debugContext.debugData.risk",
    "debugContext.debugData.tunnels",
    "transaction.id", "transaction.type",
)  # fmt: skip
_OKTA = {
    **{name: Kept(name) for name in _OKTA_TEXTS},
    "client.ipAddress": Kept("client.ipAddress", "ip"),
    "request.ipChain.ip": Kept("request.ipChain.ip", "ip"),
    "securityContext.asNumber": Kept("securityContext.asNumber", "long"),
    NETWORK: Kept("securityContext.asNumber", "long", NETWORK_DATABASE),
}
# Nothing that a rule asks; names there are anybody's, and could be too many, or refuse an event.
_LEFT = {"type": "object", "enabled": False}
_OKTA_LEFT: Mapping[str, Any] = {
    "actor.detailEntry": _LEFT,
    "target.detailEntry": _LEFT,
    "transaction.detail": _LEFT,
    "debugContext.debugData": {"dynamic": "false"},
}

_AZURE_TEXTS = (
    "Category", "OperationName", "ResultType", "ResultDescription", "Location",
    "UserPrincipalName", "UserDisplayName", "UserId", "UserType",
    "AppId", "AppDisplayName", "ResourceDisplayName", "ClientAppUsed", "UserAgent",
    "IsInteractive", "ConditionalAccessStatus", "AuthenticationRequirement", "CorrelationId",
    "RiskDetail", "RiskEventTypes", "RiskEventTypes_V2", "RiskLevelAggregated",
    "RiskLevelDuringSignIn", "RiskState", "SessionId",
    "DeviceDetail.deviceId", "DeviceDetail.displayName", "DeviceDetail.operatingSystem",
    "DeviceDetail.browser", "DeviceDetail.isManaged", "DeviceDetail.isCompliant",
    "DeviceDetail.trustType", "AuthenticationAppDeviceDetails.deviceId",
    "LocationDetails.city", "LocationDetails.state", "LocationDetails.countryOrRegion",
)  # fmt: skip
_NUMBER = diagnostic_name("AutonomousSystemNumber")
_AZURE = {
    **{name: Kept(diagnostic_name(name)) for name in _AZURE_TEXTS},
    "IPAddress": Kept(diagnostic_name("IPAddress"), "ip"),
    "AutonomousSystemNumber": Kept(_NUMBER, "long"),
    NETWORK: Kept(_NUMBER, "long", NETWORK_DATABASE),
}
_USER, _CREATED = diagnostic_name("UserPrincipalName"), diagnostic_name("CreatedDateTime")

# A number or truth value under a name that is not known may be a text in the next event.
_NUMERIC = {"type": "double", "ignore_malformed": True}
_DYNAMIC: tuple[Mapping[str, Any], ...] = (
    {"strings": {"match_mapping_type": "string", "mapping": KEYWORD}},
    {"truths": {"match_mapping_type": "boolean", "mapping": KEYWORD}},
    {"wholes": {"match_mapping_type": "long", "mapping": _NUMERIC}},
    {"numbers": {"match_mapping_type": "double", "mapping": _NUMERIC}},
)


def _properties(
    fields: Mapping[str, Kept], happened: str, left: Mapping[str, Any]
) -> dict[str, Any]:
    """The mapping: `@timestamp`, known fields by type, and what is left alone."""
    found: dict[str, Any] = {"@timestamp": {"type": "date"}}
    for one in fields.values():
        typed = {"type": one.type, "ignore_malformed": True}
        _map(found, one.name, KEYWORD if one.type == "keyword" else typed)
    _map(found, happened, {"type": "date", "ignore_malformed": True})
    for name, value in left.items():
        _map(found, name, value)
    return found


def _map(properties: dict[str, Any], name: str, value: Mapping[str, Any]) -> None:
    put_at(properties, name.replace(".", ".properties."), dict(value))


def okta_document(record: Record) -> dict[str, Any]:
    """An event of the System Log."""
    return nested(record.values) | {"@timestamp": iso(record)}


def entra_document(record: Record) -> dict[str, Any]:
    """A record of the diagnostic settings."""
    return diagnostic_record(nested(record.values)) | {"@timestamp": iso(record)}


def _guard(*there: str, more: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    return {"bool": {"filter": [*more, *({"exists": {"field": name}} for name in there)]}}


# As the reader has it: those of users who were not asked, and of ADFS, have names that end so.
_SIGN_IN = {"wildcard": {"category": {"value": "*SignInLogs*"}}}


SIGN_INS = {
    "okta": SignIns(
        "okta",
        "okta-*",
        "actor.alternateId",
        _guard("eventType", "published"),
        _OKTA,
        _properties(_OKTA, "published", _OKTA_LEFT),
        okta_document,
        "published",
    ),
    # The same settings may write sign-ins of programs, which have no user, and users at risk.
    "azure": SignIns(
        "entra",
        "entra-signins-*",
        _USER,
        _guard(_USER, _CREATED, more=[_SIGN_IN]),
        _AZURE,
        _properties(_AZURE, _CREATED, {}),
        entra_document,
        _CREATED,
    ),
}
"""By the name of the source in `rules/taxonomy.yml`."""


def signin_template(source: SignIns) -> Mapping[str, Any]:
    """The index template of a log."""
    return index_template(source.index, _DYNAMIC, source.properties)
