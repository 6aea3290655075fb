"""What an event may be called: words of every script, joined by ``_ . : / -``."""

from __future__ import annotations

import unicodedata

from analytics.core.intake.item_fields import Bad, shown

LONGEST = 80
_JOINTS = frozenset("_.:/-")
EXPECTED = "1 to 80 letters and digits of any script, and _ . : / -"


def event_type(value: str) -> str:
    """The name, when it may be one; letters that can be written in two ways are written in one
    (NFC).
    """
    name = unicodedata.normalize("NFC", value)
    if not 1 <= len(name) <= LONGEST or not all(map(_fits, name)):
        raise Bad("invalid", "event_type", f"event_type: expected {EXPECTED}; found {shown(value)}")
    return name


def from_words(name: str) -> str:
    """A name as people write it as one of our types: one that could be one is kept, ``Order
    Completed`` becomes ``order_completed``.

    Empty, where it has no letter or digit at all.
    """
    name = unicodedata.normalize("NFC", name)
    if all(map(_fits, name)):
        return name
    words = "".join(character if _fits(character) else " " for character in name).split()
    return "_".join(words).strip("_").lower()


def _fits(character: str) -> bool:
    """A letter, a digit, a mark that belongs to a letter (as in Hindi or Thai), or a joint."""
    return (
        character in _JOINTS
        or character.isalnum()
        or unicodedata.category(character).startswith("M")
    )
