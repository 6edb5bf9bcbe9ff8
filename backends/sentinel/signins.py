"""The sign-in logs that Sentinel keeps in tables whose form is public: those of Entra ID, Okta and
Google Workspace.

- `SigninLogs` and `AADNonInteractiveUserSignInLogs`: Microsoft's reference of the tables
  (<https://learn.microsoft.com/azure/azure-monitor/reference/tables/signinlogs>). What is an object
  in the one is the text of an object in the other.
- `OktaV2_CL`: the table and the transformation of Microsoft's connector "Okta Single Sign-On"
  (OktaSSOv2_Tables.json and OktaSSOv2_DCR.json below
  <https://github.com/Azure/Azure-Sentinel/tree/1095f2df5f2c8237174fcb9e78d891a11b3d676e/Solutions/Okta%20Single%20Sign-On/Data%20Connectors>).
  Its stream declares what it takes of an event, and `device` is not among it; `target` and
  `request` are kept as they were (`OriginalTarget`, `Request`).
- `GoogleWorkspaceReports`: the connector "Google Workspace Activities (via Codeless Connector
  Framework)", whose table Microsoft's tests of queries declare
  (.script/tests/KqlvalidationsTests/CustomTables/GoogleWorkspaceReports.json below
  <https://github.com/Azure/Azure-Sentinel/tree/b7ff8d0e67da29699c4c670805c47842b06810df>).
  Each event of an activity is a row. What stands in `EventParameters` beside the columns, and in
  which form, is said nowhere.
- The session of a sign-in is a column of `AADNonInteractiveUserSignInLogs` there
  (CustomTables/AADNonInteractiveUserSignInLogs.json at
  6cc10fd7858c82a023e98aea272e1138717cda2c), and in no public list of those of `SigninLogs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from molehunt.detectors.matching.fields import Place

from ..kusto.kqlobjects import objects_text
from ..kusto.kqltext import literal
from ..kusto.kqlwhere import Read
from ..model import Unsayable

# Codes of reviewed.yml.
NETWORK_DATABASE, UNDOCUMENTED = "network_database", "undocumented_column"
ARRIVED = "ingestion_time()"
TEXT = frozenset(
    "AppDisplayName AppId AutonomousSystemNumber Category ClientAppUsed ConditionalAccessStatus"
    " CorrelationId Id Identity IPAddress Location ResultDescription ResultSignature ResultType"
    " RiskDetail RiskLevelAggregated RiskLevelDuringSignIn RiskState UserAgent UserDisplayName"
    " UserId UserPrincipalName UserType".split()
)
OBJECTS = frozenset("DeviceDetail LocationDetails MfaDetail Status".split())
LISTS = frozenset(["RiskEventTypes", "RiskEventTypes_V2"])
BOOLEANS = frozenset(["IsInteractive"])
# Stands in exports of workspaces and not in Microsoft's reference of the table.
MFA_DEVICE = "AuthenticationAppDeviceDetails"
SESSION = "SessionId"

_TIMES = {"TimeGenerated": "datetime", "CreatedDateTime": "datetime"}
_ENTRA = {
    **_TIMES,
    **dict.fromkeys(sorted(TEXT | LISTS), "string"),
    **dict.fromkeys(sorted(BOOLEANS), "bool"),
    "_ItemId": "string",
}
# Where the transformation of the connector puts a part of the event, and its type there.
OKTA = {
    "actor.alternateId": ("OriginalActorAlternateId", "string"),
    "actor.displayName": ("ActorDisplayName", "string"),
    "actor.id": ("OriginalUserId", "string"),
    "actor.type": ("OriginalUserType", "string"),
    "authenticationContext.externalSessionId": ("ActorSessionId", "string"),
    "client.device": ("OriginalClientDevice", "string"),
    "client.geographicalContext.city": ("SrcGeoCity", "string"),
    "client.geographicalContext.country": ("SrcGeoCountry", "string"),
    "client.geographicalContext.state": ("SrcGeoRegion", "string"),
    "client.ipAddress": ("SrcIpAddr", "string"),
    "client.userAgent.browser": ("ActingAppName", "string"),
    "client.userAgent.os": ("SrcDvcOs", "string"),
    "client.userAgent.rawUserAgent": ("HttpUserAgent", "string"),
    "client.zone": ("SrcZone", "string"),
    "displayMessage": ("EventMessage", "string"),
    "eventType": ("EventOriginalType", "string"),
    "outcome.reason": ("EventOriginalResultDetails", "string"),
    "outcome.result": ("OriginalOutcomeResult", "string"),
    "securityContext.asNumber": ("SecurityContextAsNumber", "int"),
    "securityContext.asOrg": ("SecurityContextAsOrg", "string"),
    "securityContext.domain": ("SecurityContextDomain", "string"),
    "securityContext.isp": ("SrcIsp", "string"),
    "securityContext.isProxy": ("SecurityContextIsProxy", "bool"),
    "transaction.id": ("TransactionId", "string"),
    "transaction.type": ("TransactionType", "string"),
    "uuid": ("EventOriginalUid", "string"),
}
# Lists of objects: the column, the path in it, and the names that texts have in the objects.
OKTA_OBJECTS = {
    "target": ("OriginalTarget", "", ("alternateId", "displayName", "id", "type")),
    "request.ipChain": ("Request", "ipChain", ("ip", "version")),
}
GOOGLE = {
    "actor.email": ("ActorEmail", "string"),
    "actor.profileId": ("ActorProfileId", "string"),
    "events.name": ("EventName", "string"),
    "events.parameters.is_second_factor": ("IsSecondFactor", "bool"),
    "events.parameters.is_suspicious": ("IsSuspicious", "bool"),
    "events.parameters.login_type": ("LoginType", "string"),
    "events.type": ("EventType", "string"),
    "id.applicationName": ("IdApplicationName", "string"),
    "ipAddress": ("SrcIpAddr", "string"),
}
_DEBUG = "debugContext.debugData."


@dataclass(frozen=True, slots=True)
class Log:
    """A sign-in log in a workspace.

    `tables` have columns with their types, as far as they are used. `happened` is the time of the
    event, `entities` the columns of account and address. `read(name, differences)` tells where a
    field of the log is; it raises `Unsayable`. `only` is a filter on the rows of the tables.
    """

    tables: Mapping[str, Mapping[str, str]]
    happened: str
    account: str
    entities: Mapping[str, str]
    connector: Mapping[str, Any]
    read: Callable[[str, set[str]], Read]
    only: str = ""

    def source(self, more: str) -> str:
        """All rows of all tables, each with what `more` does to it first."""
        more = self.only + more
        if len(self.tables) == 1:
            (name,) = self.tables
            return f"{name}\n{more}"
        # What a column of unlike types is called after a union is nothing to rely on.
        return "union isfuzzy=true\n" + ",\n".join(f"({name}\n{more})" for name in self.tables)

    def reader(self, read: dict[str, str], differences: set[str]) -> Callable[[Place], Read | None]:
        """Where a value is, under a short name that `read` collects."""

        def one(place: Place) -> Read | None:
            if place.kind == "absent":
                return None
            if place.kind != "column":
                raise Unsayable("no_column", f"the log has no {place.name}")
            found = self.read(place.name, differences)
            plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in place.name)
            name = f"c_{plain}"
            if found.key:
                name = name.removesuffix(f"_{found.key}")
            if read.setdefault(name, found.expression) != found.expression:
                raise Unsayable("names", f"two columns would be called {name}")
            return Read(name, found.listed, found.key)

        return one


def extended(read: Mapping[str, str]) -> str:
    """The columns that are read, under their short names."""
    return "| extend " + ", ".join(f"{name} = {value}" for name, value in sorted(read.items()))


def log_query(log: Log, read: Mapping[str, str], test: str, new: str = "") -> str:
    """The rows of a log that meet a test. `new` is a filter on when they came in, which is a
    property of the tables."""
    return f"{log.source(new + extended(read))}\n| where {test}"


def _entra(name: str, differences: set[str]) -> Read:
    head, _, rest = name.partition(".")
    if name == "source.as.number":
        differences.add(NETWORK_DATABASE)
        return Read("tostring(AutonomousSystemNumber)")
    if head in LISTS and not rest:
        return Read(f"tostring({head})", listed=True)
    if rest and (head in OBJECTS or head == MFA_DEVICE):
        column = head
        if head == MFA_DEVICE:
            differences.add(UNDOCUMENTED)
            column = f'column_ifexists("{head}", "")'
        return Read(_inside(column, rest))
    if name == SESSION:
        differences.add(UNDOCUMENTED)
        return Read(f'tostring(column_ifexists("{SESSION}", ""))')
    if head in TEXT | BOOLEANS and not rest:
        return Read(f"tostring({head})")
    raise Unsayable("no_column", f"SigninLogs has no column for {name}")


def _okta(name: str, differences: set[str]) -> Read:
    if name == "source.as.number":
        differences.add(NETWORK_DATABASE)
        return Read("tostring(SecurityContextAsNumber)")
    if name.partition(".")[0] == "device":
        raise Unsayable("lost_field", f"the connector does not take {name} of an event")
    if name.startswith(_DEBUG):
        return Read(_inside("DebugData", name.removeprefix(_DEBUG)))
    if name in OKTA:
        return Read(f"tostring({OKTA[name][0]})")
    for head, (column, path, keys) in OKTA_OBJECTS.items():
        key = name.removeprefix(f"{head}.")
        if key in keys:
            inside = f"parse_json(tostring({column}))[{literal(path)}]" if path else column
            return Read(objects_text(inside), key=key)
    raise Unsayable("no_column", f"OktaV2_CL has no column for {name}")


def _google(name: str, _differences: set[str]) -> Read:
    if name in GOOGLE:
        return Read(f"tostring({GOOGLE[name][0]})")
    if name.startswith("events.parameters."):
        raise Unsayable("lost_field", f"{name} has no column, and how others are kept is not said")
    raise Unsayable("no_column", f"GoogleWorkspaceReports has no column for {name}")


def _inside(column: str, path: str) -> str:
    """A value in an object, be it one or its text."""
    return f"tostring(parse_json(tostring({column}))" + (
        "".join(f"[{literal(part)}]" for part in path.split(".")) + ")"
    )


LOGS = {
    "azure": Log(
        {
            "SigninLogs": _ENTRA | dict.fromkeys(sorted(OBJECTS), "dynamic"),
            "AADNonInteractiveUserSignInLogs": _ENTRA | dict.fromkeys(sorted(OBJECTS), "string"),
        },
        "coalesce(CreatedDateTime, TimeGenerated)",
        "UserPrincipalName",
        {"Account": "UserPrincipalName", "IP": "IPAddress"},
        {
            "connectorId": "AzureActiveDirectory",
            "dataTypes": ["SigninLogs", "AADNonInteractiveUserSignInLogs"],
        },
        _entra,
    ),
    "okta": Log(
        {
            "OktaV2_CL": {
                "TimeGenerated": "datetime",
                **dict(OKTA.values()),
                "DebugData": "dynamic",
                **{column: "dynamic" for column, _, _ in OKTA_OBJECTS.values()},
                "_ItemId": "string",
            }
        },
        "TimeGenerated",
        "actor.alternateId",
        {"Account": "OriginalActorAlternateId", "IP": "SrcIpAddr"},
        {"connectorId": "OktaSSOv2", "dataTypes": ["OktaV2_CL"]},
        _okta,
    ),
    "google_workspace": Log(
        {
            "GoogleWorkspaceReports": {
                "TimeGenerated": "datetime",
                "IdTime": "string",
                **dict(GOOGLE.values()),
                "_ItemId": "string",
            }
        },
        "coalesce(todatetime(IdTime), TimeGenerated)",
        "actor.email",
        {"Account": "ActorEmail", "IP": "SrcIpAddr"},
        {
            "connectorId": "GoogleWorkspaceCCPDefinition",
            "dataTypes": ["GoogleWorkspaceReports"],
        },
        _google,
        '| where IdApplicationName == "login"\n',
    ),
}
"""By the name of the store in `rules/taxonomy.yml`."""
