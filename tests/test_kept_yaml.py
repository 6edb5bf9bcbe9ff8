"""YAML that is kept from one run to the next says the same as when it was read."""

from __future__ import annotations

from datetime import date

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from molehunt import cache, data
from molehunt.data import NotYamlError, yaml_of
from molehunt.yamlloader import SAFE_LOADER

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner)
)


# A list of ten lists of ten lists and so on.
BOMB = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 9)
)


@pytest.fixture(autouse=True)
def _own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path_factory.mktemp("cache")
    place.chmod(0o700)
    monkeypatch.setenv("MOLEHUNT_CACHE", str(place))


def kept() -> int:
    """How many files there are."""
    place = cache.folder()
    assert place is not None
    return len(list(place.iterdir()))


@given(VALUES)
def test_kept_yaml_comes_back_as_it_was(value: object) -> None:
    """Keys that are numbers, dates, infinities and all."""
    content = yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    try:
        wanted = yaml.load(content, SAFE_LOADER)
    except yaml.YAMLError:
        with pytest.raises(NotYamlError):
            yaml_of(content)
        return
    for _ in range(2):
        assert repr(yaml_of(content)) == repr(wanted)


def test_the_second_time_nothing_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else keeping it would be for nothing."""
    content = b"levels: {1: low}\ndate: 2026-11-26\n"
    wanted = {"levels": {1: "low"}, "date": date(2026, 11, 26)}
    assert yaml_of(content) == wanted
    monkeypatch.setattr(yaml, "load", lambda *_: pytest.fail("parsed again"))
    assert yaml_of(content) == wanted
    assert data.load_yaml  # the same way for the files of the package


def test_what_is_not_what_was_kept_is_read_anew() -> None:
    """A file of another form under the same name."""
    content = b"a: 1\n"
    yaml_of(content)
    place = cache.folder()
    assert place is not None
    (file,) = place.iterdir()
    for other in ([["x"], 1], {"yaml": 1, "more": 2}, 7):
        cache.keep(file.stem, other)
        assert yaml_of(content) == {"a": 1}


@pytest.mark.parametrize("content", [b"at: 2026-11-26 10:00:00\n", b"a: &a [*a]\n", BOMB])
def test_what_json_cannot_say_is_not_kept(content: bytes) -> None:
    """Moments, and what refers to itself."""
    yaml_of(content)
    assert not kept()


def test_what_is_no_yaml_says_where() -> None:
    """And is told each time."""
    for _ in range(2):
        with pytest.raises(NotYamlError, match="line 1"):
            yaml_of(b"a: [1\n")
