"""Beat, while Redis is away: the ticks go on, and the log has one line for the whole outage."""

from __future__ import annotations

import logging

import pytest
from celery.beat import ScheduleEntry, SchedulingError

from config.celery import app
from config.processes.wake_ups import StaticScheduler


@pytest.fixture
def beat(monkeypatch: pytest.MonkeyPatch) -> StaticScheduler:
    """A scheduler whose messages are refused for as long as ``away`` is set on it."""
    made = StaticScheduler(app, lazy=True)

    def send(entry: ScheduleEntry, producer: object = None, advance: bool = True) -> None:
        if made.away:
            raise SchedulingError(
                "Couldn't apply scheduled task: Error 111 connecting to redis. Connection refused."
            )

    made.away = True
    monkeypatch.setattr(made, "apply_async", send)
    return made


def test_beat__redis_away_for_many_ticks__logs_one_line_without_a_traceback_and_one_at_the_end(
    beat: StaticScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    entry = ScheduleEntry(
        "honour", "experiments.tasks.honour_planned_start_end", schedule=10.0, app=app
    )
    with caplog.at_level(logging.DEBUG):
        for _ in range(20):
            beat.apply_entry(entry)
        beat.away = False
        for _ in range(3):
            beat.apply_entry(entry)
    assert caplog.text.count("wake_ups_not_sent") == 1
    assert caplog.text.count("wake_ups_sent_again") == 1
    assert "Traceback" not in caplog.text and not any(line.exc_info for line in caplog.records)
