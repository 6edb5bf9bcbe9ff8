"""What osquery is as a target."""

from __future__ import annotations

from ..model import Profile, Target
from .compiling import compile_rule
from .emulator import SQLITE
from .packaging import package

# On the host there are rows only; what the log writes around them is not there to ask for.
PROFILE = Profile(
    name="osquery",
    index="the host itself",
    column="{}",
    query="",
    names=("pack_molehunt_{}", "pack/molehunt/{}", "pack/Global/molehunt_{}"),
    action="",
    host="",
)
TARGET = Target("osquery", "osquery packs and Fleet", (PROFILE,), compile_rule, package, (SQLITE,))
