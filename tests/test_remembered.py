"""What was made of the same objects is not made again."""

from __future__ import annotations

import gc

import pytest

from molehunt.backends import remembered as module
from molehunt.backends.remembered import remembered


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered from other tests."""
    monkeypatch.setattr(module, "_MADE", {})


def test_the_same_objects_are_asked_once() -> None:
    """Equal ones are not the same, nor is another kind of the same."""
    one, equal, made = ["a"], ["a"], []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [remembered(make, "x", one) for _ in range(3)] == [1, 1, 1]
    assert remembered(make, "x", equal) == 2
    assert remembered(make, "y", one) == 3
    assert remembered(make, "x", one, equal) == 4


def test_an_identity_is_never_given_to_another() -> None:
    """What it was made of stays as long as what was made."""
    for number in range(500):
        assert remembered(lambda number=number: number, "x", [number]) == number
        gc.collect(0)


def test_it_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on after it was emptied."""
    monkeypatch.setattr(module, "MOST", 10)
    for number in range(100):
        assert remembered(lambda number=number: number, "x", [number]) == number
        assert len(module._MADE) <= 10


def test_what_goes_wrong_is_not_remembered() -> None:
    """The next time it is tried again."""
    one = object()
    with pytest.raises(ZeroDivisionError):
        remembered(lambda: 1 // 0, "x", one)
    assert remembered(lambda: 7, "x", one) == 7
