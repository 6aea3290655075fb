"""What applications tell the platform: kept in memory, sent in batches, repeated until it is known to have arrived.

Each item has an id that makes sending it twice count once. The memory is bounded: what no longer
fits is counted and forgotten. Nothing here raises into the application.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from experiments.sdk import forks
from experiments.sdk.files import Folder
from experiments.sdk.loops import Loop, backed_off, jittered
from experiments.sdk.transport import Answer, Transport, Unreachable

log = logging.getLogger("assay")

KINDS = ("exposures", "events", "observations", "costs", "feedback")
"""Each has a door of its own, ``/api/v1/<kind>``, that takes ``{"<kind>": [...]}``."""
_BATCH_ITEMS = 500
_BATCH_BYTES = 800_000
"""The doors take 1,000 items and a million bytes."""
_LARGEST_ITEM = 256 * 1024
AT_EXIT = 2.0
"""Seconds that the end of a process may wait for a batch that is under way."""
_PAUSE = 1.0
"""Seconds before the first repetition."""
_PATIENT = frozenset({401, 403, 408, 425, 429})
"""Refusals that time may heal; a new key takes a moment to be known everywhere."""
_POISONED = frozenset({400, 413, 422})
"""Refusals of a whole batch for the sake of an item in it."""


@dataclass(frozen=True)
class Counts:
    """What became of the items so far. ``dropped``: no room, or left unsent; ``rejected``: the platform (or JSON) did not take them."""

    waiting: int = 0
    sent: int = 0
    dropped: int = 0
    rejected: int = 0


class Outbox(Protocol):
    """Where a client puts what it has to tell."""

    @property
    def counts(self) -> Counts: ...

    def start(self) -> None:
        """Begin to send in the background, in this process."""

    def put(self, kind: str, item: Mapping[str, object]) -> bool:
        """Take an item; false when it was not taken."""

    def flush(self, timeout: float) -> bool:
        """Send what waits, now; whether nothing waits any more."""

    def close(self, timeout: float) -> None:
        """Send once more what waits, and no more after it."""


class Collected:
    """Keeps the last items in memory and sends them nowhere: for tests, notebooks, and work without a server."""

    def __init__(self, capacity: int = 100_000) -> None:
        self.items: deque[tuple[str, dict[str, object]]] = deque(maxlen=capacity)

    @property
    def counts(self) -> Counts:
        return Counts(waiting=len(self.items))

    def start(self) -> None:
        """Nothing to start."""

    def put(self, kind: str, item: Mapping[str, object]) -> bool:
        self.items.append((kind, dict(item)))
        return True

    def flush(self, timeout: float) -> bool:
        """There is nowhere to send to."""
        return True

    def close(self, timeout: float) -> None:
        """Nothing to end."""


class Sender:
    """Sends in the background every ``interval`` seconds, or as soon as a batch is full."""

    def __init__(self, transport: Transport, folder: Folder | None, *, capacity: int, interval: float) -> None:
        self._transport, self._folder, self._capacity, self._interval = transport, folder, capacity, interval
        self._adopted = False
        self._closed = False
        self._begin()
        self._loop = Loop("assay-outbox", self._step)
        forks.watch(self)

    def _begin(self) -> None:
        """A child's memory is empty: what waited in it is its parent's to send."""
        self._lock, self._sending = threading.RLock(), threading.Lock()
        self._waiting: dict[str, deque[bytes]] = {kind: deque() for kind in KINDS}
        self._counts = Counts()
        self._failures = 0

    after_fork = _begin

    @property
    def counts(self) -> Counts:
        """What became of this process's items."""
        return self._counts

    def start(self) -> None:
        if not self._loop.running:
            self._loop.start()
            _at_worker_exit(self)

    def put(self, kind: str, item: Mapping[str, object]) -> bool:
        try:
            line = json.dumps(item, separators=(",", ":"), allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError) as error:
            return self._reject(1, f"{kind}: an item that is not JSON: {error}")
        if len(line) > _LARGEST_ITEM:
            return self._reject(1, f"{kind}: an item of {len(line):,} bytes; at most {_LARGEST_ITEM:,} are taken")
        return self._take([(kind, line)]) == 1

    def flush(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while True:
            pause = self._send_waiting(max(0.0, end - time.monotonic()))
            if not self._counts.waiting:
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, pause))

    def close(self, timeout: float) -> None:
        self._closed = True
        self._loop.end()
        self._send_waiting(timeout)
        with self._lock:
            left = [(kind, line) for kind, lines in self._waiting.items() for line in lines]
            if left and not (self._folder is not None and self._folder.leave(left)):
                self._count(dropped=len(left))
                log.warning("%d items could not be sent before the end and are lost", len(left))
            for lines in self._waiting.values():
                lines.clear()
            self._count(waiting=-len(left))

    # ---------------------------------------------------------------- what waits

    def _take(self, items: Iterable[tuple[str, bytes]]) -> int:
        taken = 0
        with self._lock:
            for kind, line in items:
                if self._closed or self._counts.waiting >= self._capacity:
                    self._drop()
                    continue
                self._waiting[kind].append(line)
                self._count(waiting=1)
                taken += 1
            full = self._counts.waiting % _BATCH_ITEMS == 0
        if full and taken and not self._failures:
            self._loop.wake()
        return taken

    def _drop(self) -> None:
        if not self._counts.dropped:
            log.warning("items are dropped: %s", "the client is closed" if self._closed else f"{self._capacity:,} wait already")
        self._count(dropped=1)

    def _reject(self, number: int, why: str) -> bool:
        log.log(logging.DEBUG if self._counts.rejected else logging.WARNING, "%s", why)
        self._count(rejected=number)
        return False

    def _count(self, **more: int) -> None:
        with self._lock:
            self._counts = replace(self._counts, **{name: getattr(self._counts, name) + number for name, number in more.items()})

    def _adopt(self) -> None:
        """Take in what an earlier process could not send."""
        if not self._adopted and self._folder is not None:
            self._take((kind, item) for kind, item in self._folder.take() if kind in KINDS)
        self._adopted = True

    # ---------------------------------------------------------------- sending

    def _step(self) -> float:
        self._adopt()
        return self._send_waiting(None)

    def _send_waiting(self, patience: float | None) -> float:
        """One pass over everything that waits; the seconds to pause before the next."""
        if not self._sending.acquire(timeout=-1 if patience is None else max(0.0, patience)):
            return _PAUSE
        try:
            pauses = [pause for kind in KINDS if (pause := self._send_kind(kind)) is not None]
            self._failures = self._failures + 1 if pauses else 0
            return max(*pauses, backed_off(_PAUSE, self._failures - 1)) if pauses else jittered(self._interval)
        finally:
            self._sending.release()

    def _send_kind(self, kind: str) -> float | None:
        """Batch after batch until none waits (``None``), or until one fails."""
        while batch := self._next(kind):
            pause = self._send(kind, batch)
            if pause is not None:
                return pause
            self._forget(kind, len(batch))
        return None

    def _next(self, kind: str) -> list[bytes]:
        """The oldest items that fit one request; they stay where they are until they are known to have arrived."""
        batch: list[bytes] = []
        size = 0
        with self._lock:
            for line in islice(self._waiting[kind], _BATCH_ITEMS):
                size += len(line) + 1
                if batch and size > _BATCH_BYTES:
                    break
                batch.append(line)
        return batch

    def _forget(self, kind: str, number: int) -> None:
        with self._lock:
            settled = min(number, len(self._waiting[kind]))  # closing may have emptied it meanwhile
            for _ in range(settled):
                self._waiting[kind].popleft()
            self._count(waiting=-settled)

    def _send(self, kind: str, batch: Sequence[bytes]) -> float | None:
        """``None`` when the batch is settled: stored, or refused for good; else the seconds to wait."""
        body = b'{"%s":[%s]}' % (kind.encode(), b",".join(batch))
        try:
            answer = self._transport.send("POST", f"/api/v1/{kind}", body)
            if answer.status < 300:
                self._settle(kind, len(batch), answer)
                return None
        except Unreachable as error:
            return self._later(str(error))
        if answer.status >= 500 or answer.status < 400 or answer.status in _PATIENT:
            return self._later(f"{kind}: answered {answer.status}: {answer.body[:200]!r}", answer.retry_after or 0.0)
        if answer.status in _POISONED and len(batch) > 1:
            return self._send_halves(kind, batch)
        self._reject(len(batch), f"{kind}: refused with {answer.status}: {answer.body[:300]!r}")
        return None

    def _send_halves(self, kind: str, batch: Sequence[bytes]) -> float | None:
        """One item that no parser takes must not cost its neighbours; a half that is sent again counts once."""
        middle = len(batch) // 2
        first = self._send(kind, batch[:middle])
        return first if first is not None else self._send(kind, batch[middle:])

    def _settle(self, kind: str, number: int, answer: Answer) -> None:
        said = answer.json()
        errors = said.get("errors") if isinstance(said, dict) else None
        refused = len(errors) if isinstance(errors, list) else 0
        if refused and isinstance(errors, list):
            self._reject(refused, f"{kind}: {refused} of {number} were not stored; the first: {errors[0]}")
        self._count(sent=number - refused)

    def _later(self, why: str, wait: float = 0.0) -> float:
        log.log(logging.DEBUG if self._failures else logging.WARNING, "items wait: %s", why)
        return wait


def _at_worker_exit(sender: Sender) -> None:
    """A worker of multiprocessing ends without the interpreter's exit; it runs what was registered with its own."""
    util, process = sys.modules.get("multiprocessing.util"), sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, sender.close, args=(AT_EXIT,), exitpriority=10)
