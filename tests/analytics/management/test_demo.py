"""What the demo says while it starts: little, and who can log in."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from typing import Any

import numpy as np
import pytest
from django.core.management.base import OutputWrapper

from analytics.management.commands.demo_traffic import progress, visit
from analytics.management.commands.load_examples import LineEach
from analytics.services.examples.plans import EXAMPLES
from config.management.commands.demo import greeting
from experiments.selectors.cast import CAST


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
    assert (
        told(Terminal()).replace("\r\033[K", "<")
        == "<first: drafted<first: 24 Oct<first: 25 Oct\n<second: drafted\n"
    )


def test_greeting__names_everybody_who_can_log_in_and_the_password() -> None:
    said = greeting()[0]
    assert all(person.username in said for person in CAST)
    assert "password is demo" in said and "Act as" in said


def test_traffic__is_one_line_by_experiment() -> None:
    seen = Counter({"visits": 3, "events": 1, "b=on": 1, "a=control": 1, "a=test": 1})
    assert progress(seen) == "3 visits, 1 events; a: control 1, test 1; b: on 1"


class Answering:
    """A door that gives everybody the last arm of each experiment, or none, and remembers what it
    is told.
    """

    def __init__(self, *, serving: bool) -> None:
        self.serving = serving
        self.told: list[tuple[str, dict[str, Any]]] = []

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.told.append((path, body))
        last = {
            example.key: example.spec.variants[-1].key if self.serving else None
            for example in EXAMPLES
        }
        return {
            "assignments": [
                {"experiment": key, "variant": last[key]} for key in body.get("experiments", ())
            ]
        }


@pytest.mark.parametrize("serving", [True, False])
def test_traffic__whatever_is_served__does_what_the_truth_says_and_asks_the_ai_only_where_it_serves(
    serving: bool,
) -> None:
    door, chance, seen = Answering(serving=serving), np.random.default_rng(4), Counter[str]()
    for _ in range(300):
        seen += visit(door, chance)  # type: ignore[arg-type]  # the same call
    sent = [
        event for path, body in door.told if path.endswith("/events") for event in body["events"]
    ]
    types = {event["event_type"] for event in sent}
    assert seen["visits"] == 300 and "apply" in types
    assert ("ai_request" in types) is serving
    assert any(path.endswith("/observations") for path, _ in door.told) is serving
    assert all(
        example.truth.keys() <= {arm.key for arm in example.spec.variants} for example in EXAMPLES
    )


def test_traffic__each_application__has_people_of_its_own() -> None:
    door, chance = Answering(serving=True), np.random.default_rng(5)
    for _ in range(400):
        visit(door, chance)  # type: ignore[arg-type]  # the same call
    asked = [
        (*body["units"].items(), *body["experiments"])
        for path, body in door.told
        if path.endswith("/assignments")
    ]
    applications = {unit: {key for other, key in asked if other == unit} for unit, _ in asked}
    assert {len(keys) for keys in applications.values()} == {1}
    assert {key for _, key in asked} == {
        example.key for example in EXAMPLES if example.truth and example.stage != "completed"
    }
