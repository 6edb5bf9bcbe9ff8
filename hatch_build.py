"""Builds the part of the engine that is written in C, where there is a compiler.

Without one, or with MOLEHUNT_NATIVE=0, the installation is the same without it.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "detectors/native"
BUILT = "_judge.abi3.so"
# No debugging information, which would name the folder that it was built in.
FLAGS = ["-std=c11", "-O3", "-g0"]


class NativeHook(BuildHookInterface[Any]):
    """Puts the built module into the wheel; beside its sources in an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build for a wheel."""
        if self.target_name != "wheel":
            return
        source = Path(self.root, FOLDER)
        built = Path(tempfile.mkdtemp(prefix="molehunt-"), BUILT)
        why = build(source, built.parent)
        if why:
            self.app.display_warning(f"Without the part in C then; matching is slower: {why}")
        if version == "editable":
            # Other environments may be running what is there.
            put(built, source / BUILT)
        elif not why:
            build_data["force_include"][str(built)] = f"molehunt/{FOLDER}/{BUILT}"
        if not why:
            build_data["pure_python"] = False
            build_data["tag"] = f"cp311-abi3-{_platform()}"


def put(built: Path, place: Path) -> None:
    """Have a file be what was built, if it is not already; or be gone, if nothing was built."""
    if not built.exists():
        place.unlink(missing_ok=True)
    elif not place.exists() or place.read_bytes() != built.read_bytes():
        new = place.with_suffix(".new")
        new.write_bytes(built.read_bytes())
        os.replace(new, place)


def build(source: Path, place: Path) -> str:
    """Compile the sources into a module in `place`: why it cannot be, or nothing."""
    if os.environ.get("MOLEHUNT_NATIVE") == "0":
        return "MOLEHUNT_NATIVE is 0"
    if os.name != "posix" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "it is for CPython on Linux and macOS"
    from setuptools._distutils.ccompiler import new_compiler
    from setuptools._distutils.errors import CompileError, DistutilsExecError, LinkError
    from setuptools._distutils.sysconfig import customize_compiler

    compiler = new_compiler()
    customize_compiler(compiler)
    include = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            # Below `scratch` the object's place would depend on that of the sources.
            before = Path.cwd()
            os.chdir(source)
            try:
                objects = compiler.compile(
                    ["judge.c"], scratch, include_dirs=include, extra_postargs=FLAGS
                )
            finally:
                os.chdir(before)
            compiler.link_shared_object(objects, str(place / BUILT), extra_postargs=["-g0"])
    except (CompileError, DistutilsExecError, LinkError, OSError) as error:
        return str(error) or "it could not be compiled"
    return ""


def _platform() -> str:
    if sys.platform == "darwin":
        from packaging.tags import platform_tags

        return next(iter(platform_tags()))
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
