"""Draining the exposure spool into the table of assignments.

A process beside the web processes does this all the time (``manage.py drain_spool``), or a thread
of each where nobody runs one. Any number of drainers may run: a file is taken under its lock and
removed when everything in it is committed. Doing a file twice (after a crash between the two)
counts nothing twice, since every line carries its event id.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog
from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
)

from analytics.services.ingest.ingest import record_exposures
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput
from experiments.core.serving.exposure import QueuedExposure, from_line, to_line
from experiments.metrics import EXPOSURES_REJECTED
from experiments.services.ground.lock_waits import is_locked
from experiments.services.serving import spool, spool_progress

log = structlog.get_logger(__name__)

BATCH = 50
"""Small, so that an answer waits for no long statement on the same processors; smaller ones cost
more than they spare.
"""
TICK_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 5.0
REST = 19.0
HURRY_SECONDS = 60.0
"""Storing an exposure takes longer than answering a request, on the same processors. So in a rush
of requests the answers come first and a twentieth of the time is enough for what they leave behind,
until that has waited for a minute: from then on nobody rests, and nobody gives way
(``giving_way``), until the backlog is younger again."""
OUTAGE = (OperationalError, InterfaceError)
"""The database is away: nothing is wrong with the lines, try again later."""
HELD_BACK_SECONDS = 15.0
"""For so long nobody tries again to store exposures of an experiment whose row was locked."""
REJECTED = "rejected.txt"
"""Lines that could not be stored, with the reason, for a person to look at."""

_held_back: dict[int, float] = {}
_stop = threading.Event()
_threads: dict[str, threading.Thread] = {}
_starting = threading.Lock()


@dataclass(frozen=True)
class Drained:
    """What one pass did: files emptied, lines stored, lines known before, lines set aside."""

    files: int = 0
    stored: int = 0
    known: int = 0
    rejected: int = 0

    def __add__(self, other: Drained) -> Drained:
        return Drained(
            self.files + other.files,
            self.stored + other.stored,
            self.known + other.known,
            self.rejected + other.rejected,
        )


class Stopped(Exception):
    """Told to stop amid a file: it stays, and whoever reads it next goes on behind the last full
    batch.
    """


class Overdue(Exception):
    """A file became too old while it was drained at leisure: somebody in a hurry must go on."""


Run = Callable[[Callable[[], object], bool], None]
"""Runs one pass; the second argument says whether there is a hurry."""


def drain_once(now: datetime, rest: float = 0, stop: threading.Event | None = None) -> Drained:
    """Take in every file that nobody is writing to or draining. Raises when the database is away;
    no file is lost then.

    After each full batch it rests ``rest`` times as long as the batch took, and raises ``Overdue``
    when the file has waited for too long to be drained with rests. It raises ``Stopped`` when it
    was told to ``stop``.
    """
    done, halt = Drained(), stop or threading.Event()
    for path in spool.waiting():
        done += _drain_path(path, now, rest, halt)
    # Our own last: during an outage the line above raises first, and the file grows instead of a
    # thousand small ones.
    left = spool.release()
    return done + _drain_path(left, now, rest, halt) if left is not None else done


def drain_now(now: datetime, seconds: float) -> int:
    """Store what was queued on this host before an answer that counts it; how many lines still
    wait.

    A file belongs to its writer until he hands it over, which he does twice a second. Other hosts
    have spools of their own.
    """
    end, halt = time.monotonic() + seconds, threading.Event()
    timer = threading.Timer(seconds, halt.set)
    timer.start()
    try:
        before = _filled()
        while before & _filled() and time.monotonic() < end:
            drain_once(now, stop=halt)
            if before & _filled():
                halt.wait(0.1)
    except Stopped:
        pass  # the file stays for the drainer beside us
    finally:
        timer.cancel()
    return sum(map(_lines, _filled()))


def _filled() -> set[Path]:
    """The spool's files that hold anything."""
    found = set()
    for path in spool.waiting():
        with suppress(FileNotFoundError):
            if path.stat().st_size:
                found.add(path)
    return found


def _lines(path: Path) -> int:
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(spool_progress.stored_bytes(path))
        return sum(block.count(b"\n") for block in iter(partial(file.read, 1 << 20), b""))
    return 0


def _at_once(work: Callable[[], object], hurry: bool) -> None:
    """In this thread, with whatever priority it has."""
    work()


def start_draining() -> None:
    """Drain in a thread for as long as this process lives; asking again changes nothing."""
    _start("spool-drain", partial(drain_until, _stop))


def start_handing_over() -> None:
    """Leave what this process queues to a drainer in another one, for as long as this process
    lives.
    """
    _start("spool-hand-over", _hand_over)


def stop_draining(timeout: float = 5.0) -> None:
    """End the threads after the pass they are in; what is still spooled waits for the next
    drainer.
    """
    _stop.set()
    for thread in _threads.values():
        thread.join(timeout)


def _start(name: str, work: Callable[[], None]) -> None:
    with _starting:
        if name in _threads and _threads[name].is_alive():
            return
        _stop.clear()
        _threads[name] = threading.Thread(target=work, name=name, daemon=True)
        _threads[name].start()


def drain_until(stop: threading.Event, run: Run = _at_once) -> None:
    """Pass after pass, slower while the database is away, in a hurry while the backlog is old,
    until told to stop.
    """
    wait, hurry = TICK_SECONDS, False
    while not stop.wait(wait):
        try:
            hurry = _hurries(hurry)
            run(partial(_pass, 0 if hurry else REST, stop), hurry)
            wait = TICK_SECONDS
        except Stopped:
            return
        except Overdue:
            wait = 0.0
        except Exception as error:  # noqa: BLE001 (whoever drains must outlive whatever went wrong; the spool keeps what was not stored)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            log.warning("drain_failed", error=str(error), retry_in=wait)


def _pass(rest: float, stop: threading.Event) -> None:
    try:
        close_old_connections()
        drain_once(utc_now(), rest, stop)
    finally:
        with suppress(*OUTAGE):
            connection.close()


def _hurries(before: bool) -> bool:
    """Whether the backlog is old; the log has a line when that changes.

    Exposures that were put back because of a lock count from then on: haste would not store them
    any sooner.
    """
    waited = max(map(spool.age, spool.waiting()), default=0.0)
    hurry = waited > HURRY_SECONDS
    if hurry is not before:
        log.info("drain_hurries" if hurry else "drain_gives_way", oldest_seconds=round(waited))
    return hurry


def _hand_over() -> None:
    """One file at a time: while the one left before still lies there, the present one grows instead
    of a thousand small ones.
    """
    left: Path | None = None
    while not _stop.wait(TICK_SECONDS):
        if left is None or not left.exists():
            left = spool.release()


def _drain_path(path: Path, now: datetime, rest: float, stop: threading.Event) -> Drained:
    with spool.adopted(path) as fd:
        if fd is None:
            return Drained()
        done = _drain_file(path, fd, now, rest, stop)
        spool_progress.finish(path)
        return done


def _drain_file(path: Path, fd: int, now: datetime, rest: float, stop: threading.Event) -> Drained:
    """From where the last drainer of this file came to."""
    done, at, since = Drained(files=1), spool_progress.stored_bytes(path), spool.since(path)
    for lines in _batches(fd, at):
        began = time.monotonic()
        done += _drain_lines(lines, now, since)
        at += sum(map(len, lines))
        spool_progress.keep(path, at)
        if rest and len(lines) == BATCH:
            _rest(path, rest * (time.monotonic() - began), stop)
        if stop.is_set():
            raise Stopped
    return done


def _rest(path: Path, seconds: float, stop: threading.Event) -> None:
    if spool.age(path) >= HURRY_SECONDS:
        raise Overdue
    stop.wait(min(seconds, HURRY_SECONDS))


def _batches(fd: int, start: int) -> Iterator[list[bytes]]:
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(start)
        while lines := [line for _, line in zip(range(BATCH), file, strict=False)]:
            yield lines


def _drain_lines(lines: Sequence[bytes], now: datetime, since: float) -> Drained:
    readable, rejected = [], 0
    for line in lines:
        try:
            readable.append(from_line(line))
        except InvalidInput as error:
            rejected += _set_aside(line, str(error))
    fresh = _without_held_back(readable, since) if _held_back else readable
    return _record(fresh, now, since) + Drained(rejected=rejected)


def _record(exposures: Sequence[QueuedExposure], now: datetime, since: float) -> Drained:
    """All at once; when a line poisons the batch, one by one, so that it costs only itself.

    ``since`` is the time (seconds since 1970) from which these exposures have waited.
    """
    try:
        result = record_exposures(exposures, now=now)
    except OUTAGE as error:
        if is_locked(error) and len(_experiments(exposures)) > 1:
            return _record_apart(exposures, now, since)
        raise
    except DatabaseError as error:
        if len(exposures) == 1:
            return Drained(rejected=_set_aside(repr(exposures[0]).encode(), str(error)))
        return sum((_record([exposure], now, since) for exposure in exposures), Drained())
    for problem in result.errors:
        _set_aside(repr(exposures[problem.index]).encode(), problem.message)
    return Drained(stored=result.accepted, known=result.duplicates, rejected=len(result.errors))


def _experiments(exposures: Sequence[QueuedExposure]) -> list[int]:
    return sorted({exposure.experiment_id for exposure in exposures})


def _record_apart(exposures: Sequence[QueuedExposure], now: datetime, since: float) -> Drained:
    """One experiment is locked by somebody: what belongs to the others is stored, its own goes back
    into the spool.

    When a second one is locked and none could be stored, the lock is on more than an experiment:
    the file waits.
    """
    done, locked = Drained(), 0
    for experiment in _experiments(exposures):
        own = [exposure for exposure in exposures if exposure.experiment_id == experiment]
        try:
            done += _record(own, now, since)
        except OUTAGE as error:
            locked += 1
            if not is_locked(error) or (locked > 1 and not done.stored):
                raise
            _held_back[experiment] = time.monotonic() + HELD_BACK_SECONDS
            _put_back(own, since)
    return done


def _without_held_back(exposures: Sequence[QueuedExposure], since: float) -> list[QueuedExposure]:
    """What may be stored now; exposures of experiments that were locked a moment ago go back at
    once.
    """
    moment = time.monotonic()
    held = {experiment for experiment, until in _held_back.items() if until > moment}
    waiting = [exposure for exposure in exposures if exposure.experiment_id in held]
    if waiting:
        _put_back(waiting, since)
    return [exposure for exposure in exposures if exposure.experiment_id not in held]


def _put_back(exposures: Sequence[QueuedExposure], since: float) -> None:
    log.warning(
        "exposures_wait_for_a_lock", experiments=_experiments(exposures), count=len(exposures)
    )
    if not spool.put_back([to_line(exposure) for exposure in exposures], since):
        raise OperationalError(
            "exposures of a locked experiment could not be put back into the spool; their file stays"
        )


def _set_aside(line: bytes, reason: str) -> int:
    EXPOSURES_REJECTED.inc()
    log.warning("exposure_rejected", reason=reason)
    with suppress(OSError), (Path(settings.SPOOL) / REJECTED).open("ab") as file:
        file.write(line.rstrip(b"\n") + b"\t" + reason.replace("\n", " ").encode() + b"\n")
    return 1
