"""What the integration for Okta takes apart, and how that is asked.

Read in elastic/integrations, packages/okta/data_stream/system:

- `elasticsearch/ingest_pipeline/use_flattened_debug.yml`
  at 01e2fd9d6eac3be8aec91d933f7307fd4ad99f86 (what the integration does unless told otherwise) and
  `no_use_flattened_debug.yml` at 0bd978f9d71de802d2a09be8940a78d922c517e0: `behaviors` and `risk`
  become objects (`kv`), and the names of behaviours that are `POSITIVE` the list `risk_behaviors`.
- `fields/fields.yml` at 01e2fd9d6eac3be8aec91d933f7307fd4ad99f86: the debug data and the chain of
  addresses are of the type `flattened`.
- `tunnels` is text of JSON in version 3.0.0 and is parsed in later ones
  (<https://github.com/elastic/integrations/issues/11955>).

A key of a field of that type takes `term`, `prefix` and `exists`, its root also `wildcard` and
`regexp`, which then look at the values of all keys
(<https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/flattened>).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any

from molehunt.conditions import Cidr, Text, Wanted, Wild
from molehunt.detectors.values import fold

from ..model import Unsayable

DEBUG = "okta.debug_context.debug_data."
FLATTENED = DEBUG + "flattened"
BEHAVIORS = DEBUG + "risk_behaviors"
CHAIN = "okta.request.ip_chain"
# Codes of reviewed.yml.
TAKEN_APART, ADDRESS_TEXT, DEBUG_DATA = "taken_apart", "address_text", "debug_data"

_MOST = 16
"""Prefixes that a network may need."""
_POSITIVE = re.compile(r"([^=,{}]+)=positive")
_LEVEL = re.compile(r"level=([a-z]+)")
_WORD = re.compile(r"\w+", re.ASCII)
# What stands in the JSON of `tunnels` beside the names of operators and types.
_SYNTAX = ("anonymous", "operator", "type", "true", "false", "null")


def behaviors(wanted: Wanted) -> dict[str, Any]:
    """`Velocity=POSITIVE` in `{New IP=NEGATIVE, Velocity=POSITIVE}`."""
    named = _POSITIVE.fullmatch(fold(_contained(wanted) or ""))
    if named is None:
        raise Unsayable("lost_field", "of Okta's behaviours only those that are POSITIVE are kept")
    return {"wildcard": {BEHAVIORS: {"value": f"*{_plain(named[1])}", "case_insensitive": True}}}


def risk(wanted: Wanted) -> dict[str, Any]:
    """`level=HIGH` in `{reasons=Anomalous Location, level=HIGH}`."""
    level = _LEVEL.fullmatch(fold(_contained(wanted) or ""))
    if level is None:
        raise Unsayable("lost_field", "of Okta's risk only the level can be asked for")
    return _either(
        {"prefix": {name: {"value": level[1].upper()}}}
        for name in (f"{FLATTENED}.risk.level", f"{DEBUG}risk.level")
    )


def tunnels(wanted: Wanted) -> dict[str, Any]:
    """`ASTRILL` in `[{"operator": "ASTRILL_VPN", "type": "VPN"}]`: in what is written as a list of
    JSON where the text is kept, and in words of capitals where it was parsed."""
    text = _contained(wanted) or ""
    if not _WORD.fullmatch(text) or any(fold(text) in one for one in _SYNTAX):
        raise Unsayable("lost_field", "of Okta's tunnels only words of operators can be asked for")
    word = text.upper()
    loose = "".join(f"[{c}{c.lower()}]" if c.isalpha() else c for c in word)
    parsed = {"regexp": {FLATTENED: {"value": f"[A-Z0-9_]*{word}[A-Z0-9_]*"}}}
    kept = {"regexp": {FLATTENED: {"value": rf"\[.*{loose}.*\]"}}}
    plain = {"value": f"*{word}*", "case_insensitive": True}
    keys = [f"tunnels{key}" for key in ("", ".operator", ".type")]
    there = _either({"exists": {"field": f"{FLATTENED}.{key}"}} for key in keys)
    # The last three are where the debug data is not flattened.
    return _either(
        [
            _both(there, _either([parsed, kept])),
            *({"wildcard": {f"{DEBUG}{key}": plain}} for key in keys),
        ]
    )


def chain(wanted: Wanted) -> dict[str, Any]:
    """An address of the chain of proxies in a network of IPv4, by how such addresses begin."""
    network = ip_network(wanted.network) if isinstance(wanted, Cidr) else None
    if not isinstance(network, IPv4Network) or not network.prefixlen:
        raise Unsayable("lost_field", "of the chain of proxies only networks of IPv4 are asked for")
    octets = -(-network.prefixlen // 8)
    if 1 << (8 * octets - network.prefixlen) > _MOST:
        raise Unsayable("lost_field", f"{network} needs more than {_MOST} beginnings of addresses")
    name, kind = f"{CHAIN}.ip", "term" if octets == 4 else "prefix"
    found = []
    for part in network.subnets(new_prefix=8 * octets):
        begins = ".".join(str(part.network_address).split(".")[:octets]) + "." * (octets < 4)
        found.append({kind: {name: {"value": begins}}})
        found.append({kind: {name: {"value": f"::ffff:{begins}"}}})
    return _either(found)


def debug_data(data: Mapping[str, Any], parsed: bool = True) -> dict[str, Any]:
    """What the pipeline makes of an event's debug data. `parsed` says whether the version of the
    integration parses `tunnels`."""
    flat = dict(data)
    found: dict[str, Any] = {"flattened": flat}
    if isinstance(flat.get("behaviors"), str):
        flat["behaviors"] = _pairs(flat["behaviors"])
        positive = [name for name, value in flat["behaviors"].items() if value == "POSITIVE"]
        if positive:
            found["risk_behaviors"] = positive
    if isinstance(flat.get("risk"), str):
        flat["risk"] = _risk(flat["risk"])
        if isinstance(flat["risk"], dict) and "level" in flat["risk"]:
            found["risk_level"] = flat["risk"]["level"]
    if parsed and isinstance(flat.get("tunnels"), str):
        try:
            flat["tunnels"] = json.loads(flat["tunnels"])
        except ValueError:
            del flat["tunnels"]
    return found


def _pairs(text: str) -> dict[str, str]:
    """The `kv` processor over what is between braces. Raises ValueError."""
    inside = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    parts = [part.partition("=") for part in inside.split(", ")]
    if not all(equals for _, equals, _ in parts):
        raise ValueError(f"{text} does not contain value_split")
    return {name: value for name, _, value in parts}


def _risk(text: str) -> Any:
    """Reasons with commas are no pairs: the level is then looked for by itself."""
    try:
        return _pairs(text)
    except ValueError:
        level = re.search(r"level=(\S+?)}?$|level=(\S+)", text)
        return {"level": level[1] or level[2]} if level else text


def _contained(wanted: Wanted) -> str | None:
    """The text of `contains`."""
    if isinstance(wanted, Text) and len(wanted.parts) == 3 and not wanted.cased:
        before, text, after = wanted.parts
        if before is Wild.ANY and after is Wild.ANY and isinstance(text, str):
            return text
    return None


def _plain(text: str) -> str:
    """A text in a wildcard query."""
    return re.sub(r"([*?\\])", r"\\\1", text)


def _either(queries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"bool": {"should": list(queries), "minimum_should_match": 1}}


def _both(*queries: Mapping[str, Any]) -> dict[str, Any]:
    return {"bool": {"filter": list(queries)}}
