"""Values that never match, or not what they seem to: MH101 to MH119."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..conditions import Wild
from .items import Item
from .model import Edit, Finding
from .subject import Subject
from .texts import Glob, covers, parse, written

# Fields that hold the full path of a file or folder (Sigma taxonomy appendix 2.1; Sysmon 15).
PATHS = frozenset(
    "Image ParentImage SourceImage TargetImage ImageLoaded TargetFilename "
    "SourceFilename CurrentDirectory GrandParentImage".split()
)
_FILE_NAMES = frozenset(("OriginalFileName",))
_HOSTS = frozenset(
    "QueryName query DestinationHostname c-dns dns.question.name cs-host r-dns "
    "dns_query server_name domain".split()
)
# An escaped star between the names of two folders.
_STAR_IN_PATH = re.compile(r"[A-Za-z0-9%]\\\*[A-Za-z0-9._-]*\\(?![\\*?])")
_VARIABLE = re.compile(r"%[A-Za-z][A-Za-z0-9_()]*%|\$env:[A-Za-z]+|\$\{?HOME\b|^~/")
_PLACEHOLDER = re.compile(
    r"<(?:your|insert|replace|user|name|domain|path|host|ip)\b[^>]*>|\bTODO\b|\bFIXME\b"
    r"|\bCHANGE_?ME\b|\buser_managed\b|\byour[_-]?(?:domain|company|host)\b",
    re.IGNORECASE,
)
# One of these is in each of them.
_UNFILLED = ("<", "todo", "fixme", "change", "user_managed", "your")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}", re.IGNORECASE)
# Endings of files that would be read as domains.
_FILES = re.compile(
    r"\.(?:exe|dll|sys|ps1|bat|cmd|vbs|js|jse|wsf|hta|sh|py|jar|zip|lnk|txt|log|db|tmp|dat|ini|xml)$",
    re.IGNORECASE,
)
_INVISIBLE = {
    "\u00a0": "no-break space",
    "\u00ad": "soft hyphen",
    "\u200b": "zero-width space",
    "\u200c": "zero-width non-joiner",
    "\u202a": "bidirectional control",
    "\u202b": "bidirectional control",
    "\u202c": "bidirectional control",
    "\u202d": "bidirectional control",
    "\u202e": "bidirectional control",
    "\u2060": "word joiner",
    "\u2066": "bidirectional control",
    "\u2067": "bidirectional control",
    "\u2068": "bidirectional control",
    "\u2069": "bidirectional control",
    "\ufeff": "byte order mark",
}
# The zero-width joiner belongs to emoji and to several scripts, and is left alone.
_ANY_INVISIBLE = re.compile("[" + "".join(_INVISIBLE) + "]")
_PRIVATE = re.compile(r"(?:10|127|192\.168|172\.(?:1[6-9]|2[0-9]|3[01])|169\.254)\.\Z")


def check(subject: Subject) -> Iterator[Finding]:
    """Every check of single values."""
    system = subject.logsource.get("product")
    for item in subject.items:
        plain = item.plain
        for value, text in item.texts():
            node = value.node
            if plain:
                if "*" in text or "?" in text:
                    yield from _wildcards(subject, item, node, text)
                if item.field in PATHS or item.field in _FILE_NAMES:
                    yield from _paths(subject, item, node, text, system)
                elif item.field in _HOSTS:
                    yield from _domains(subject, item, node, text)
                elif item.field == "TargetObject":
                    yield from _hives(subject, node, text)
                if _PRIVATE.match(text):
                    yield from _addresses(subject, item, node)
            low = text.lower()
            if any(word in low for word in _UNFILLED):
                yield from _placeholders(subject, item, node, text)
        yield from _ports(subject, item)
        yield from _lists(subject, item)
    yield from _invisible(subject)


def _wildcards(subject: Subject, item: Item, node: Any, text: str) -> Iterator[Finding]:
    glob = parse(text)
    plain = [part for part in glob if isinstance(part, str)]
    path_field = item.field in PATHS
    if path_field and subject.logsource.get("product") == "windows":
        if any("*" in part or "?" in part for part in plain):
            message = "an escaped wildcard is a plain character, and no Windows path has it"
            hint = r"write \\* for a backslash and a wildcard"
            yield subject.finding("MH101", node, message, hint)
    elif _STAR_IN_PATH.search(text):
        message = r"`\*` is the plain character, not a wildcard, and this looks like a path"
        hint = r"write \\* for a backslash and a wildcard"
        yield subject.finding("MH102", node, message, hint)
    first = Wild.ANY in glob[:1]
    last = Wild.ANY in glob[-1:]
    modifiers = item.modifiers
    if len(glob) > 1 and (
        ("contains" in modifiers and (first or last))
        or ("endswith" in modifiers and first)
        or ("startswith" in modifiers and last)
    ):
        inner = glob[1 if first and "startswith" not in modifiers else 0 :]
        inner = inner[:-1] if last and "endswith" not in modifiers else inner
        if inner:
            edits = _replace(node, written(inner))
            which = next(one for one in ("contains", "endswith", "startswith") if one in modifiers)
            message = f"`{which}` has this wildcard already"
            yield subject.finding("MH106", node, message, "", edits)
    if ("endswith" in modifiers and last) or ("startswith" in modifiers and first):
        which = "endswith" if "endswith" in modifiers else "startswith"
        message = f"with a wildcard at that end `{which}` means the same as `contains`"
        yield subject.finding("MH107", node, message, "leave the wildcard out, or use `contains`")


def _replace(node: Any, text: str) -> tuple[Edit, ...]:
    """The edit that writes another text in the style of the node; none if that is not simple."""
    start, end = node.start_mark.index, node.end_mark.index
    if node.style == "'":
        return (Edit(start, end, "'" + text.replace("'", "''") + "'"),)
    if node.style is None and re.fullmatch(r"[A-Za-z0-9_./\\-]+", text) and not text[0].isdigit():
        return (Edit(start, end, "'" + text + "'"),)
    return ()


def _paths(
    subject: Subject, item: Item, node: Any, text: str, system: str | None
) -> Iterator[Finding]:
    if item.field in _FILE_NAMES and "\\" in text:
        message = f"{item.field} is a file name of the version resource, without a path"
        yield subject.finding("MH110", node, message, "leave the backslash out")
    if item.field not in PATHS or system not in ("windows", "linux", "macos"):
        return
    if _VARIABLE.search(text):
        message = f"{item.field} is logged with the variable filled in; this never matches"
        hint = r"write the path behind it, such as \AppData\Roaming\ for %APPDATA%"
        yield subject.finding("MH103", node, message, hint)
    if system == "windows" and "/" in text and "\\" not in text:
        message = "a path of Windows has backslashes; this never matches"
        yield subject.finding("MH109", node, message)
    if system != "windows" and "\\" in text and "/" not in text:
        message = f"a path of {system} has slashes; this never matches"
        yield subject.finding("MH109", node, message)
    separator = "\\" if system == "windows" else "/"
    glob = parse(text)
    # Kernel processes, which have no path, have no ending either.
    if item.equal and glob == (text,) and re.fullmatch(r"\\?[^\\/:]+\.[A-Za-z0-9]{2,5}", text):
        message = f"{item.field} is a full path; a bare name never matches"
        name = text.lstrip("\\")
        hint = f"use `endswith` with '{separator}{name}'"
        yield subject.finding("MH108", node, message, hint)
    begins = not {"contains", "endswith"}.intersection(item.modifiers)
    ends = not {"contains", "startswith"}.intersection(item.modifiers) and system == "windows"
    if text.strip() and ((begins and text[0] == " ") or (ends and text[-1] == " ")):
        message = "no path begins or ends with a space; this never matches"
        yield subject.finding("MH111", node, message)
    if (
        "endswith" in item.modifiers
        and re.fullmatch(r"\w[\w-]*\.(?:exe|dll|sys)", text, re.IGNORECASE)
        and system == "windows"
    ):
        message = f"also matches every file whose name ends so, such as x{text}"
        yield subject.finding("MH112", node, message, f"write '\\{text}'")


def _domains(subject: Subject, item: Item, node: Any, text: str) -> Iterator[Finding]:
    if "endswith" not in item.modifiers:
        return
    if _DOMAIN.fullmatch(text) and not _FILES.search(text):
        message = f"also matches other people's domains, such as evil-{text}"
        hint = f"write '.{text}', and '{text}' itself as a value of its own without `endswith`"
        yield subject.finding("MH104", node, message, hint)


def _placeholders(subject: Subject, item: Item, node: Any, text: str) -> Iterator[Finding]:
    if "expand" not in item.modifiers and (found := _PLACEHOLDER.search(text)):
        message = f"'{found[0]}' looks like a placeholder that was never filled in"
        yield subject.finding("MH105", node, message)


def _hives(subject: Subject, node: Any, text: str) -> Iterator[Finding]:
    # Further on in a path it is a key that has this name.
    if found := re.match(r"[*\\]*(HKEY_[A-Z_]+)", text):
        message = f"{found[1]} is logged in short; this never matches"
        hint = "write HKLM, HKU or HKCR; for a user's own keys use `contains` without the hive"
        yield subject.finding("MH120", node, message, hint)


def _addresses(subject: Subject, item: Item, node: Any) -> Iterator[Finding]:
    if "startswith" in item.modifiers:
        message = "an address range compared as text"
        hint = "use `cidr`, which also reads IPv4-mapped IPv6 addresses"
        yield subject.finding("MH113", node, message, hint)


def _ports(subject: Subject, item: Item) -> Iterator[Finding]:
    if not item.field.endswith("Port") or not item.equal:
        return
    for value in item.values:
        text = str(value.data)
        if text.lstrip("-").isdigit() and not 0 <= int(text) <= 65535:
            yield subject.finding("MH114", value.node, "no port has this number")


def _lists(subject: Subject, item: Item) -> Iterator[Finding]:
    """Values that are said twice, or that another value of the list covers."""
    if len(item.values) < 2:
        if item.values and "all" in item.modifiers:
            yield subject.finding("MH117", item.key or item.node, "`all` of a single value")
        return
    if "all" in item.modifiers and item.equal and subject.single and item.field:
        globs = [item.glob(value) for value in item.values]
        plain = {glob for glob in globs if glob is not None and Wild.ANY not in glob}
        if len(plain) > 1:
            message = "the field would have to be two different texts at once; this never matches"
            yield subject.finding("MH118", item.key, message, "add `contains`, or drop `all`")
    cased = "cased" in item.modifiers
    seen: dict[Any, Any] = {}
    for value in item.values:
        key = (type(value.data) is bool, value.data)
        if isinstance(value.data, str) and not cased and "re" not in item.modifiers:
            glob = item.glob(value)
            key = (False, value.data.lower() if glob is None else glob)
        try:
            first = seen.setdefault(key, value)
        except TypeError:
            return
        if first is not value:
            line = first.node.start_mark.line + 1
            edits = _without_line(subject, value.node)
            yield subject.finding(
                "MH115", value.node, f"the same value as on line {line}", "", edits
            )
    if item.plain and not cased and "all" not in item.modifiers and len(seen) <= 400:
        yield from _covered(subject, item, list(seen.values()))


def _covered(subject: Subject, item: Item, values: list[Any]) -> Iterator[Finding]:
    globs = [(value, glob) for value in values if (glob := item.glob(value)) is not None]
    if len(globs) > 60:
        # Only neighbours in the alphabet would be compared in time; long lists are left alone.
        return
    # What covers another value has its longest text in it, and in most lists no text is in another.
    texts = "\0".join(part for _, glob in globs for part in glob if isinstance(part, str))
    wides = [(other, wide) for other, wide in globs if texts.count(_longest(wide)) != 1]
    for value, glob in globs:
        for other, wide in wides:
            if other is not value and glob != wide and covers(wide, glob):
                message = f"covered by '{other.data}' on line {other.node.start_mark.line + 1}"
                yield subject.finding("MH116", value.node, message)
                break


def _longest(glob: Glob) -> str:
    return max((part for part in glob if isinstance(part, str)), key=len, default="")


def _without_line(subject: Subject, node: Any) -> tuple[Edit, ...]:
    """The edit that takes out a list entry with its line, if it has the line for itself."""
    start = subject.text.rfind("\n", 0, node.start_mark.index) + 1
    end = subject.text.find("\n", node.end_mark.index)
    end = len(subject.text) if end < 0 else end + 1
    before = subject.text[start : node.start_mark.index].strip()
    after = subject.text[node.end_mark.index : end].strip()
    return (Edit(start, end, ""),) if before == "-" and not after else ()


def _invisible(subject: Subject) -> Iterator[Finding]:
    if subject.text.isascii():
        return
    told = set()
    for item, node, _ in subject.strings():
        found = _ANY_INVISIBLE.search(subject.raw(node))
        if found and id(item) not in told:
            told.add(id(item))
            name = f"{_INVISIBLE[found[0]]} (U+{ord(found[0]):04X})"
            message = f"holds an invisible character: {name}"
            hint = "write it as an escape in double quotes if it is meant"
            yield subject.finding("MH119", node, message, hint)
