"""Draining leaves the processor to answers, until what waits has waited for long; and stops between
two batches.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from analytics.services.ingest import drain, giving_way
from analytics.services.ingest.drain import BATCH, HURRY_SECONDS, Drained, Overdue, Stopped
from experiments.core.clock import utc_now
from experiments.services.serving import spool


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
    monkeypatch.setattr(
        drain,
        "_drain_lines",
        lambda lines, now, since: time.sleep(0.01) or Drained(stored=len(lines)),
    )
    spool.append_lines([b"x\n"] * (2 * BATCH + 10))
    yield Resting()
    spool.release()


def test_drain__between_full_batches__rests_in_proportion(resting):
    assert drain.drain_once(utc_now(), rest=4, stop=resting).stored == 2 * BATCH + 10
    assert len(resting.rests) == 2
    assert all(0.04 <= rest < 4 for rest in resting.rests)


def aged(seconds: float) -> Path:
    """The present file left to the drainer, as if its first exposure had come so long ago."""
    left = spool.release()
    _, rest = left.name.split("-", 1)
    return left.rename(left.with_name(f"{time.time() - seconds:.6f}-{rest}"))


def test_drain__what_has_waited_for_long__is_left_to_somebody_in_a_hurry(resting):
    left = aged(HURRY_SECONDS + 1)
    os.utime(left)
    with pytest.raises(Overdue):
        drain.drain_once(utc_now(), rest=4, stop=resting)
    assert resting.rests == []
    assert drain.drain_once(utc_now(), stop=resting).stored == BATCH + 10


def test_spool__file_that_still_grows__is_as_old_as_its_first_exposure(resting):
    os.utime(aged(90))
    assert spool.lying().oldest_seconds == pytest.approx(90, abs=5)


@pytest.fixture
def niceness(resting, monkeypatch) -> list[tuple[int, int]]:
    """For each stored batch: the niceness of the thread that stored it, and of the process's first
    thread.
    """
    found: list[tuple[int, int]] = []

    def look(lines, now, since):
        threads = (threading.get_native_id(), os.getpid())
        found.append(tuple(os.getpriority(os.PRIO_PROCESS, thread) for thread in threads))
        return Drained(stored=len(lines))

    monkeypatch.setattr(drain, "_drain_lines", look)
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(drain, "REST", 0.001)
    monkeypatch.setattr(giving_way, "_AUTOGROUP", Path(os.devnull))
    return found


def drain_all() -> None:
    stop = threading.Event()

    def run(work, hurry):
        giving_way.run(work, hurry=hurry)
        if not spool.waiting():
            stop.set()

    drain.drain_until(stop, run)


def test_drainer__gives_way__until_the_backlog_is_old(niceness):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    drain_all()
    assert niceness == [(giving_way.LEAST, own)] * 3


def test_drainer__whose_file_becomes_old_while_it_rests__stores_the_rest_in_a_hurry(
    niceness, monkeypatch
):
    own, older = os.getpriority(os.PRIO_PROCESS, 0), HURRY_SECONDS + 1
    aged(HURRY_SECONDS - 1)
    monkeypatch.setattr(
        drain,
        "_rest",
        lambda path, *_: (
            path.rename(path.with_name(f"{time.time() - older}-x.jsonl")) and overdue()
        ),
    )
    drain_all()
    assert niceness[0] == (giving_way.LEAST, own)
    assert niceness[1] == (own, own)


def overdue() -> None:
    raise Overdue


def test_pass_in_a_thread__what_it_raises__reaches_the_loop():
    with pytest.raises(Overdue):
        giving_way.run(overdue, hurry=True)


def test_drain__asked_for_by_a_command__does_not_rest(resting):
    drain.drain_once(utc_now(), stop=resting)
    assert resting.rests == []


def test_drain__told_to_stop_amid_a_file__stops_after_the_batch_and_leaves_the_file(
    resting, monkeypatch, tmp_path
):
    stored = []
    monkeypatch.setattr(
        drain,
        "_drain_lines",
        lambda lines, now, since: (
            stored.append(len(lines)) or resting.set() or Drained(stored=len(lines))
        ),
    )
    with pytest.raises(Stopped):
        drain.drain_once(utc_now(), rest=4, stop=resting)
    assert stored == [BATCH]
    again = threading.Event()
    monkeypatch.setattr(drain, "_drain_lines", lambda lines, now, since: Drained(stored=len(lines)))
    assert drain.drain_once(utc_now(), stop=again).stored == BATCH + 10


def test_drain_until__told_to_stop_amid_a_file__ends(resting, monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(drain, "_drain_lines", lambda lines, now, since: stop.set() or Drained())
    thread = threading.Thread(target=drain.drain_until, args=(stop,), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive() and spool.waiting()
