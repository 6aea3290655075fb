"""What the demo says while it starts: little, and who can log in."""

from __future__ import annotations

from collections import Counter
from io import StringIO

from django.core.management.base import OutputWrapper

from analytics.management.commands.demo_traffic import progress
from analytics.management.commands.load_examples import LineEach
from config.management.commands.demo import greeting
from experiments.core.cast import CAST


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def told(out: StringIO) -> str:
    each = LineEach(OutputWrapper(out))
    for text in ("first: drafted", "first: 24 Oct", "first: 25 Oct", "second: drafted"):
        each(text)
    each.end()
    return out.getvalue()


def test_loading__into_a_file__is_one_line_for_each_example() -> None:
    assert told(StringIO()) == "first: 25 Oct\nsecond: drafted\n"


def test_loading__on_a_terminal__is_one_growing_line_for_each_example() -> None:
    assert told(Terminal()).replace("\r\033[K", "<") == "<first: drafted<first: 24 Oct<first: 25 Oct\n<second: drafted\n"


def test_greeting__names_everybody_who_can_log_in_and_the_password() -> None:
    said = greeting()[0]
    assert all(person.username in said for person in CAST)
    assert "password is demo" in said and "Act as" in said


def test_traffic__is_one_line_by_experiment() -> None:
    seen = Counter({"visits": 3, "events": 1, "b=on": 1, "a=control": 1, "a=test": 1})
    assert progress(seen) == "3 visits, 1 events; a: control 1, test 1; b: on 1"
