"""A count that runs out of time is routine: a line without a traceback, and another attempt
later.
"""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from analytics.models import OutcomeCount
from analytics.services.analysis import counting
from experiments.core.clock import utc_now
from tests.analytics.stores.observed import World, crowd, plan, world

pytestmark = pytest.mark.django_db
SLEEPS = "SELECT 1, NULL, 1 FROM pg_sleep(5)"


def counted_world() -> World:
    w = world()
    plan(w, "primary", "apply_conversion", baseline=0.2, mde=0.2)
    crowd(w, "control", 10, utc_now() - timedelta(hours=2), events={"apply": 3})
    return w


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [
        record for record in caplog.records if record.name == "analytics.services.analysis.counting"
    ]


def test_count__out_of_time__is_one_warning_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counted_world()
    monkeypatch.setattr(counting, "_SQL", SLEEPS)
    counting.count_within(utc_now(), 0.2)
    [line] = lines(caplog)
    assert line.levelno == logging.WARNING
    assert "outcomes_not_counted_in_time" in line.getMessage()
    assert "Traceback" not in line.getMessage()


def test_count__out_of_time__is_tried_again_later_and_not_at_every_tick(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given numbers that are an hour old
    w, now = counted_world(), utc_now()
    counting.count_all(now - timedelta(hours=1))
    real = counting._SQL
    monkeypatch.setattr(counting, "_SQL", SLEEPS)
    monkeypatch.setattr(counting, "LONGEST_MS", 200)
    # When counting takes too long at two ticks
    counting.count_all(now)
    counting.count_all(now + timedelta(seconds=5))
    # Then it was tried once, the numbers stay, and a later tick counts again
    assert len(lines(caplog)) == 1
    row = OutcomeCount.objects.get(iteration=w.iteration)
    assert [arm["units"] for arm in row.arms] == [10, 0]
    assert row.counted_at == now - timedelta(hours=1)
    monkeypatch.setattr(counting, "_SQL", real)
    later = now + timedelta(seconds=11)
    counting.count_all(later)
    assert OutcomeCount.objects.get(iteration=w.iteration).counted_at == later


def test_count__first_one_out_of_time__has_no_numbers_until_one_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w, real = counted_world(), counting._SQL
    monkeypatch.setattr(counting, "_SQL", SLEEPS)
    monkeypatch.setattr(counting, "LONGEST_MS", 200)
    assert counting.counted(w.iteration, utc_now()) is None
    monkeypatch.setattr(counting, "_SQL", real)
    found = counting.counted(w.iteration, utc_now())
    assert found is not None and [arm["units"] for arm in found.arms] == [10, 0]
