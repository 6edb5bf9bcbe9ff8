"""What Splunk is as a target."""

from __future__ import annotations

from molehunt.correlation import Correlation

from ..model import Compiled, Profile, Subject, Target
from .checker import CONF
from .compiling import compile_rule
from .correlations import correlation
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


def _compile(subject: Subject, profile: Profile) -> Compiled:
    if isinstance(subject.rule, Correlation):
        return correlation(subject, profile)
    return compile_rule(subject, profile)


SPLUNK = Target("splunk", "Splunk saved searches", (PROFILE,), _compile, package, (CONF,))
