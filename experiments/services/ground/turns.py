"""Turns at the database: how many requests of a kind may be under way in this process at once.

Whoever waits for PostgreSQL holds a thread. Without a limit a few requests that wait for a
stranger's lock hold every thread, and nobody is assigned anything. A request that gets no turn is
refused and may come again; nobody waits behind requests that are stuck.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from django.conf import settings

from experiments.core.errors import AssayError

STRAINED = 10.0
"""Seconds for which nobody waits for a turn once a request was stuck."""
BUSY = "too many requests wait for the database here; nothing was stored or changed, send the same request again later"


class TurnKind(StrEnum):
    """Who takes turns apart from whom, so that none of them starves the other: an emergency stop
    waits behind nobody.
    """

    STORE = "store"
    MANAGE = "manage"
    STOP = "stop"


@dataclass
class Turns:
    """So many holders at once. ``take`` waits for a turn while those before move on, never behind
    stuck ones.
    """

    limit: int
    stuck: float
    """Seconds after which whoever still holds a turn counts as stuck."""
    strained: float = STRAINED
    _began: dict[int, float] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _no_waiting_until: float = 0.0
    _number: int = 0

    def take(self) -> int | None:
        """A turn's number, or None when there is none to be had soon."""
        with self._changed:
            while len(self._began) >= self.limit:
                left = self._patience(time.monotonic())
                if left <= 0:
                    return None
                self._changed.wait(left)
            self._number += 1
            self._began[self._number] = time.monotonic()
            return self._number

    def leave(self, number: int) -> None:
        """Give a turn back."""
        now = time.monotonic()
        with self._changed:
            if self._began.pop(number) + self.stuck < now:
                self._no_waiting_until = now + self.strained
            self._changed.notify()

    def _patience(self, now: float) -> float:
        """How long to wait for the oldest holder before it counts as stuck; nothing while somebody
        lately was.
        """
        left = min(self._began.values()) + self.stuck - now
        if left <= 0:
            self._no_waiting_until = now + self.strained
        return left if now >= self._no_waiting_until else 0.0


_turns: dict[TurnKind, Turns] = {}
_making = threading.Lock()
_held = threading.local()


@contextmanager
def turn(kind: TurnKind) -> Iterator[None]:
    """Hold a turn for the length of a block; refuses when there is none. Within a turn another one
    is the same.
    """
    if getattr(_held, "depth", 0):
        yield
        return
    turns = _of(kind)
    number = turns.take()
    if number is None:
        raise AssayError(BUSY, code="busy")
    _held.depth = 1
    try:
        yield
    finally:
        _held.depth = 0
        turns.leave(number)


def _of(kind: TurnKind) -> Turns:
    with _making:
        if kind not in _turns:
            _turns[kind] = _made(kind)
        return _turns[kind]


def _made(kind: TurnKind) -> Turns:
    """All together one fewer than there are threads, if those are twice the setting. Pages may take
    longer than one item to store.
    """
    several = max(1, settings.DATABASE_TURNS - 1)
    match kind:
        case TurnKind.STORE:
            return Turns(several, stuck=1.0)
        case TurnKind.MANAGE:
            return Turns(several, stuck=1.9)
        case TurnKind.STOP:
            return Turns(1, stuck=1.0)
