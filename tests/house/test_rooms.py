"""A room has few enough modules to be read at a glance, and lines fit beside each other. What does
not yet may only shrink.
"""

from __future__ import annotations

from collections import Counter

from tests.house.product import every_module, modules

MOST = 25
WIDTH = 100
BEYOND = 0.01
"""The share of lines that may be longer than ``WIDTH``: addresses, tables and sentences in code."""
LARGER = {"experiments/admin": 58}
"""Folders with more modules than ``MOST``, and how many they have."""


def test_rooms__with_too_many_modules__are_exactly_those_listed() -> None:
    """Whoever adds a module to one of these finds it a room of its own; whoever moves some out
    lowers the number.
    """
    rooms = Counter(path.parent.as_posix() for path in modules() if path.name != "__init__.py")
    assert {room: count for room, count in rooms.items() if count > MOST} == LARGER


def test_lines__longer_than_the_width__are_under_one_in_a_hundred() -> None:
    lines = [line for path in every_module() for line in path.read_text().splitlines()]
    beyond = sum(len(line) > WIDTH for line in lines)
    assert beyond < BEYOND * len(lines), f"{beyond} of {len(lines)} lines"
