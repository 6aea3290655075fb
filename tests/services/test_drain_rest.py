"""Draining leaves the processor to answers, until what waits has waited for long; and stops between two batches."""

from __future__ import annotations

import os
import threading
import time

import pytest

from analytics.services import drain
from analytics.services.drain import BATCH, HURRY_SECONDS, Drained, Stopped
from experiments.core.clock import utc_now
from experiments.services import spool


class Resting(threading.Event):
    """Keeps the seconds of each rest, and passes none of them."""

    def __init__(self) -> None:
        super().__init__()
        self.rests: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.rests.append(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def resting(settings, tmp_path, monkeypatch):
    """A spool of two full batches and a bit; storing takes no time worth mentioning."""
    spool.release()
    settings.SPOOL = tmp_path
    monkeypatch.setattr(drain, "_drain_lines", lambda lines, now: time.sleep(0.01) or Drained(stored=len(lines)))
    spool.append_lines([b"x\n"] * (2 * BATCH + 10))
    yield Resting()
    spool.release()


def test_drain__between_full_batches__rests_in_proportion(resting):
    assert drain.drain_once(utc_now(), rest=4, stop=resting).stored == 2 * BATCH + 10
    assert len(resting.rests) == 2
    assert all(0.04 <= rest < 4 for rest in resting.rests)


def test_drain__what_has_waited_for_long__is_hurried(resting):
    left = spool.release()
    long_ago = time.time() - HURRY_SECONDS - 1
    os.utime(left, (long_ago, long_ago))
    assert drain.drain_once(utc_now(), rest=4, stop=resting).stored == 2 * BATCH + 10
    assert resting.rests == []


def test_drain__asked_for_by_a_command__does_not_rest(resting):
    drain.drain_once(utc_now(), stop=resting)
    assert resting.rests == []


def test_drain__told_to_stop_amid_a_file__stops_after_the_batch_and_leaves_the_file(resting, monkeypatch, tmp_path):
    stored = []
    monkeypatch.setattr(drain, "_drain_lines", lambda lines, now: stored.append(len(lines)) or resting.set() or Drained(stored=len(lines)))
    with pytest.raises(Stopped):
        drain.drain_once(utc_now(), rest=4, stop=resting)
    assert stored == [BATCH]
    again = threading.Event()
    monkeypatch.setattr(drain, "_drain_lines", lambda lines, now: Drained(stored=len(lines)))
    assert drain.drain_once(utc_now(), stop=again).stored == 2 * BATCH + 10


def test_drain_until__told_to_stop_amid_a_file__ends(resting, monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(drain, "_drain_lines", lambda lines, now: stop.set() or Drained())
    thread = threading.Thread(target=drain.drain_until, args=(stop,), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive() and spool.waiting()
