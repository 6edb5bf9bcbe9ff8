"""The tables in which Windows remembers tools, and what a rule on each says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .writing import Noted

_STILL = (
    "Look whether the program is still there, and since when: by the dates of its files and of "
    "what else came with it"
)
_DRIVES = (
    "It lets a second person see and drive the desktop. In published cases of fraudulent remote "
    "workers such software carries the work from the laptop in the house it was shipped to, to "
    "somebody abroad."
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and what it says. `said` completes "Detects {tools} …"; `field` and `kind` say which
    of its columns shows what the catalogue knows. What `unless` describes does not count."""

    name: str
    title: str
    said: str
    min_version: str
    source: str
    blind_spots: tuple[str, ...]
    validate: str
    field: str = "path"
    kind: str = "files"  # a key of `traces.KINDS`
    anybody: bool = False  # also what the system itself ran
    rare: bool = False  # only of tools that are rare on honest laptops
    unless: tuple[tuple[str, Any], ...] = ()  # names of filters, and what they say
    logsource: tuple[tuple[str, str], ...] = ()  # where it is not that of the table
    tables: tuple[str, ...] = ()  # where they are not the table alone
    slug: str = ""  # where it is not osquery_<name>
    why: str = ""  # where it is not that of the group
    look: str = ""  # where on the host to look, if the table tells neither when nor how often
    falsepositives: tuple[str, ...] = ()


USERASSIST = Table(
    name="userassist",
    title="Started From The Desktop",
    said="among the programs that a user started by hand from the Start menu, the desktop or "
    "Explorer, which Windows counts for each user (UserAssist)",
    min_version="4.3.0",
    source="0715e322901fe9edb02cd545a3d5d44c5979bea6/osquery/tables/system/windows/userassist.cpp",
    blind_spots=(
        "Programs started by a service, a task or a command line, and renamed files",
        "Users who are not logged on: their part of the registry is not loaded",
    ),
    validate="On a test host start {name} by a double click, close it, and look for this rule "
    "after the next hourly run",
)
BAM = Table(
    name="background_activities_moderator",
    title="Run By A User In The Last Week",
    said="among the programs that a user ran in the last days, which Windows keeps for each user "
    "(Background Activity Moderator)",
    min_version="4.5.0",
    source="0bbf639b5679699f0df3b2c99bce5eb30d3683c7/osquery/tables/system/windows/"
    "background_activities_moderator.cpp",
    blind_spots=(
        "Runs from network drives and removable disks, which Windows does not keep; renamed files",
        "What ran more than about a week before",
    ),
    validate="On a test host start {name}, close it, and look for this rule after the next "
    "hourly run",
    anybody=True,
)
PREFETCH = Table(
    name="prefetch",
    title="Found In Prefetch",
    said="among the programs that Windows prepared to start faster the next time, since they ran "
    "on this computer (Prefetch)",
    min_version="4.9.0",
    source="02fac87c1b6d26674ff7508fa477e5bcc9ac4cc6/osquery/tables/system/windows/prefetch.cpp",
    blind_spots=(
        "Servers, and computers whose Prefetch is switched off; renamed files",
        "Who ran it: Prefetch names no user",
    ),
    validate="On a test host start {name}, wait ten seconds, close it, and look for this rule "
    "after the next run of the query",
    field="filename",
    kind="names",
)
SHIMCACHE = Table(
    name="shimcache",
    title="Found In Shimcache",
    said="among the files that Windows looked at for compatibility, because they ran or because "
    "Explorer showed their folder (Shimcache)",
    min_version="4.5.0",
    source="1067dfe3f532f7b0d45c05e9535e3077cb95f0d6/osquery/tables/system/windows/shimcache.cpp",
    blind_spots=(
        "What came since the last start: Windows writes the list when it shuts down",
        "Whether the program ever ran; renamed files",
    ),
    validate="On a test host start {name}, restart Windows, and look for this rule after the next "
    "hourly run",
)

FIREWALL = Table(
    name="windows_firewall_rules",
    title="Let Through The Windows Firewall",
    said="among the programs that have a rule in the firewall of Windows, as one gets that asked "
    "at its first start to be let through; the rule outlasts the program",
    min_version="5.2.2",
    source="2b2e9dc202e063388f11a4b33961f61f78406733/osquery/tables/networking/windows/"
    "windows_firewall_rules.cpp",
    blind_spots=(
        "Tools that only call out and never asked to be let through; renamed files",
        "When the rule was made: the table does not say",
    ),
    validate="On a test host start a portable {name}, let it through when Windows asks, and look "
    "for this rule after the next hourly run",
    field="app_name",
    unless=(("block", Noted({"action": "Block"}, "the firewall keeps it out")),),
    look=_STILL,
)
CRASHES = Table(
    name="windows_crashes",
    title="Crashed On Windows",
    said="among the programs that crashed, of which Windows kept a dump",
    min_version="4.0.2",
    source="795badeebe120ac561a2940d15c5db17e08b753c/osquery/tables/system/windows/"
    "windows_crashes.cpp",
    blind_spots=("Programs that never crashed, or of which Windows keeps no dumps; renamed files",),
    validate="On a test host switch local dumps on, end {name} by a fault, and look for this rule "
    "after the next run of the query",
    look="Read the dump's time, its user and how long the program had been up (process_uptime)",
)
AUTOEXEC = Table(
    name="autoexec",
    title="Started By Windows Itself",
    said="among what Windows starts without anybody asking for it: services, tasks and what begins "
    "with the login, which osquery puts together in one table",
    min_version="4.0.2",
    source="527516859e1e1cfcab9b63bb1062b902cd6698a7/osquery/tables/system/windows/autoexec.cpp",
    blind_spots=(
        "Portable copies, which nothing starts; renamed files",
        "Whether the service or task is switched off: the table does not say",
    ),
    validate="On a test host install {name}, and look for this rule after the next run of the "
    "query",
    kind="started",
    why=_DRIVES,
    look=_STILL,
)
SHORTCUTS = Table(
    name="file",
    title="Behind A Shortcut On Windows",
    said="behind a shortcut on the desktop or in the Start menu; the shortcut may be called "
    "anything, and outlasts a portable copy",
    min_version="5.11.0",
    source="169315798115a7f290531a560f705755eb590526/osquery/tables/utility/file.cpp",
    blind_spots=(
        "Copies without a shortcut; renamed files",
        "Folders of the desktop that were moved, such as to OneDrive",
    ),
    validate="On a test host install {name} with a shortcut on the desktop, and look for this rule "
    "after the next hourly run",
    field="shortcut_target_path",
    look=_STILL,
)
CERTIFICATES = Table(
    name="certificates",
    title="Its Maker's Certificate Trusted By Windows",
    said="by the certificate of its maker, which its drivers put among those that Windows trusts "
    "without asking; it stays when the tool is removed",
    min_version="4.0.2",
    source="44add9481afa8543e58775aa1da7e084f87a4483/osquery/tables/system/windows/"
    "certificates.cpp",
    blind_spots=(
        "Tools whose drivers Microsoft signed, and those without drivers",
        "Stores of users who are not logged on",
    ),
    validate="On a test host install {name} with its virtual display or printer, and look for this "
    "rule after the next run of the query",
    field="common_name",
    kind="signers",
    why=_DRIVES,
    look="See in which store the certificate lies, and by the dates of the tool's files and "
    "drivers since when",
)
DNS = Table(
    name="dns_cache",
    title="Server Among The Names That Windows Looked Up",
    said="by a name of its servers among those that Windows looked up in the last minutes "
    "(dns_cache), which do not tell which program asked",
    min_version="4.0.2",
    source="25c5b653c808d5c998d769baed01cfd10ba66cdc/osquery/tables/system/windows/dns_cache.cpp",
    blind_spots=(
        (
            "Names that were looked up longer ago than they are kept, and names that a program "
            "resolves by itself over HTTPS"
        ),
        "Servers of one's own, and direct connections",
        "With dns_lookup_events the program is known, and the rules for each tool see it",
    ),
    validate="On a test host start {name}, let it connect, and look for this rule with a query on "
    "dns_cache",
    field="QueryName",
    kind="domains",
    rare=True,
    unless=(
        ("program", Noted({"Image|contains": "\\"}, "it is known which: rules for each tool")),
        (
            "site",
            Noted(
                {
                    "QueryName|startswith": [
                        "blog.",
                        "docs.",
                        "download.",
                        "forum.",
                        "help.",
                        "support.",
                        "www.",
                    ]
                },
                "what somebody reads in a browser",
            ),
        ),
    ),
    logsource=(("category", "dns_query"), ("product", "windows")),
    tables=("dns_lookup_events", "dns_cache"),
    slug="dns_query_windows",
    falsepositives=("Whoever reads about the tool on other pages of its maker",),
    why=_DRIVES,
    look="See which program on the host talks to that server: by its sockets, or by lookups that "
    "name the program",
)
