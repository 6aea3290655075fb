"""What applications tell the platform: kept in memory (and on disk), sent in batches, repeated
until it has arrived.

Each item has an id that makes sending it twice count once. With a folder, an item is in a file
before the call that tells it returns. The memory is bounded: what no longer fits is counted and
forgotten. Nothing here raises into the application.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from experiments.sdk import endings, forks
from experiments.sdk.files import Folder
from experiments.sdk.journal import JournalFile
from experiments.sdk.loops import Loop, backed_off, jittered
from experiments.sdk.transport import Answer, Transport, Unreachable
from experiments.sdk.writing import why_not

log = logging.getLogger("assay")

KINDS = ("exposures", "events", "observations", "costs", "feedback")
"""Each has a door of its own, ``/api/v1/<kind>``, that takes ``{"<kind>": [...]}``."""
_BATCH_ITEMS = 500
_BATCH_BYTES = 800_000
"""The doors take 1,000 items and a million bytes."""
_LARGEST_ITEM = 256 * 1024
_ADOPT_SECONDS = 30.0
"""How often a process looks for what others left when they ended."""
_PAUSE = 1.0
"""Seconds before the first repetition."""
_PATIENT = frozenset({401, 403, 408, 425, 429})
"""Refusals that time may heal; a new key takes a moment to be known everywhere."""
_POISONED = frozenset({400, 413, 422})
"""Refusals of a whole batch for the sake of an item in it."""


@dataclass(frozen=True)
class Counts:
    """What became of the items so far. ``dropped``: no room, or left unsent; ``rejected``: the
    platform (or JSON) did not take them.
    """

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
    """Keeps the last items in memory and sends them nowhere: for tests, notebooks, and work without
    a server.
    """

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


@dataclass(eq=False, slots=True)
class WaitingItem:
    """An item that waits, and the file that holds it."""

    line: bytes
    segment: JournalFile | None = None


class Sender:
    """Sends in the background every ``interval`` seconds, or as soon as a batch is full."""

    def __init__(
        self,
        transport: Transport,
        folder: Folder | None,
        *,
        capacity: int,
        interval: float,
        catch_signals: bool = True,
    ) -> None:
        self._transport, self._capacity, self._interval = transport, capacity, interval
        self._journal = None if folder is None else folder.journal()
        self._catch_signals = catch_signals
        self._closed = False
        self._begin()
        self._loop = Loop("assay-outbox", self._step)
        forks.watch(self)

    def _begin(self) -> None:
        # Reentrant, both: a signal may end the process while its main thread is in here.
        self._lock, self._sending = threading.RLock(), threading.RLock()
        self._waiting: dict[str, deque[WaitingItem]] = {kind: deque() for kind in KINDS}
        self._counts = Counts()
        self._failures = 0
        self._looked: float | None = None

    def after_fork(self) -> None:
        """A child's memory is empty: what waited in it is its parent's to send."""
        self._begin()
        if self._journal is not None:
            self._journal.after_fork()

    @property
    def counts(self) -> Counts:
        """What became of this process's items."""
        return self._counts

    def start(self) -> None:
        if not self._loop.running:
            self._loop.start()
            endings.watch(self)
            if self._catch_signals:
                endings.catch_signals()

    def put(self, kind: str, item: Mapping[str, object]) -> bool:
        try:
            line = json.dumps(item, separators=(",", ":"), allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError) as error:
            return self._reject(1, f"{kind}: not sent: {why_not(item, error)}")
        if len(line) > _LARGEST_ITEM:
            return self._reject(
                1, f"{kind}: an item of {len(line):,} bytes; at most {_LARGEST_ITEM:,} are taken"
            )
        return self._take(kind, line)

    def flush(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while True:
            pause = self._send_waiting(patience=max(0.0, end - time.monotonic()))
            if not self._counts.waiting:
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, pause))

    def last_words(self, timeout: float) -> None:
        """The process may end now: send what waits; what cannot be sent stays on disk, or is lost
        and said to be.
        """
        self._send_waiting(patience=timeout, until=time.monotonic() + timeout)
        with self._lock:
            lost = self._save()
        if lost:
            log.warning("%d items could not be sent before the end and are lost", lost)

    def close(self, timeout: float) -> None:
        self._closed = True
        self._loop.end()
        self.last_words(timeout)
        with self._lock:
            left = [told for waiting in self._waiting.values() for told in waiting]
            self._count(waiting=-len(left), dropped=sum(told.segment is None for told in left))
            for waiting in self._waiting.values():
                waiting.clear()
            if self._journal is not None:
                self._journal.close()

    # ---------------------------------------------------------------- what waits

    def _take(self, kind: str, line: bytes) -> bool:
        with self._lock:
            if self._closed or self._counts.waiting >= self._capacity:
                self._drop()
                return False
            self._waiting[kind].append(WaitingItem(line, self._on_disk(kind, line)))
            self._count(waiting=1)
            full = self._counts.waiting % _BATCH_ITEMS == 0
        if full and not self._failures:
            self._loop.wake()
        return True

    def _on_disk(self, kind: str, line: bytes, *, last: bool = False) -> JournalFile | None:
        return None if self._journal is None else self._journal.write(kind, line, last=last)

    def _save(self) -> int:
        """Try once more to put on disk what is in memory alone; how many items remain so."""
        lost = 0
        for kind, waiting in self._waiting.items():
            for told in waiting:
                told.segment = told.segment or self._on_disk(kind, told.line, last=True)
                lost += told.segment is None
        return lost

    def _drop(self) -> None:
        if not self._counts.dropped:
            log.warning(
                "items are dropped: %s",
                "the client is closed" if self._closed else f"{self._capacity:,} wait already",
            )
        self._count(dropped=1)

    def _reject(self, number: int, why: str) -> bool:
        log.log(logging.DEBUG if self._counts.rejected else logging.WARNING, "%s", why)
        self._count(rejected=number)
        return False

    def _count(self, **more: int) -> None:
        with self._lock:
            self._counts = replace(
                self._counts,
                **{name: getattr(self._counts, name) + number for name, number in more.items()},
            )

    def _adopt(self) -> bool:
        """Take in what ended processes left; whether there may be more."""
        if self._journal is None or self._closed:
            return False
        adopted = False
        for found in self._journal.adopt():
            adopted = True
            with self._lock:
                for kind, line in found.items:
                    self._take_in(kind, WaitingItem(line, found.segment))
                if self._counts.waiting >= self._capacity:
                    return False  # the others stay on disk
        return adopted

    def _take_in(self, kind: str, told: WaitingItem) -> None:
        if kind in KINDS:
            self._waiting[kind].append(told)
            self._count(waiting=1)
        else:
            self._reject(
                1, f"a file of an ended process has a line that is not an item: {told.line[:80]!r}"
            )
            self._settled(told)

    def _settled(self, told: WaitingItem) -> None:
        if told.segment is not None and self._journal is not None:
            self._journal.settle(told.segment)

    # ---------------------------------------------------------------- sending

    def _step(self) -> float:
        now = time.monotonic()
        due = self._looked is None or now - self._looked >= _ADOPT_SECONDS
        more = due and self._adopt()
        pause = self._send_waiting()
        if more and not self._failures:
            return 0.0
        if due:
            self._looked = now
        return pause

    def _send_waiting(self, patience: float | None = None, until: float | None = None) -> float:
        """One pass over everything that waits, begun within ``patience`` and ended by ``until``;
        the seconds to pause before the next.
        """
        if not self._sending.acquire(timeout=-1 if patience is None else patience):
            return _PAUSE
        try:
            pauses = [
                pause for kind in KINDS if (pause := self._send_kind(kind, until)) is not None
            ]
            self._failures = self._failures + 1 if pauses else 0
            return (
                max(*pauses, backed_off(_PAUSE, self._failures - 1))
                if pauses
                else jittered(self._interval)
            )
        finally:
            self._sending.release()

    def _send_kind(self, kind: str, until: float | None) -> float | None:
        """Batch after batch until none waits (``None``), or until one fails."""
        while batch := self._next(kind):
            left = None if until is None else until - time.monotonic()
            pause = (
                _PAUSE
                if left is not None and left <= 0
                else self._send(kind, [told.line for told in batch], left)
            )
            if pause is not None:
                return pause
            self._forget(kind, batch)
        return None

    def _next(self, kind: str) -> list[WaitingItem]:
        """The oldest items that fit one request; they stay where they are until they are known to
        have arrived.
        """
        batch: list[WaitingItem] = []
        size = 0
        with self._lock:
            for told in islice(self._waiting[kind], _BATCH_ITEMS):
                size += len(told.line) + 1
                if batch and size > _BATCH_BYTES:
                    break
                batch.append(told)
        return batch

    def _forget(self, kind: str, batch: Sequence[WaitingItem]) -> None:
        with self._lock:
            waiting = self._waiting[kind]
            for told in batch:
                if (
                    waiting and waiting[0] is told
                ):  # closing, or a signal's handler, may have settled it meanwhile
                    waiting.popleft()
                    self._settled(told)
                    self._count(waiting=-1)

    def _send(
        self, kind: str, batch: Sequence[bytes], seconds: float | None = None
    ) -> float | None:
        """``None`` when the batch is settled: stored, or refused for good; else the seconds to
        wait.
        """
        body = b'{"%s":[%s]}' % (kind.encode(), b",".join(batch))
        try:
            answer = self._transport.send("POST", f"/api/v1/{kind}", body, seconds=seconds)
            if answer.status < 300:
                self._settle(kind, len(batch), answer)
                return None
        except Unreachable as error:
            return self._later(str(error))
        if answer.status >= 500 or answer.status < 400 or answer.status in _PATIENT:
            return self._later(
                f"{kind}: answered {answer.status}: {answer.body[:200]!r}",
                answer.retry_after or 0.0,
            )
        if answer.status in _POISONED and len(batch) > 1:
            return self._send_halves(kind, batch, seconds)
        self._reject(len(batch), f"{kind}: refused with {answer.status}: {answer.body[:300]!r}")
        return None

    def _send_halves(
        self, kind: str, batch: Sequence[bytes], seconds: float | None
    ) -> float | None:
        """One item that no parser takes must not cost its neighbours; a half that is sent again
        counts once.
        """
        middle = len(batch) // 2
        first = self._send(kind, batch[:middle], seconds)
        return first if first is not None else self._send(kind, batch[middle:], seconds)

    def _settle(self, kind: str, number: int, answer: Answer) -> None:
        said = answer.json()
        errors = said.get("errors") if isinstance(said, dict) else None
        refused = len(errors) if isinstance(errors, list) else 0
        if refused and isinstance(errors, list):
            self._reject(
                refused, f"{kind}: {refused} of {number} were not stored; the first: {errors[0]}"
            )
        self._count(sent=number - refused)

    def _later(self, why: str, wait: float = 0.0) -> float:
        log.log(logging.DEBUG if self._failures else logging.WARNING, "items wait: %s", why)
        return wait
