"""The CSV that the portal of Microsoft Entra ID downloads: records become sign-ins again.

Microsoft names the columns after the portal's (https://learn.microsoft.com/entra/identity/
monitoring-health/concept-sign-in-log-activity-details) and documents no list of the file's. Those
that are read here are the ones that public programs expect in it (for one
https://github.com/bitpusher2k, ProcessEntraSignInLog.ps1 2.9).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from ..records import Locator
from .flat import moment
from .wrapping import Trap, Unwrapped

KEYS = ("Date (UTC)",)
MARKS = (b'"Date (UTC)"',)
TIME, ACCOUNT = "Date (UTC)", "Username"

LOST = Trap(
    "the portal's CSV lacks the risks and the authenticator's device of a sign-in",
    "rules on them cannot fire; download JSON, or use Microsoft Graph or diagnostic settings",
)
TIMELESS = Trap(
    "times of this CSV are not in ISO 8601", "set the portal to English (US) and download it again"
)
# Column to Graph's name, by way of which all sign-ins go.
_PLAIN = {
    "Request ID": "id",
    TIME: "createdDateTime",
    "User agent": "userAgent",
    "Correlation ID": "correlationId",
    "User ID": "userId",
    "User": "userDisplayName",
    ACCOUNT: "userPrincipalName",
    "Cross tenant access type": "crossTenantAccessType",
    "Incoming token type": "incomingTokenType",
    "Authentication Protocol": "authenticationProtocol",
    "Unique token identifier": "uniqueTokenIdentifier",
    "Original transfer method": "originalTransferMethod",
    "Application": "appDisplayName",
    "Application ID": "appId",
    "Resource": "resourceDisplayName",
    "Resource ID": "resourceId",
    "Resource tenant ID": "resourceTenantId",
    "Home tenant ID": "homeTenantId",
    "Home tenant name": "homeTenantName",
    "IP address": "ipAddress",
    "Client app": "clientAppUsed",
    "Sign-in identifier": "signInIdentifier",
    "Session ID": "sessionId",
    "IP address (seen by resource)": "ipAddressFromResourceProvider",
    "Autonomous system number": "autonomousSystemNumber",
    "Token issuer name": "tokenIssuerName",
}
_DEVICE = {
    "Device ID": "deviceId",
    "Browser": "browser",
    "Operating System": "operatingSystem",
    "Compliant": "isCompliant",
    "Managed": "isManaged",
    "Join Type": "trustType",
}
# Where the portal shows another word than the log has.
_WORDS = {
    "Authentication requirement": (
        "authenticationRequirement",
        {
            "multifactor authentication": "multiFactorAuthentication",
            "single-factor authentication": "singleFactorAuthentication",
        },
    ),
    "Conditional Access": (
        "conditionalAccessStatus",
        {"success": "success", "failure": "failure", "not applied": "notApplied"},
    ),
    "User type": ("userType", {"member": "member", "guest": "guest"}),
}
_TRUTH = {"yes": True, "true": True, "no": False, "false": False}


def claims(document: Mapping[str, Any]) -> bool:
    """Whether this is a record of that CSV with an account; services have none."""
    return TIME in document and ACCOUNT in document


def unwrap(document: Mapping[str, Any], where: Locator) -> Unwrapped:
    """The sign-in in Graph's names, as far as the CSV has it."""
    record = {" ".join(column.split()): cell for column, cell in document.items()}
    found = {name: record[column] for column, name in _PLAIN.items() if column in record}
    # An empty cell is left out, but a sign-in without an address is one.
    found.setdefault("ipAddress", None)
    for column, (name, words) in _WORDS.items():
        if column in record:
            found[name] = words.get(str(record[column]).lower(), record[column])
    found["deviceDetail"] = dict(_device(record))
    found["location"] = _location(str(record.get("Location", "")))
    found["status"] = _status(record)
    interactive = _interactive(where.file)
    if interactive is not None:
        found["isInteractive"] = interactive
    timeless = () if moment(record[TIME]) is not None else (TIMELESS,)
    return Unwrapped((found,), (LOST, *timeless))


def _device(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for column, name in _DEVICE.items():
        if column in record:
            cell = record[column]
            yield name, _TRUTH.get(str(cell).lower(), cell) if name.startswith("is") else cell


def _location(text: str) -> dict[str, str]:
    """`Columbus, Ohio, US`: the country stands last; cities may hold commas."""
    parts = [part.strip() for part in text.rsplit(",", 2)]
    names = ("city", "state", "countryOrRegion")[-len(parts) :]
    return {name: part for name, part in zip(names, parts, strict=True) if part}


def _status(record: Mapping[str, Any]) -> dict[str, Any]:
    code = str(record.get("Sign-in error code", ""))
    found: dict[str, Any] = {}
    if code.isascii() and code.isdigit():
        found["errorCode"] = int(code)
    elif str(record.get("Status", "")).lower() == "success":
        found["errorCode"] = 0
    if "Failure reason" in record:
        found["failureReason"] = record["Failure reason"]
    return found


def _interactive(file: str) -> bool | None:
    """What the name of the download says: `InteractiveSignIns_2026-11-09.csv`."""
    name = PurePath(file).name.casefold()
    if "noninteractive" in name:
        return False
    return True if "interactive" in name else None
