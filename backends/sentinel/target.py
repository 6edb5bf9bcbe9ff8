"""What Sentinel is as a target."""

from __future__ import annotations

from molehunt.correlation import Correlation

from ..model import Compiled, Profile, Subject, Target
from .compiling import compile_rule
from .correlations import correlation
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


def _compile(subject: Subject, profile: Profile) -> Compiled:
    if isinstance(subject.rule, Correlation):
        return correlation(subject, profile)
    return compile_rule(subject, profile)


SENTINEL = Target(
    "sentinel",
    "Microsoft Sentinel analytics rules",
    (PROFILE,),
    _compile,
    package,
    (KUSTO, DUCKDB),
)
TARGETS = (SENTINEL,)
