"""The ground rules of conftest.py: a test that breaks one does fail."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

# These tests hunt with no rules, and need not load them to begin with.
NOTHING_KEPT = """
import pytest

@pytest.fixture(scope="session")
def _kept_rules(tmp_path_factory):
    return tmp_path_factory.mktemp("nothing")
"""


def run_pytest(folder: Path, test: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one test file under a copy of this conftest, with nothing else of this checkout."""
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_it.py").write_text(f"{NOTHING_KEPT}\n{test}", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(folder), "-q"],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_other_hosts_are_out_of_reach(network_attempts: list[str]) -> None:
    """Neither a connection, nor a datagram, nor a name look-up leaves this machine."""
    with (
        socket.socket() as stream,
        socket.socket(type=socket.SOCK_DGRAM) as datagram,
        socket.socket(socket.AF_INET6) as six,
    ):
        for call in (
            lambda: stream.connect(("192.0.2.1", 80)),
            lambda: stream.connect_ex(("192.0.2.1", 80)),
            lambda: datagram.sendto(b"", ("198.51.100.1", 53)),
            lambda: six.connect(("2001:db8::1", 80)),
            lambda: socket.create_connection(("host.example", 80)),
            lambda: socket.gethostbyname("host.example"),
        ):
            with pytest.raises(RuntimeError, match="offline"):
                call()
    assert len(network_attempts) == 6
    network_attempts.clear()


def test_this_machine_is_in_reach(tmp_path: Path) -> None:
    """A test may run a server on the loopback address or on a socket file."""
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_UNIX, str(tmp_path / "socket")),
    ):
        with socket.socket(family) as server, socket.socket(family) as client:
            server.bind(address)
            server.listen()
            thread = threading.Thread(target=lambda server=server: server.accept()[0].close())
            thread.start()
            client.connect(server.getsockname())
            assert client.recv(1) == b""
            thread.join()
    assert socket.getaddrinfo("localhost", 80)


def test_a_hidden_attempt_fails_the_test(tmp_path: Path) -> None:
    """Code that swallows the refusal does not hide it."""
    done = run_pytest(
        tmp_path,
        """
import socket

def test_hides():
    try:
        socket.create_connection(("192.0.2.1", 80))
    except RuntimeError:
        pass
""",
    )
    assert done.returncode == 1
    assert "the test used the network: socket.connect ('192.0.2.1', 80)" in done.stdout


SKIPPING = """
import pytest

@pytest.mark.skip(reason="no time")
def test_marked(): ...

def test_inside():
    pytest.skip("no luck")

@pytest.mark.xfail(strict=True)
def test_known_to_fail():
    assert False
"""


def test_a_skip_fails_in_ci(tmp_path: Path) -> None:
    """Each skip is listed with its reason; an expected failure is none."""
    done = run_pytest(tmp_path, SKIPPING, CI="true")
    assert done.returncode == 1
    assert "no time" in done.stdout
    assert "no luck" in done.stdout
    assert "1 failed, 1 xfailed, 1 error" in done.stdout


def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    """On a person's own machine a skip fails nothing."""
    done = run_pytest(tmp_path, SKIPPING)
    assert done.returncode == 0
    assert "2 skipped, 1 xfailed" in done.stdout


def test_a_skipped_module_fails_in_ci(tmp_path: Path) -> None:
    """A module that skips itself for want of a library fails as well."""
    done = run_pytest(tmp_path, "import pytest\npytest.importorskip('no_such_library')\n", CI="1")
    assert done.returncode != 0
    assert "no_such_library" in done.stdout
    assert "1 error" in done.stdout
