"""What Defender is as a target."""

from __future__ import annotations

from ..model import Profile, Target
from .compiling import compile_rule
from .emulator import DUCKDB
from .packaging import package
from .parser import KUSTO

# There are no rows of osquery, and so no names of its queries.
PROFILE = Profile(
    name="advanced_hunting",
    index="",
    column="",
    query="",
    names=(),
    action="",
    host="DeviceName",
    time="Timestamp",
)
DEFENDER = Target(
    "defender",
    "Microsoft Defender XDR custom detections",
    (PROFILE,),
    compile_rule,
    package,
    (KUSTO, DUCKDB),
)
