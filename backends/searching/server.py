"""A search server for the proof: its own distribution from Maven, unpacked, started and stopped.

Nothing of it ships with molehunt. It runs on loopback only, with data that is deleted with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from uuid import uuid4

from ..java import java_home

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
_PATIENCE = 180


class NoServer(Exception):
    """Why there is no server, and what the user can do."""


@dataclass(frozen=True, slots=True)
class Jar:
    """A file of a module: Maven coordinates `group:artifact:version` and its SHA-256."""

    named: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Module:
    """A module that the distribution does not have. `jars` has the module's own first, whose
    descriptor is taken; `extends` is the module whose classes it sees."""

    name: str
    extends: str
    jars: tuple[Jar, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """What to run. `group` and `artifact` are Maven coordinates of a zip with this SHA-256.

    `modules` are those that are kept (all if empty): fewer start faster. `added` are modules that
    are fetched by themselves. `java` is the oldest version of a JDK that runs it.
    """

    name: str
    group: str
    artifact: str
    version: str
    sha256: str
    program: str
    heap: str
    java: int
    java_variable: str
    modules: frozenset[str] = frozenset()
    settings: tuple[str, ...] = ()
    added: tuple[Module, ...] = ()


def cache() -> Path:
    """Where distributions are kept: `MOLEHUNT_ENGINES`, or the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("MOLEHUNT_ENGINES") or Path(base, "molehunt", "engines"))


def missing(wanted: Distribution) -> str:
    """What is needed to run it here; "" if nothing."""
    if shutil.which("mvn") is None and not all(path.exists() for path in _files(wanted)):
        return f"Maven (mvn), to fetch {wanted.name} {wanted.version}"
    if java_home(wanted.java, wanted.java_variable) is None:
        return f"a JDK {wanted.java} or newer, or its folder in {wanted.java_variable}"
    return ""


def _zip(wanted: Distribution) -> Path:
    folder = cache() / "m2" / Path(*wanted.group.split("."), wanted.artifact, wanted.version)
    return folder / f"{wanted.artifact}-{wanted.version}.zip"


def _files(wanted: Distribution) -> list[Path]:
    """The zip and the jars, as they lie in the cache."""
    jars = {jar.named for module in wanted.added for jar in module.jars}
    return [_zip(wanted), *map(_jar, sorted(jars))]


def _jar(named: str) -> Path:
    group, artifact, version = named.split(":")
    folder = cache() / "m2" / Path(*group.split("."), artifact, version)
    return folder / f"{artifact}-{version}.jar"


def fetched(wanted: Distribution) -> Path:
    """The zip, from the cache or through Maven, its checksum verified. Raises `NoServer`."""
    place = _zip(wanted)
    if not place.exists():
        named = f"{wanted.group}:{wanted.artifact}:{wanted.version}:zip"
        _maven(named, f"{_PLUGIN}:get", "-Dtransitive=false", f"-Dartifact={named}")
    _check(place, wanted.sha256)
    return place


def _jars(wanted: Distribution) -> None:
    """Have the jars of added modules in the cache, their checksums verified."""
    jars = {jar.named: jar for module in wanted.added for jar in module.jars}
    absent = [one for one in jars.values() if not _jar(one.named).exists()]
    if absent:
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder, "pom.xml")
            project.write_text(_project(absent))
            copied = f"-DoutputDirectory={folder}/jars"
            _maven(absent[0].named, "-f", str(project), f"{_PLUGIN}:copy-dependencies", copied)
    for one in jars.values():
        _check(_jar(one.named), one.sha256)


def _project(jars: Sequence[Jar]) -> str:
    """A Maven project that depends on these jars and on nothing that they depend on."""
    every = "<exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
    none = f"<exclusions>{every}</exclusions>"
    found = []
    for jar in jars:
        parts = zip(("groupId", "artifactId", "version"), jar.named.split(":"), strict=True)
        inside = "".join(f"<{tag}>{text}</{tag}>" for tag, text in parts)
        found.append(f"<dependency>{inside}{none}</dependency>")
    own = "<groupId>molehunt</groupId><artifactId>proof</artifactId><version>1</version>"
    model = "<modelVersion>4.0.0</modelVersion>"
    return f"<project>{model}{own}<dependencies>{''.join(found)}</dependencies></project>"


def _maven(named: str, *arguments: str) -> None:
    command = ["mvn", "-q", "-B", f"-Dmaven.repo.local={cache() / 'm2'}", *arguments]
    told = subprocess.run(  # noqa: S603 - the coordinates stand in the project
        command, capture_output=True, text=True, check=False
    )
    if told.returncode:
        raise NoServer(f"Maven could not fetch {named}: {told.stdout[-500:]}")


def _check(place: Path, sha256: str) -> None:
    with place.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise NoServer(f"{place} is not what it should be (SHA-256 {found}); delete it")


def _add_modules(wanted: Distribution, home: Path) -> None:
    """Put added modules beside the distribution's own."""
    _jars(wanted)
    for module in wanted.added:
        folder = home / "modules" / module.name
        folder.mkdir()
        for jar in module.jars:
            shutil.copy(_jar(jar.named), folder)
        inside = f"META-INF/es-plugins/{module.name}/plugin-descriptor.properties"
        with zipfile.ZipFile(_jar(module.jars[0].named)) as own:
            lines = own.read(inside).decode().splitlines()
        kept = [one for one in lines if "=" in one and not one.startswith(("#", "extended."))]
        text = "\n".join([*kept, f"extended.plugins={module.extends}"]) + "\n"
        Path(folder, "plugin-descriptor.properties").write_text(text)


@contextmanager
def running(wanted: Distribution) -> Iterator[str]:
    """Start a server in a folder of its own; gives its address. Raises `NoServer`."""
    with tempfile.TemporaryDirectory(prefix=f"molehunt-{wanted.name}-") as folder:
        home = _unpacked(wanted, Path(folder))
        address, process = _up(wanted, home, Path(folder))
        try:
            yield address
        finally:
            _ended(process)


def _up(wanted: Distribution, home: Path, folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """A server that answers. A free port may be taken by somebody else first: then with others."""
    for last in (False, False, True):
        port, transport = _free_port(), _free_port()
        name = f"molehunt-{uuid4().hex}"
        settings = [
            f"cluster.name: {name}",
            "node.name: molehunt",
            "network.host: 127.0.0.1",
            f"http.port: {port}",
            f"transport.port: {transport}",
            "discovery.type: single-node",
            "cluster.routing.allocation.disk.threshold_enabled: false",
            *wanted.settings,
        ]
        Path(home, "config", f"{wanted.program}.yml").write_text("\n".join(settings) + "\n")
        log = folder / "out.log"
        with log.open("wb") as output:
            process = _started(wanted, home, folder, output.fileno())
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, name, process, log, wanted)
        except BaseException as why:
            _ended(process)
            taken = "Address already in use" in log.read_text(encoding="utf-8", errors="replace")
            if last or not (taken and isinstance(why, NoServer)):
                raise
        else:
            return address, process
    raise AssertionError


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _unpacked(wanted: Distribution, folder: Path) -> Path:
    """Unpack it, but for the modules that are not kept: they are most of it."""
    with zipfile.ZipFile(fetched(wanted)) as archive:
        names = archive.namelist()
        archive.extractall(folder, [name for name in names if _kept(wanted, name)])
    home = next(path for path in folder.iterdir() if path.is_dir())
    for program in (home / "bin").iterdir():
        # Python's zipfile forgets who may run what.
        program.chmod(0o755)
    _add_modules(wanted, home)
    (folder / "tmp").mkdir()
    return home


def _kept(wanted: Distribution, name: str) -> bool:
    _, _, inside = name.partition("/")
    kind, _, rest = inside.partition("/")
    module = rest.partition("/")[0]
    return kind != "modules" or not (wanted.modules and module) or module in wanted.modules


def _started(
    wanted: Distribution, home: Path, folder: Path, output: int
) -> subprocess.Popen[bytes]:
    java = java_home(wanted.java, wanted.java_variable)
    if java is None:
        raise NoServer(missing(wanted))
    upper = wanted.name.upper()
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(folder / "tmp"),
        wanted.java_variable: str(java),
        f"{upper}_JAVA_OPTS": f"-Xms{wanted.heap} -Xmx{wanted.heap} -XX:TieredStopAtLevel=1",
        f"{upper}_TMPDIR": str(folder / "tmp"),
        "ES_JAVA_OPTS": f"-Xms{wanted.heap} -Xmx{wanted.heap} -XX:TieredStopAtLevel=1",
        "ES_TMPDIR": str(folder / "tmp"),
    }
    # The servers refuse to run as root.
    user = "nobody" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
    if user:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user)
    # On Linux it ends with who started it, even if that was killed.
    setpriv = shutil.which("setpriv")
    bound = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
    return subprocess.Popen(  # noqa: S603 - the distribution whose checksum was verified
        [*bound, str(home / "bin" / wanted.program)],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        user=user,
        extra_groups=[] if user else None,
    )


def _wait(
    address: str, name: str, process: subprocess.Popen[bytes], log: Path, wanted: Distribution
) -> None:
    """Until the cluster of that name answers there, and no other that took the port."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            # An Elasticsearch without its main module answers this, and not `GET /`.
            with urllib.request.urlopen(f"{address}/_cluster/health", timeout=5) as answer:  # noqa: S310
                if json.load(answer)["cluster_name"] == name:
                    return
        except (urllib.error.URLError, HTTPException, OSError, ValueError, KeyError):
            # What speaks another protocol took the port.
            pass
        time.sleep(0.2)
    told = log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = "\n".join(line for line in told if not line.lstrip().startswith("at "))[-2000:]
    raise NoServer(f"{wanted.name} {wanted.version} did not start:\n{last}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
