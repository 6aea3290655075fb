"""The page on notifications: what it says to do with a signature, done; and what it says of us,
held to the code.
"""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta

from experiments.core.messages.notices import CHOICES, DAILY
from experiments.core.messages.retries import ATTEMPTS, due_again
from experiments.services.ground.outbox import DIGEST_AT
from tests.places import ROOT

PAGE = ROOT / "docs" / "notifications.md"


def test_guide__its_examples__print_what_it_says() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried >= 8) == (0, True)


def test_guide__kinds_schedule_and_hour__are_the_codes() -> None:
    text = " ".join(PAGE.read_text().split())
    at_once, _, daily = text.partition("Everything else")
    assert {kind for kind in CHOICES if f"`{kind}`" in at_once} == set(CHOICES) - DAILY
    assert {kind for kind in CHOICES if f"(`{kind}`)" in daily.partition(".")[0]} == DAILY
    now = datetime(2026, 3, 2, tzinfo=UTC)
    pauses = [
        (due_again(now, attempt) - now) / timedelta(minutes=1) for attempt in range(1, ATTEMPTS)
    ]
    assert pauses == [1, 4, 16, 64, 256, 1024]
    assert "after 1, 4, 16, 64 minutes, about 4 and about 17 hours" in text
    assert f"after {DIGEST_AT:%H:%M} UTC" in text
