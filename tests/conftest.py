"""What holds for every test: no network, repeatable random examples, and in CI no skipped test."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# Without a database an example found on one machine cannot decide a run on another; failures print
# what reproduces them (`--hypothesis-seed`, or a @reproduce_failure line).
settings.register_profile("local", database=None, print_blob=True, deadline=None)
settings.register_profile("ci", database=None, print_blob=True, derandomize=True, deadline=None)
settings.load_profile("ci" if IN_CI else "local")


SERVERS = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Have all processes of a run share the servers that they need (backends/searching/sharing)."""
    if "MOLEHUNT_SERVERS" not in os.environ:
        # Where pytest puts its own files, the path of a socket may become too long.
        config.stash[SERVERS] = tempfile.mkdtemp(prefix="molehunt-run-")
        os.environ["MOLEHUNT_SERVERS"] = config.stash[SERVERS]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: at the end, all other processes would wait for it."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The servers end with the run."""
    if SERVERS in config.stash:
        del os.environ["MOLEHUNT_SERVERS"]
        shutil.rmtree(config.stash[SERVERS], ignore_errors=True)


@pytest.fixture(scope="session")
def _kept_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped rules as `molehunt` keeps them after a first run, and what its engine works out
    from them, made once for each process."""
    from molehunt.cli import main
    from molehunt.rulecache import cached_sources
    from molehunt.rulefiles import builtin_rules_path

    place = tmp_path_factory.mktemp("kept")
    log = tmp_path_factory.mktemp("empty") / "empty.log"
    log.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLEHUNT_CACHE", str(place))
        cached_sources([builtin_rules_path()])
        main(["hunt", str(log), "--quiet"])
    return place


@pytest.fixture(autouse=True)
def _cache_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, _kept_rules: Path
) -> None:
    """No test depends on what another or the user has kept. The shipped rules are there as after a
    first run, which hundreds of tests would only repeat (tests/test_cache.py compares the two)."""
    place = tmp_path_factory.mktemp("cache")
    for file in _kept_rules.iterdir():
        os.link(file, place / file.name)  # molehunt replaces files and never writes into one
    monkeypatch.setenv("MOLEHUNT_CACHE", str(place))


LOCAL_NAMES = {None, "", "localhost", b"localhost"}


class NetworkUsed(RuntimeError):
    """A test reached beyond this machine. Not an OSError, which the code under test may expect."""


_guarding = False
_attempts: list[str] = []


def _address(host: object) -> IPv4Address | IPv6Address | None:
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _leaves(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a socket event reaches beyond this machine.

    Events and arguments: the table of audit events in the reference of Python's library.
    """
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        if not isinstance(arguments[1], tuple):  # a path, or None for a connected socket
            return False
        host = arguments[1][0]
        address = _address(host)
        return not address.is_loopback if address else host not in LOCAL_NAMES
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        return arguments[0] not in LOCAL_NAMES and _address(arguments[0]) is None
    return False


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    # An audit hook also sees what C code and an early `from socket import ...` do.
    if _guarding and event.startswith("socket.") and _leaves(event, arguments):
        what = f"{event} {arguments[0 if event.startswith('socket.get') else 1]!r}"
        _attempts.append(what)
        raise NetworkUsed(f"tests run offline, but this one called {what}")


sys.addaudithook(_guard)


@pytest.fixture(autouse=True)
def network_attempts() -> Iterator[list[str]]:
    """Lets a test reach this machine only; fails it if it tried more, even if its code hid that.

    The list holds the attempts so far, for the tests of this very rule.
    """
    global _guarding  # noqa: PLW0603 - an audit hook takes no arguments and cannot be removed
    _attempts.clear()
    _guarding = True
    yield _attempts
    _guarding = False
    if _attempts:
        pytest.fail("the test used the network: " + "; ".join(_attempts))


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI a skipped test is a failure: {reason}"


# First, so that these wrap pytest's own hooks and see an expected failure marked as one.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself while it is imported."""
    report = yield
    _refuse_skip(report)
    return report
