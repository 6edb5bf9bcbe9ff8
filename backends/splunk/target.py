"""What Splunk is as a target."""

from __future__ import annotations

from ..model import Profile, Target
from .checker import CONF
from .compiling import compile_rule
from .packaging import package

PROFILE = Profile(
    name="osquery",
    index="`molehunt_osquery`",
    column="columns.{}",
    query="molehunt_name",
    names=("pack_molehunt_{}", "pack/molehunt/{}", "pack/Global/molehunt_{}"),
    action="molehunt_action",
    host="molehunt_host",
    counter="counter",
    time="_time",
    decoration="decorations.{}",
)
SPLUNK = Target("splunk", "Splunk saved searches", (PROFILE,), compile_rule, package, (CONF,))
