"""Draining leaves the processor to answers, until what waits has waited for long."""

from __future__ import annotations

import os
import time

import pytest

from analytics.services import drain
from analytics.services.drain import BATCH, HURRY_SECONDS, Drained
from experiments.core.clock import utc_now
from experiments.services import spool


@pytest.fixture
def rests(settings, tmp_path, monkeypatch):
    """Seconds of each rest; storing takes no time worth mentioning."""
    spool.release()
    settings.SPOOL, found = tmp_path, []
    monkeypatch.setattr(drain, "_drain_lines", lambda lines, now: time.sleep(0.01) or Drained(stored=len(lines)))
    monkeypatch.setattr(drain._stop, "wait", found.append)
    spool.append_lines([b"x\n"] * (2 * BATCH + 10))
    yield found
    spool.release()


def test_drain__between_full_batches__rests_in_proportion(rests):
    assert drain.drain_once(utc_now(), rest=4).stored == 2 * BATCH + 10
    assert len(rests) == 2
    assert all(0.04 <= rest < 4 for rest in rests)


def test_drain__what_has_waited_for_long__is_hurried(rests):
    left = spool.release()
    long_ago = time.time() - HURRY_SECONDS - 1
    os.utime(left, (long_ago, long_ago))
    assert drain.drain_once(utc_now(), rest=4).stored == 2 * BATCH + 10
    assert rests == []


def test_drain__asked_for_by_a_command__does_not_rest(rests):
    drain.drain_once(utc_now())
    assert rests == []
