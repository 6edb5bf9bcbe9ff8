"""How Elastic's integrations keep the sign-in logs of Okta, Entra ID and Google Workspace.

Read in elastic/integrations: `elasticsearch/ingest_pipeline/default.yml` and `fields/fields.yml` of
packages/okta/data_stream/system, packages/azure/data_stream/signinlogs and
packages/google_workspace/data_stream/login (Okta from 1.21 on, which has `okta.device`).
What the pipelines do to an event is in `ingested.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..searching.layout import Kept, SignIns
from .ingested import google_document, okta_document, signin_document

NETWORK_DATABASE = "network_database"
"""A code of reviewed.yml."""

_NETWORK = Kept("source.as.number", "long", NETWORK_DATABASE)

_OKTA = {
    "eventType": Kept("okta.event_type"),
    "outcome.result": Kept("okta.outcome.result"),
    "outcome.reason": Kept("okta.outcome.reason"),
    "actor.alternateId": Kept("okta.actor.alternate_id"),
    "actor.id": Kept("okta.actor.id"),
    "target.alternateId": Kept("okta.target.alternate_id"),
    "client.ipAddress": Kept("okta.client.ip", "ip"),
    "client.device": Kept("okta.client.device"),
    "client.userAgent.os": Kept("okta.client.user_agent.os"),
    "client.userAgent.browser": Kept("okta.client.user_agent.browser"),
    "client.userAgent.rawUserAgent": Kept("okta.client.user_agent.raw_user_agent"),
    "device.id": Kept("okta.device.id"),
    "device.managed": Kept("okta.device.managed", "boolean"),
    "authenticationContext.externalSessionId": Kept(
        "okta.authentication_context.external_session_id"
    ),
    "securityContext.asNumber": Kept("okta.security_context.as.number", "long"),
    "securityContext.asOrg": Kept("okta.security_context.as.organization.name"),
    "securityContext.isProxy": Kept("okta.security_context.is_proxy", "boolean"),
    "source.as.number": _NETWORK,
}
_OKTA_LOST = {
    "debugContext.debugData.tunnels": (
        "the pipeline keeps it in a field of the type flattened, where no part of a text can be"
        " looked for, and newer versions take its JSON apart"
    ),
}

_SIGNINS = "azure.signinlogs.properties."
_AZURE = {
    "ResultType": Kept("azure.signinlogs.result_type"),
    "IPAddress": Kept("source.ip", "ip"),
    "UserPrincipalName": Kept(_SIGNINS + "user_principal_name"),
    "AppDisplayName": Kept(_SIGNINS + "app_display_name"),
    "ClientAppUsed": Kept(_SIGNINS + "client_app_used"),
    "IsInteractive": Kept(_SIGNINS + "is_interactive", "boolean"),
    "RiskEventTypes": Kept(_SIGNINS + "risk_event_types"),
    "RiskEventTypes_V2": Kept(_SIGNINS + "risk_event_types_v2"),
    "RiskState": Kept(_SIGNINS + "risk_state"),
    "DeviceDetail.isManaged": Kept(_SIGNINS + "device_detail.is_managed", "boolean"),
    "DeviceDetail.operatingSystem": Kept(_SIGNINS + "device_detail.operating_system"),
    "AuthenticationAppDeviceDetails.deviceId": Kept(
        _SIGNINS + "authentication_app_device_details.device_id"
    ),
    "source.as.number": _NETWORK,
}
_CREATED = _SIGNINS + "created_at"
_AZURE_LOST = {
    "LocationDetails.countryOrRegion": "the pipeline removes it; the country that it keeps is that"
    " of the outer record, which may be another",
}

_GOOGLE = {
    "events.name": Kept("event.action"),
    "events.type": Kept("google_workspace.event.type"),
    "actor.email": Kept("source.user.email"),
    "ipAddress": Kept("source.ip", "ip"),
    "source.as.number": _NETWORK,
}


def _properties(fields: Mapping[str, Kept]) -> dict[str, Any]:
    """The mapping as the package's fields have it; Fleet gives keywords `ignore_above`."""
    keyword = {"type": "keyword", "ignore_above": 1024}
    found: dict[str, dict[str, Any]] = {
        one.name: {"type": one.type} for one in fields.values() if one.type != "keyword"
    }
    found |= {one.name: keyword for one in fields.values() if one.type == "keyword"}
    # The packages have a constant_keyword, which answers a term query the same way.
    return dict(sorted(found.items())) | {"data_stream.dataset": {"type": "keyword"}}


def _guard(dataset: str, *there: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"term": {"data_stream.dataset": dataset}}]
    parts += [{"exists": {"field": name}} for name in there]
    return parts[0] if len(parts) == 1 else {"bool": {"filter": parts}}


SIGN_INS = {
    "okta": SignIns(
        "okta",
        "logs-okta.system-*",
        "okta.actor.alternate_id",
        _guard("okta.system"),
        _OKTA,
        _OKTA_LOST,
        _properties(_OKTA),
        okta_document,
    ),
    # Sign-ins of programs come into the same index; they have no user.
    "azure": SignIns(
        "azure",
        "logs-azure.signinlogs-*",
        _SIGNINS + "user_principal_name",
        _guard("azure.signinlogs", _SIGNINS + "user_principal_name"),
        _AZURE,
        _AZURE_LOST,
        _properties(_AZURE) | {_CREATED: {"type": "date"}},
        signin_document,
        _CREATED,
        frozenset([_SIGNINS + "authentication_app_device_details.device_id"]),
    ),
    "google_workspace": SignIns(
        "google_workspace",
        "logs-google_workspace.login-*",
        "source.user.email",
        _guard("google_workspace.login"),
        _GOOGLE,
        {},
        _properties(_GOOGLE),
        google_document,
    ),
}
"""By the name of the source in `rules/taxonomy.yml`."""
