"""What Sentinel is as a target."""

from __future__ import annotations

from ..model import Profile, Target
from .compiling import compile_rule
from .emulator import DUCKDB
from .packaging import package
from .parser import KUSTO

PROFILE = Profile(
    name="osquery_cl",
    index="Osquery_CL",
    column="Columns[{}]",
    query="Name",
    names=("pack_molehunt_{}", "pack/molehunt/{}", "pack/Global/molehunt_{}"),
    action="Action",
    host="HostIdentifier",
    counter="Counter",
    time="TimeGenerated",
    decoration="Decorations[{}]",
)
SENTINEL = Target(
    "sentinel",
    "Microsoft Sentinel analytics rules",
    (PROFILE,),
    compile_rule,
    package,
    (KUSTO, DUCKDB),
)
TARGETS = (SENTINEL,)
