"""Something slow read in one background thread, for those who cannot wait for it: they get what was
read last.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from django.db import Error, connections

log = structlog.get_logger(__name__)
T = TypeVar("T")
Job = Callable[[], None]

WAIT = 0.5
"""Seconds for which somebody who asks waits for a fresh value."""
LATE = 5.0
"""A reading that takes longer counts as failed, though its value is kept when it comes."""


@dataclass(frozen=True)
class Found(Generic[T]):
    """The last value, the seconds since it was read, and whether reading works now."""

    value: T | None
    age: float
    works: bool


def in_thread(job: Job) -> None:
    """Run it in a thread of its own, which keeps no connection."""

    def run() -> None:
        try:
            job()
        finally:
            connections.close_all()

    threading.Thread(target=run, name="background-reading", daemon=True).start()


class Reader(Generic[T]):
    """One reading at a time, however many ask and however long it takes."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self.start: Callable[[Job], None] = in_thread
        self._lock = threading.Lock()
        self._underway: threading.Event | None = None
        self._began = self._read_at = 0.0
        self._value: T | None = None
        self._works = False

    def look(self) -> Found[T]:
        """A value read now if that is quick, else the last one."""
        underway = self._reading()
        in_time = underway.wait(WAIT)
        return self._found(works=self._works and (in_time or time.monotonic() - self._began < LATE))

    def last(self) -> Found[T]:
        """The last value, when reading cannot work now."""
        return self._found(works=False)

    def _reading(self) -> threading.Event:
        with self._lock:
            if self._underway is not None:
                return self._underway
            done = self._underway = threading.Event()
            self._began = time.monotonic()
        self.start(lambda: self._once(done))
        return done

    def _once(self, done: threading.Event) -> None:
        try:
            self._value, self._works, self._read_at = self._read(), True, time.monotonic()
        except Error as error:
            self._works = False
            log.warning("background_reading_failed", error=str(error))
        except Exception:  # the thread must outlive any reading; the log has the traceback
            self._works = False
            log.exception("background_reading_failed")
        finally:
            with self._lock:
                self._underway = None
            done.set()

    def _found(self, *, works: bool) -> Found[T]:
        return Found(self._value, time.monotonic() - self._read_at, works)
