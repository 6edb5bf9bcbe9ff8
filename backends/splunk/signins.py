"""The sign-in logs that add-ons bring into Splunk as the services write them: Entra ID and Okta.

- `azure:monitor:aad`, the Splunk Add-on for Microsoft Cloud Services: records of Entra's diagnostic
  settings, one an event (fields and an event in
  <https://github.com/splunk/security_content/blob/0e833f13ba3b0689a0e6330141707242a9d63288/data_sources/azure_active_directory_sign_in_activity.yml>).
- `OktaIM2:log`, the add-on for Okta Identity Cloud: events of the System Log as the API gives them
  (`_write_oktaResults` in
  <https://github.com/mbegan/Okta-Identity-Cloud-for-Splunk/blob/01ccf0c58f1ab4be243eb4b8f17965082f8c3202/bin/input_module_okta_identity_cloud.py>).

As with osquery's rows the raw JSON is read, and what an add-on extracts or renames is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from molehunt.conditions import Exists, Nothing, Text, Wanted
from molehunt.detectors.matching.fields import Place

from ..model import Unsayable
from .spltext import END, found, string
from .splwhere import Where, joined

# Codes of reviewed.yml.
NETWORK_DATABASE, NULL_IS_MISSING = "network_database", "null_is_missing"
UNDOCUMENTED = "undocumented_field"
TARGET = "molehunt_target"


@dataclass(frozen=True, slots=True)
class Log:
    """A sign-in log in Splunk.

    `index` is a macro, `words` are terms that stand in its events, one of them in each. `path(name,
    differences)` gives the paths of a field in the event, of which the first that is there counts;
    it raises `Unsayable`. `guard` are the paths that an event has if it is of the log, `category`
    what else it needs. `lists` are fields that are lists of words, `happened` the path of the time
    of the event, always in UTC, and `account` that of the account.
    """

    index: str
    words: Sequence[str]
    guard: Sequence[str]
    category: str
    account: str
    happened: str
    path: Callable[[str, set[str]], Sequence[str]]
    lists: frozenset[str] = frozenset()

    def head(self) -> str:
        """The search that begins with the events."""
        words = " OR ".join(map(string, self.words))
        return f"{self.index} ({words})" if words else self.index

    def belongs(self) -> str:
        """That an event is of the log."""
        there = [f"isnotnull(json_extract(_raw, {string(path)}))" for path in self.guard]
        return joined([*([self.category] if self.category else []), *there], "AND")

    def reader(self, read: dict[str, str], differences: set[str]) -> Callable[[Place], str | None]:
        """The field that has a value of an event; `read` collects how it is made."""

        def one(place: Place) -> str | None:
            if place.kind == "absent":
                return None
            if place.kind != "column" or not place.name.isascii():
                raise Unsayable("no_column", f"the log has no {place.name}")
            paths = self.path(place.name, differences)
            name = "c_" + "".join(c if c.isalnum() else "_" for c in place.name)
            value = value_of(paths)
            if read.setdefault(name, value) != value:
                raise Unsayable("names", f"two fields would be called {name}")
            return name

        return one

    def time(self) -> str:
        """When it happened, in seconds since 1970."""
        text = f'coalesce(json_extract(_raw, {string(self.happened)}), "")'
        whole = f'strptime(substr({text}, 1, 19) . "+0000", "%Y-%m-%dT%H:%M:%S%z")'
        rest = f"substr({text}, 20)"
        digits = f'tonumber("0" . replace({rest}, "[^0-9.].*", ""))'
        return f"coalesce({whole}, 0)+if({found(rest, '^[.][0-9]')}, {digits}, 0)"


def value_of(paths: Sequence[str], origin: str = "_raw") -> str:
    """The text of the first path that is there; null and nothing are "". Whether a JSON null is
    NULL or the word is not documented, so that both are taken for nothing."""
    each = (f"json_extract({origin}, {string(path)})" for path in paths)
    texts = ", ".join(f"tostring({one})" for one in each)
    return f'replace(coalesce({texts}, ""), {string("^null" + END)}, "")'


@dataclass(slots=True)
class SignInWhere(Where):
    """Conditions over a sign-in log, in which null, the empty text and nothing are one, and some
    fields are lists."""

    lists: frozenset[str] = field(kw_only=True)

    def of_field(self, name: str, values: list[Wanted]) -> str:
        """The same, where null and lists are looked at."""
        if not self.fields.store.empty_is_null:
            if any(isinstance(one, Text) and not one.parts for one in values):
                raise Unsayable("null_or_empty", "null and the empty text are not told apart")
            if any(isinstance(one, (Nothing, Exists)) for one in values):
                self.differences.add(NULL_IS_MISSING)
        place = self.fields.places[name]
        if place.name not in self.lists:
            # Named, as zero-argument super() is not to be had in a class with slots.
            return Where.of_field(self, name, values)
        read = self.read(place)
        assert read is not None
        return joined([_listed(read, value) for value in values], "OR")


def _listed(read: str, value: Wanted) -> str:
    """One of a list of words: between quotes in the list's JSON."""
    if isinstance(value, Exists):
        some = found(read, r"\x22")
        return some if value.exists else f"NOT ({some})"
    if isinstance(value, Text) and len(value.parts) == 1 and isinstance(value.parts[0], str):
        text = value.parts[0]
        if text.isascii() and text.replace("_", "").isalnum():
            flags = "" if value.cased else "(?i)"
            return found(read, rf"{flags}\x22{text}\x22")
    raise Unsayable("listed", "of a list only whole words can be asked for")


# Entra ID: what the record of the diagnostic settings calls otherwise than by a small letter.
_ENTRA: Mapping[str, Sequence[str]] = {
    "Category": ("category",),
    "OperationName": ("operationName",),
    "ResultType": ("resultType", "properties.status.errorCode"),
    "ResultDescription": ("resultDescription", "properties.status.failureReason"),
    "IPAddress": ("properties.ipAddress",),
    "Location": ("properties.location.countryOrRegion",),
    "RiskEventTypes_V2": ("properties.riskEventTypes_v2",),
    "ResourceIdentity": ("properties.resourceId",),
}
_ENTRA_LISTS = frozenset(["RiskEventTypes", "RiskEventTypes_V2"])
_ENTRA_UNREAD = ("AuthenticationDetails", "ConditionalAccessPolicies", "NetworkLocationDetails")
# Stands in records, and not in the list of fields that is cited above.
_ENTRA_UNLISTED = "AuthenticationAppDeviceDetails"
# What is a list of objects in an event of Okta.
_OKTA_LISTS = ("target", "request")


def _entra(name: str, differences: set[str]) -> Sequence[str]:
    head, _, rest = name.partition(".")
    if name == "source.as.number":
        differences.add(NETWORK_DATABASE)
        return ("properties.autonomousSystemNumber",)
    if name in _ENTRA:
        return _ENTRA[name]
    if head == "LocationDetails" and rest:
        return (f"properties.location.{rest}",)
    if head == _ENTRA_UNLISTED:
        differences.add(UNDOCUMENTED)
    if head in _ENTRA_UNREAD or not head[:1].isupper():
        raise Unsayable("no_column", f"where {name} is was not looked up")
    return (f"properties.{name[:1].lower()}{name[1:]}",)


def _okta(name: str, differences: set[str]) -> Sequence[str]:
    head = name.partition(".")[0]
    if name == "source.as.number":
        differences.add(NETWORK_DATABASE)
        return ("securityContext.asNumber",)
    if head in _OKTA_LISTS:
        raise Unsayable("listed", f"{name} has several values")
    return (name,)


LOGS = {
    "azure": Log(
        "`molehunt_entra`",
        ("SignInLogs", "NonInteractiveUserSignInLogs", "ADFSSignInLogs"),
        ("properties.userPrincipalName", "properties.createdDateTime"),
        found('coalesce(json_extract(_raw, "category"), "")', "SignInLogs"),
        "properties.userPrincipalName",
        "properties.createdDateTime",
        _entra,
        _ENTRA_LISTS,
    ),
    "okta": Log(
        "`molehunt_okta`",
        (),
        ("eventType", "actor", "published"),
        "",
        "actor.alternateId",
        "published",
        _okta,
    ),
}
"""By the name of the store in `rules/taxonomy.yml`."""
