"""Random sign-in events, as the services write them, and random rules on them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

LOGS = {
    "okta": "{product: okta, service: okta}",
    "azure": "{product: azure, service: signinlogs}",
    "google_workspace": "{product: gcp, service: google_workspace.login}",
}
WORDS = ("Windows 11", "windows", "Mac OS X", "MacOs", "Linux", "a*b", "a?b", "Éclair", "10", "x y")
ADDRESSES = ("192.0.2.7", "198.51.100.9", "::ffff:192.0.2.200", "2001:db8::7", "203.0.113.80")
NETWORKS = ("192.0.2.0/24", "198.51.100.8/30", "2001:db8::/32", "203.0.113.80/32")
NUMBERS = (0, 9, 57138, 64500)
TEXT_OPERATORS = ("", "|contains", "|startswith", "|endswith", "|re", "|cased")


def okta(rng: Random) -> dict[str, Any]:
    """A System Log event."""
    device = {"id": rng.choice(WORDS), "managed": rng.random() < 0.5, "name": "lab"}
    return {
        "eventType": rng.choice(("user.session.start", "user.session.end", "USER.session.START")),
        "published": "2026-11-03T14:00:00.000Z",
        "actor": {"alternateId": "a.lind@corp.example", "id": "00u1", "type": "User"},
        "outcome": {"result": rng.choice(("SUCCESS", "FAILURE", "success"))},
        "client": {
            "ipAddress": rng.choice(ADDRESSES),
            "userAgent": {"os": rng.choice(WORDS), "browser": "CHROME"},
        },
        "target": [
            {"alternateId": word, "type": "User"} for word in rng.sample(WORDS, rng.randint(1, 2))
        ],
        "request": {"ipChain": [{"ip": one} for one in rng.sample(ADDRESSES, rng.randint(0, 2))]},
        "securityContext": {
            "asNumber": rng.choice(NUMBERS),
            "asOrg": rng.choice(WORDS),
            "isProxy": rng.random() < 0.5,
        },
    } | ({"device": device} if rng.random() < 0.6 else {})


def azure(rng: Random) -> dict[str, Any]:
    """A record of Entra's diagnostic settings."""
    risks = ["anonymizedIPAddress", "unlikelyTravel", "generic"]
    return {
        "time": "2026-11-03T14:00:00Z",
        "category": rng.choice(("SignInLogs", "NonInteractiveUserSignInLogs")),
        "resultType": rng.choice(("0", "53003", "50126")),
        "location": "US",
        "properties": {
            "createdDateTime": "2026-11-03T14:00:00Z",
            "userPrincipalName": "a.lind@corp.example",
            "ipAddress": rng.choice(ADDRESSES),
            "isInteractive": rng.random() < 0.5,
            "appDisplayName": rng.choice(WORDS),
            "riskEventTypes_v2": rng.sample(risks, rng.randint(1, 3)),
            "location": {"city": "Columbus", "countryOrRegion": "US"},
        }
        | (
            {
                "deviceDetail": {
                    "isManaged": rng.random() < 0.5,
                    "operatingSystem": rng.choice(WORDS),
                }
            }
            if rng.random() < 0.7
            else {}
        ),
    }


def google_workspace(rng: Random) -> dict[str, Any]:
    """An activity of the login application."""
    return {
        "id": {"time": "2026-11-03T14:00:00.000Z", "applicationName": "login"},
        "actor": {"email": rng.choice(("a.lind@corp.example", "J.Rowe@corp.example"))},
        "ipAddress": rng.choice(ADDRESSES),
        "events": [
            {
                "type": "login",
                "name": rng.choice(("login_success", "login_failure")),
                "parameters": [
                    {"name": "is_suspicious", "boolValue": rng.random() < 0.5},
                    {"name": "login_type", "value": rng.choice(("google_password", "saml"))},
                ][: rng.choice((0, 1, 2, 2, 2))],
            }
        ],
    }


EVENTS = {"okta": okta, "azure": azure, "google_workspace": google_workspace}


def line(source: str, rng: Random) -> bytes:
    """An event as a line of its log."""
    return json.dumps(EVENTS[source](rng)).encode()


def rule_text(source: str, fields: dict[str, str], rng: Random, number: int) -> str:
    """A rule with two to four items over fields of these types (as in a mapping)."""
    names = rng.sample(sorted(fields), min(len(fields), rng.randint(2, 4)))
    items = [
        f"    s{place}:\n        {_item(fields[name], name, rng)}"
        for place, name in enumerate(names)
    ]
    parts = [f"{rng.choice(('', 'not '))}s{place}" for place in range(len(names))]
    condition = parts[0] + "".join(f" {rng.choice(('and', 'or'))} {one}" for one in parts[1:])
    return (
        f"title: Random Sign-In\nid: 00000000-0000-4000-8000-{number:012d}\nstatus: experimental\n"
        f"logsource: {LOGS[source]}\ndetection:\n"
        + "\n".join(items)
        + f"\n    condition: {condition}\nlevel: low\n"
    )


def _item(kind: str, name: str, rng: Random) -> str:
    if kind == "ip":
        return f"{name}|cidr: ['{rng.choice(NETWORKS)}', '{rng.choice(NETWORKS)}']"
    if kind == "boolean":
        return f"{name}: {rng.choice(('true', 'false'))}"
    if kind == "long":
        operator = rng.choice(("", "|gt", "|lte"))
        return f"{name}{operator}: {rng.choice(NUMBERS)}"
    if name == "ResultType":
        return f"{name}: {rng.choice((0, 53003))}"
    operator = rng.choice(TEXT_OPERATORS)
    word = rng.choice(
        (*WORDS, "user.session.start", "success", "SUCCESS", "generic", "login_success", "lind")
    )
    if operator == "|re":
        word = rng.choice(("^w", "(?i)^W.*1$", "[0-9]+", "o.s?$", "session\\.(start|end)"))
    elif rng.random() < 0.2:
        word = word[:2] + "*"
    return f"{name}{operator}: '{word}'"
