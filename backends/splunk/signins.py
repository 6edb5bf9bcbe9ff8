"""The sign-in logs that add-ons bring into Splunk as the services write them: Entra ID's, Okta's
and Google Workspace's.

- `azure:monitor:aad`, the Splunk Add-on for Microsoft Cloud Services: records of Entra's diagnostic
  settings, one an event (fields and an event in
  <https://github.com/splunk/security_content/blob/0e833f13ba3b0689a0e6330141707242a9d63288/data_sources/azure_active_directory_sign_in_activity.yml>).
- `OktaIM2:log`, the add-on for Okta Identity Cloud: events of the System Log as the API gives them
  (`_write_oktaResults` in
  <https://github.com/mbegan/Okta-Identity-Cloud-for-Splunk/blob/01ccf0c58f1ab4be243eb4b8f17965082f8c3202/bin/input_module_okta_identity_cloud.py>).
- `gws:reports:login`, the Splunk Add-on for Google Workspace: activities of the Reports API, one of
  their events each, which stands in `event` (fields and an event in
  <https://github.com/splunk/security_content/blob/2a60eb067067ee88fa694f2ce41af70f0a3fa75a/data_sources/google_workspace_login_success.yml>).

As with osquery's rows the raw JSON is read, and what an add-on extracts or renames is not. A list
of objects becomes a field with several values (`json_array_to_mv`), of each of which `mvmap` reads
one value; conditions are asked of each by itself (`mvfilter`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from molehunt.conditions import Exists, Nothing, Reference, Text, Wanted
from molehunt.detectors.matching.fields import Place

from ..model import Unsayable
from .spltext import END, FALSE, found, string
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
    objects: Mapping[str, str] = field(default_factory=dict)
    parameters: str = ""

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
            name = "c_" + _identifier(place.name)
            head, path = self.inside(place.name)
            if not head:
                value = value_of(paths)
            else:
                # Fields are made in the order of their names.
                each = "a_" + _identifier(head)
                read[each] = f"json_array_to_mv(json_extract(_raw, {string(self.objects[head])}))"
                value = self.of_each(head, path, each)
            if read.setdefault(name, value) != value:
                raise Unsayable("names", f"two fields would be called {name}")
            return name

        return one

    def inside(self, name: str) -> tuple[str, str]:
        """The list of objects that a field is in, and its path in each of them; "" if in none."""
        for head in self.objects:
            if name.startswith(f"{head}."):
                return head, name.removeprefix(f"{head}.")
        return "", ""

    def several(self, name: str) -> bool:
        """Whether a field has a value for each object of a list."""
        return self.inside(name)[0] not in ("", self.parameters)

    def of_each(self, head: str, path: str, each: str) -> str:
        """One value of each object of a list; of parameters the one of that name."""
        if head != self.parameters:
            return f"mvmap({each}, {value_of([path], each)})"
        named = found(f'coalesce(json_extract({each}, "name"), "")', f"^{path}{END}")
        value = f"if({named}, {value_of(_VALUES, each)}, null())"
        return f'coalesce(mvindex(mvmap({each}, {value}), -1), "")'

    def time(self) -> str:
        """When it happened, in seconds since 1970."""
        text = f'coalesce(json_extract(_raw, {string(self.happened)}), "")'
        whole = f'strptime(substr({text}, 1, 19) . "+0000", "%Y-%m-%dT%H:%M:%S%z")'
        rest = f"substr({text}, 20)"
        digits = f'tonumber("0" . replace({rest}, "[^0-9.].*", ""))'
        return f"coalesce({whole}, 0)+if({found(rest, '^[.][0-9]')}, {digits}, 0)"


# Where a parameter of Google's has its value; those with several are not read.
_VALUES = ("value", "boolValue", "intValue")
_GOOGLE_SEVERAL = "events.parameters.login_challenge_method"


def _identifier(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


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

    log: Log = field(kw_only=True)

    def of_field(self, name: str, values: list[Wanted]) -> str:
        """The same, where null and lists are looked at."""
        if not self.fields.store.empty_is_null:
            if any(isinstance(one, Text) and not one.parts for one in values):
                raise Unsayable("null_or_empty", "null and the empty text are not told apart")
            if any(isinstance(one, (Nothing, Exists)) for one in values):
                self.differences.add(NULL_IS_MISSING)
        place = self.fields.places[name]
        if place.name in self.log.lists:
            read = self.read(place)
            assert read is not None
            return joined([_listed(read, value) for value in values], "OR")
        others: list[Wanted] = [one for one in values if not isinstance(one, Reference)]
        tests = [self.refers(place, one) for one in values if isinstance(one, Reference)]
        if self.log.several(place.name):
            tests += self.of_several(name, others)
        elif others:
            # Named, as zero-argument super() is not to be had in a class with slots.
            tests.append(Where.of_field(self, name, others))
        return joined(tests, "OR")

    def of_several(self, name: str, values: list[Wanted]) -> Iterator[str]:
        """The same where there are several values, each of which is looked at alone."""
        read = self.read(self.fields.places[name])
        there = [one for one in values if not _wants_nothing(one)]
        if there:
            yield f"coalesce(mvcount(mvfilter({Where.of_field(self, name, there)})), 0)>0"
        if len(there) < len(values):
            yield f"coalesce(mvcount(mvfilter(len({read})>0)), 0)=0"

    def refers(self, place: Place, value: Reference) -> str:
        """That a field, or one of its values, is the text of another field."""
        other_place = self.fields.places[value.field]
        mine, other = self.read(place), self.read(other_place)
        if value.starts or value.ends or self.log.several(other_place.name):
            raise Unsayable("listed", "a field is compared with one other value as a whole only")
        if mine is None or other is None:
            return FALSE
        self.differences.add("reference_case")
        # With a letter before, so that nothing is compared as numbers.
        same = f'(len({mine})>0 AND ("x" . lower({mine}))=("x" . lower({other})))'
        several = self.log.several(place.name)
        return f"isnotnull(mvmap({mine}, if({same}, 1, null())))" if several else same


def _wants_nothing(value: Wanted) -> bool:
    return isinstance(value, Nothing) or value == Exists(False)


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
_OKTA_LISTS = {"target": "target", "request.ipChain": "request.ipChain"}
_PARAMETERS = "events.parameters"


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
    if name == "source.as.number":
        differences.add(NETWORK_DATABASE)
        return ("securityContext.asNumber",)
    if name in ("request", *_OKTA_LISTS):
        raise Unsayable("listed", f"{name} is a list of objects")
    return (name,)


def _google(name: str, _differences: set[str]) -> Sequence[str]:
    head, _, rest = name.partition(".")
    if name in (_GOOGLE_SEVERAL, _PARAMETERS):
        raise Unsayable("listed", f"{name} has several values")
    if name.startswith(f"{_PARAMETERS}."):
        return ()
    if head == "events":
        return (f"event.{rest}",)
    if head in ("actor", "id", "ipAddress", "ownerDomain", "kind"):
        return (name,)
    raise Unsayable("no_column", f"the add-on's events do not have {name}")


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
        objects=_OKTA_LISTS,
    ),
    "google_workspace": Log(
        "`molehunt_google`",
        ("login",),
        ("event.name", "id.time"),
        found('coalesce(json_extract(_raw, "id.applicationName"), "")', "^login" + END),
        "actor.email",
        "id.time",
        _google,
        objects={_PARAMETERS: "event.parameters"},
        parameters=_PARAMETERS,
    ),
}
"""By the name of the store in `rules/taxonomy.yml`."""
