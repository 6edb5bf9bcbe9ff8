"""How Elastic's integrations keep the sign-in logs of Okta, Entra ID and Google Workspace.

Read in elastic/integrations: `elasticsearch/ingest_pipeline/default.yml` and `fields/fields.yml` of
packages/okta/data_stream/system, packages/azure/data_stream/signinlogs and
packages/google_workspace/data_stream/login (Okta from 1.21 on, which has `okta.device`).
What the pipelines do to an event is in `ingested.py`; Okta's debug data is in `debugdata.py`.

- The country of an Okta event becomes `client.geo.country_name` (Okta's pipeline at
  1dfd370d33dda20b8d657460300c4f81b148498d), which nothing overwrites: that of GeoLite2 is in
  `source.geo`.
- Entra's `properties.location` is removed, the outer `location` becomes `geo.country_iso_code`
  (Entra's pipeline at ef4cee489c70a96deda8f792df4484c15435cfbc). Microsoft calls that the country
  code from where the sign-in occurred (`Location` in
  <https://learn.microsoft.com/azure/azure-monitor/reference/tables/signinlogs>), and in the test
  events of the integration both are the same (`_dev/test/pipeline/test-signinlogs-raw.log` at
  499aca574d7301cf6339593cca6efae73f3f5b26).
- Of Google's parameters `is_suspicious` is a truth value (login's `fields.yml` and
  `_dev/test/pipeline/test-login.log-expected.json` at 20ecb2c14f28614e81ff6b61362550f66c0e1cc9;
  versions before did not keep truth values), `affected_email_address` is as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..searching.layout import Kept, SignIns
from .debugdata import (
    ADDRESS_TEXT,
    BEHAVIORS,
    CHAIN,
    DEBUG_DATA,
    FLATTENED,
    TAKEN_APART,
    behaviors,
    chain,
    risk,
    tunnels,
)
from .ingested import google_document, okta_document, signin_document

# Codes of reviewed.yml.
NETWORK_DATABASE, OUTER_PLACE = "network_database", "outer_place"

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
    "client.geographicalContext.country": Kept("client.geo.country_name"),
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
    "debugContext.debugData.behaviors": Kept(BEHAVIORS, "keyword", TAKEN_APART, behaviors),
    "debugContext.debugData.risk": Kept(FLATTENED, "flattened", TAKEN_APART, risk),
    "debugContext.debugData.tunnels": Kept(FLATTENED, "flattened", DEBUG_DATA, tunnels),
    "request.ipChain.ip": Kept(CHAIN, "flattened", ADDRESS_TEXT, chain),
    "source.as.number": _NETWORK,
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
    "LocationDetails.countryOrRegion": Kept("geo.country_iso_code", "keyword", OUTER_PLACE),
    "SessionId": Kept(_SIGNINS + "session_id"),
    "source.as.number": _NETWORK,
}
_CREATED = _SIGNINS + "created_at"

_GOOGLE = {
    "events.name": Kept("event.action"),
    "events.type": Kept("google_workspace.event.type"),
    "events.parameters.affected_email_address": Kept(
        "google_workspace.login.affected_email_address"
    ),
    "events.parameters.is_suspicious": Kept("google_workspace.login.is_suspicious", "boolean"),
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
        _properties(_AZURE) | {_CREATED: {"type": "date"}},
        signin_document,
        _CREATED,
        frozenset(
            [_SIGNINS + "authentication_app_device_details.device_id", _SIGNINS + "session_id"]
        ),
    ),
    "google_workspace": SignIns(
        "google_workspace",
        "logs-google_workspace.login-*",
        "source.user.email",
        _guard("google_workspace.login"),
        _GOOGLE,
        _properties(_GOOGLE),
        google_document,
    ),
}
"""By the name of the source in `rules/taxonomy.yml`."""
