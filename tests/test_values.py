"""What is the same letter."""

from __future__ import annotations

from molehunt.detectors.values import near_case


def test_no_character_with_a_case_is_missing() -> None:
    """Asked one by one, which takes too long for a program that starts."""
    known = near_case()
    assert list(known) == sorted(set(known))
    cased = {
        character
        for character in map(chr, range(0x110000))
        if character.lower() != character or character.upper() != character
    }
    assert cased <= set(known)
