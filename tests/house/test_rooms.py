"""A room has few enough modules to be read at a glance, and lines fit beside each other. What does
not yet may only shrink.
"""

from __future__ import annotations

from collections import Counter

from tests.house.product import modules

MOST = 25
LARGER = {"experiments/admin": 58}
"""Folders with more modules than ``MOST``, and how many they have."""


def test_rooms__with_too_many_modules__are_exactly_those_listed() -> None:
    """Whoever adds a module to one of these finds it a room of its own; whoever moves some out
    lowers the number.
    """
    rooms = Counter(path.parent.as_posix() for path in modules() if path.name != "__init__.py")
    assert {room: count for room, count in rooms.items() if count > MOST} == LARGER
