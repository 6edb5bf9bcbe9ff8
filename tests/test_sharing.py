"""A server that the processes of a run share: started once, and gone with the last of them.

What is shared here starts fast: a distribution made by the test, which listens where its settings
say and answers as a cluster does. Fetching, checksum, unpacking, ports and processes are real.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from molehunt.backends.elastic.engine import DISTRIBUTION as ELASTICSEARCH
from molehunt.backends.java import java_home
from molehunt.backends.searching import server, sharing
from molehunt.backends.searching.server import Distribution, NoServer, missing

USER = """
import sys
from molehunt.backends.searching.sharing import _read, shared
with shared(_read(sys.argv[1])) as address:
    print(address, flush=True)
    sys.stdin.read()
"""
SERVER = """
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.file.*;
import java.util.*;
public class Toy {
    public static void main(String[] none) throws Exception {
        Map<String, String> settings = new HashMap<>();
        for (String line : Files.readAllLines(Path.of("config/toy.yml"))) {
            settings.put(line.split(": ")[0], line.split(": ")[1]);
        }
        if (settings.containsKey("broken")) throw new Exception("this one never starts");
        int port = Integer.parseInt(settings.get("http.port"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        String name = settings.get("cluster.name");
        long pid = ProcessHandle.current().pid();
        String told = "{'cluster_name': '" + name + "', 'pid': " + pid + "}";
        byte[] said = told.replace("'", String.valueOf((char) 34)).getBytes();
        server.createContext("/", one -> {
            one.sendResponseHeaders(200, said.length);
            one.getResponseBody().write(said);
            one.close();
        });
        server.start();
    }
}
"""
PROGRAM = """#!/bin/sh
exec "$ES_JAVA_HOME/bin/java" -XX:TieredStopAtLevel=1 -cp bin Toy
"""


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server, compiled."""
    java = java_home(ELASTICSEARCH.java, ELASTICSEARCH.java_variable)
    if java is None:
        pytest.skip(f"it needs {missing(ELASTICSEARCH)}")
    folder = tmp_path_factory.mktemp("classes")
    (folder / "Toy.java").write_text(SERVER)
    subprocess.run([java / "bin/javac", "Toy.java"], cwd=folder, check=True)
    return folder


@pytest.fixture
def toy(classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """A distribution in the cache, and a folder in which its server is shared."""
    made = replace(
        ELASTICSEARCH, name="toy", group="org.example", artifact="toy", version="1", program="toy",
        modules=frozenset({"kept"}), settings=(), added=(),
    )  # fmt: skip
    monkeypatch.setenv("MOLEHUNT_ENGINES", str(tmp_path / "engines"))
    run = tmp_path / "s"
    monkeypatch.setenv("MOLEHUNT_SERVERS", os.path.relpath(run))
    monkeypatch.setenv("MOLEHUNT_SERVERS_LINGER", "1")
    place = server._zip(made)
    place.parent.mkdir(parents=True)
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("toy-1/bin/toy", PROGRAM)
        for path in classes.glob("*.class"):
            archive.write(path, f"toy-1/bin/{path.name}")
        archive.writestr("toy-1/config/", "")
        archive.writestr("toy-1/modules/kept/one.jar", "")
        archive.writestr("toy-1/modules/other/two.jar", "")
    return replace(made, sha256=hashlib.sha256(place.read_bytes()).hexdigest())


Start = Callable[[], subprocess.Popen[str]]


@pytest.fixture
def user(toy: Distribution) -> Iterator[Start]:
    """Starts processes that use the server until their standard input ends."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", USER, sharing._written(toy)]
        pipe = subprocess.PIPE
        one = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


def address(one: subprocess.Popen[str]) -> str:
    """What a user was told."""
    assert one.stdout is not None
    return one.stdout.readline().strip()


def process(address: str) -> int:
    """The process of the server at an address."""
    with urllib.request.urlopen(f"{address}/_cluster/health", timeout=30) as answer:
        return int(re.search(r'"pid": (\d+)', answer.read().decode()).group(1))  # type: ignore[union-attr]


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return bool(told.stdout.strip()) and not told.stdout.strip().startswith(b"Z")


def ends(pid: int) -> bool:
    """Whether a process ends within a minute."""
    until = time.monotonic() + 60
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.1)
    return not runs(pid)


def keeper(pid: int) -> int:
    """The process that started a server."""
    told = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True)
    return int(told.stdout)


def test_one_for_all_until_the_last_is_gone(user: Start) -> None:
    """Two that come at once have the same; it stays for the second, however the first went."""
    first, second = user(), user()
    where = address(first)
    assert address(second) == where
    pid = process(where)
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(2.5)
    assert process(where) == pid
    third = user()
    assert address(third) == where
    third.communicate(timeout=60)
    second.send_signal(signal.SIGKILL)
    assert ends(pid)


def test_a_new_one_after_the_last(user: Start, toy: Distribution) -> None:
    """Whoever comes when it is gone starts another, whatever lies about."""
    first = user()
    pid = process(address(first))
    first.communicate(timeout=60)
    assert ends(pid)
    again = user()
    other = process(address(again))
    assert other != pid
    again.communicate(timeout=60)
    assert ends(other)


def test_a_killed_keeper_takes_it_along(user: Start) -> None:
    """Nothing is left running; what it left lying does not hinder the next."""
    pid = process(address(user()))
    os.kill(keeper(pid), signal.SIGKILL)
    if sys.platform == "linux":
        assert ends(pid)
    other = process(address(user()))
    assert other != pid


def test_it_ends_with_its_folder(user: Start, toy: Distribution, monkeypatch: Any) -> None:
    """What waits for a next stage does not wait for a run that is over."""
    monkeypatch.setenv("MOLEHUNT_SERVERS_LINGER", "3600")
    one = user()
    pid = process(address(one))
    one.communicate(timeout=60)
    time.sleep(2.5)
    assert runs(pid)
    for path in Path(os.environ["MOLEHUNT_SERVERS"]).iterdir():
        path.unlink()
    assert ends(pid)


def test_what_does_not_start_is_told_to_all(toy: Distribution) -> None:
    """With the end of what it said; and there is another try."""
    broken = replace(toy, settings=("broken: yes",))
    for _ in range(2):
        with pytest.raises(NoServer, match="this one never starts"), sharing.shared(broken):
            pass


def test_the_checksum_holds_there_too(toy: Distribution) -> None:
    """A keeper runs nothing else than what was asked for."""
    with (
        pytest.raises(NoServer, match="is not what it should be"),
        sharing.shared(replace(toy, sha256="0" * 64)),
    ):
        pass


def test_another_took_the_port(toy: Distribution, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of another run that answers there is not taken for ours."""
    monkeypatch.delenv("MOLEHUNT_SERVERS")
    with server.running(toy) as other:
        taken = int(other.rpartition(":")[2])
        free = server._free_port
        ports = iter([taken, free()])
        monkeypatch.setattr(server, "_free_port", lambda: next(ports, None) or free())
        with server.running(toy) as mine:
            assert mine != other
            assert process(mine) != process(other)


def test_modules_that_are_not_kept_are_not_unpacked(toy: Distribution, tmp_path: Path) -> None:
    """They are most of what is in there."""
    home = server._unpacked(toy, tmp_path)
    assert [path.name for path in (home / "modules").iterdir()] == ["kept"]
    assert os.access(home / "bin" / "toy", os.X_OK)


@pytest.mark.parametrize("wanted", [ELASTICSEARCH], ids=["elasticsearch"])
def test_it_goes_to_the_keeper_as_it_is(wanted: Distribution) -> None:
    """What is run there is what was asked for."""
    assert sharing._read(sharing._written(wanted)) == wanted
    assert asdict(wanted)["modules"] == wanted.modules


def test_alone(toy: Distribution) -> None:
    """One after the other, also in two processes."""
    code = "from molehunt.backends.searching.sharing import alone\nwith alone('x'): print('in')"
    with sharing.alone("x"):
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(3)
    assert other.communicate(timeout=60)[0] == "in\n"
