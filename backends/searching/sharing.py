"""One server for all processes of a run that name the same folder, and none when they are gone.

A keeper, which is a process of its own, starts the server and counts who is connected to its
socket. The system closes the connections of a process that ends, however it does; so nobody can
forget to sign off. When nobody was there for a while the keeper stops the server and ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from .server import Distribution, Jar, Module, NoServer, running

# The folder; where it is not set, each user has a server of its own.
FOLDER = "MOLEHUNT_SERVERS"
# How many seconds a server waits for somebody.
LINGER = "MOLEHUNT_SERVERS_LINGER"
_LINGER = 10.0
# A start takes 20 s alone, and minutes where everything else starts too.
_PATIENCE = 600


@contextmanager
def shared(wanted: Distribution) -> Iterator[str]:
    """The address of a server, which others of the same run may use at the same time; outside of a
    run, of one that lasts as long as this. Raises `NoServer`."""
    folder = os.environ.get(FOLDER)
    if not folder:
        with running(wanted) as address:
            yield address
        return
    with _connected(wanted, Path(folder)) as connection:
        yield _told(connection, wanted)


@contextmanager
def one_folder() -> Iterator[None]:
    """Let what this process and those that it starts need from here on be shared: a run of its own,
    unless it is part of one."""
    if os.environ.get(FOLDER):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="molehunt-run-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Wait until nobody else of the run is in here under this name."""
    folder = os.environ.get(FOLDER)
    if not folder:
        yield
        return
    with _locked(Path(folder, f"{name}.alone")):
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Not on Windows, where rules are compiled all the same.
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _place(wanted: Distribution, folder: Path) -> Path:
    """The socket: another one for each change of what is run."""
    known = hashlib.sha256(_written(wanted).encode()).hexdigest()[:8]
    return folder / f"{wanted.name}-{known}.sock"


@contextmanager
def _connected(wanted: Distribution, folder: Path) -> Iterator[socket.socket]:
    """A connection to the keeper, which is started if there is none."""
    place = _place(wanted, folder)
    with socket.socket(socket.AF_UNIX) as connection:
        with _locked(place.with_suffix(".lock")):
            if not _connects(connection, place):
                place.unlink(missing_ok=True)
                keeper = _keeper(wanted, place)
                until = time.monotonic() + _PATIENCE
                while not _connects(connection, place):
                    if keeper.poll() is not None or time.monotonic() > until:
                        raise NoServer(f"{wanted.name}: its keeper did not start: {_log(place)}")
                    time.sleep(0.05)
        yield connection


def _connects(connection: socket.socket, place: Path) -> bool:
    try:
        connection.connect(str(place))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def _told(connection: socket.socket, wanted: Distribution) -> str:
    """What the keeper says when its server is up, or is not."""
    connection.settimeout(_PATIENCE)
    try:
        with connection.makefile(encoding="utf-8") as stream:
            line = stream.readline()
    except TimeoutError:
        raise NoServer(f"{wanted.name} was not there after {_PATIENCE} s") from None
    if not line:
        raise NoServer(f"{wanted.name}: its keeper ended; what needs it can be run again")
    told = json.loads(line)
    if "error" in told:
        raise NoServer(told["error"])
    return str(told["address"])


def _log(place: Path) -> str:
    return place.with_suffix(".log").read_text(encoding="utf-8", errors="replace")[-2000:]


def _keeper(wanted: Distribution, place: Path) -> subprocess.Popen[bytes]:
    """It outlives who starts it: a session of its own, which no key pressed there interrupts."""
    with place.with_suffix(".log").open("wb") as log:
        keeper = subprocess.Popen(  # noqa: S603 - this program, by this module
            [sys.executable, "-m", __name__, str(place)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert keeper.stdin is not None
    with keeper.stdin as stream:
        stream.write(_written(wanted).encode())
    return keeper


def _written(wanted: Distribution) -> str:
    return json.dumps(asdict(wanted) | {"modules": sorted(wanted.modules)})


def _read(text: str) -> Distribution:
    made = json.loads(text)
    added = tuple(
        Module(one["name"], one["extends"], tuple(Jar(**jar) for jar in one["jars"]))
        for one in made["added"]
    )
    lists = {"modules": frozenset(made["modules"]), "settings": tuple(made["settings"])}
    return Distribution(**(made | lists | {"added": added}))


def keep(wanted: Distribution, place: Path, linger: float) -> None:
    """Listen at `place`, start the server, and keep it until nobody was there for `linger` seconds
    or the socket is gone."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen(64)
        try:
            with running(wanted) as address:
                _serve(listener, place, {"address": address}, linger)
        except NoServer as why:
            # Those who wait are told; who comes later has another try.
            _serve(listener, place, {"error": str(why)}, 0)


def _serve(listener: socket.socket, place: Path, told: dict[str, str], linger: float) -> None:
    line = (json.dumps(told) + "\n").encode()
    last = time.monotonic()
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select(timeout=0.5):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if one is not listener:  # users say nothing: it is gone
                    waiting.unregister(one)
                    one.close()
                    continue
                user, _address = listener.accept()
                waiting.register(user, selectors.EVENT_READ)
                with suppress(OSError):
                    user.sendall(line)
            if len(waiting.get_map()) > 1:
                last = time.monotonic()
                continue
            if (time.monotonic() - last > linger or not place.exists()) and _left(waiting, place):
                return


def _left(waiting: selectors.BaseSelector, place: Path) -> bool:
    """Take the socket away, unless somebody came: who comes holds the lock until connected."""
    if not place.exists():
        return True
    with _locked(place.with_suffix(".lock")):
        if waiting.select(timeout=0):
            return False
        place.unlink(missing_ok=True)
        return True


if __name__ == "__main__":
    where = Path(sys.argv[1])
    keep(_read(sys.stdin.read()), where, float(os.environ.get(LINGER) or _LINGER))
