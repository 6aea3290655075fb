"""The catalogue in this process: fetched again and again in the background, with the last good one
kept on disk.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass, field

from experiments.core.errors import AssayError
from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.serving.catalogue_parsing import Catalogue
from experiments.core.types import Environment
from experiments.sdk import forks
from experiments.sdk.files import Backup, Folder
from experiments.sdk.loops import Loop, backed_off, jittered
from experiments.sdk.transport import Answer, Transport, Unreachable

log = logging.getLogger("assay")

_MISSED = 10
"""A catalogue that nobody has confirmed for so many intervals is stale."""
PATH = "/api/v1/catalogue"


@dataclass(frozen=True)
class Snapshot:
    """One catalogue, as one key may see it."""

    catalogue: Catalogue
    environment: Environment = Environment.PRODUCTION
    etag: str = field(default="", compare=False)


def snapshot_of(text: str | bytes, etag: str = "") -> Snapshot:
    """The catalogue of a document's text; an ``AssayError`` or ``ValueError`` says why it is
    none.
    """
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError(f"expected a catalogue, found {type(document).__name__}")
    return Snapshot(
        catalogues.parse(document),
        Environment(document.get("environment", Environment.PRODUCTION)),
        etag,
    )


class FixedCatalogue:
    """A catalogue that was given and never changes: tests, notebooks, simulations."""

    stale = False

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot: Snapshot | None = snapshot

    def start(self) -> None:
        """Nothing to start."""

    def refresh(self) -> bool:
        """There is nothing newer."""
        return True

    def first(self, seconds: float) -> Snapshot | None:
        """It is there already."""
        return self.snapshot

    def wait(self, timeout: float) -> bool:
        """It is there already."""
        return True

    def end(self) -> None:
        """Nothing to end."""


class FetchedCatalogue:
    """Asks every ``poll_seconds`` with the tag of what it has; failures are waited out longer and
    longer.

    ``snapshot`` is all that evaluation reads: replaced whole, never changed, ``None`` until the
    first one.
    """

    def __init__(self, transport: Transport, folder: Folder | None, poll_seconds: float) -> None:
        self._transport, self._folder, self._poll = transport, folder, poll_seconds
        self.snapshot: Snapshot | None = self._from_disk()
        self._heard: float | None = None
        self._failures = 0
        self._begin()
        self._loop = Loop("assay-catalogue", self._step)
        forks.watch(self)

    def _begin(self) -> None:
        self._refreshing = threading.Lock()
        self._there, self._tried = threading.Event(), threading.Event()
        self._patient_until: float | None = None
        if self.snapshot is not None:
            self._there.set()

    after_fork = _begin

    @property
    def stale(self) -> bool:
        """Whether something newer may have been published without our hearing of it."""
        heard = self._heard
        return heard is None or time.monotonic() - heard > _MISSED * self._poll

    def start(self) -> None:
        """Begin to fetch in the background, in this process."""
        if not self._loop.running:
            self._loop.start()

    def first(self, seconds: float) -> Snapshot | None:
        """The first catalogue, waited for once in a process: until the first attempt has ended, or
        for so long.
        """
        now = time.monotonic()
        if self._patient_until is None:
            self._patient_until = now + seconds
        if now < self._patient_until:
            self._tried.wait(self._patient_until - now)
        return self.snapshot

    def wait(self, timeout: float) -> bool:
        """Whether there is a catalogue, waiting for the first one if need be. One from disk is
        there at once, so the first attempt to fetch is waited for too.
        """
        self.start()
        until = time.monotonic() + timeout
        there = self._there.wait(timeout)
        self._tried.wait(max(0.0, until - time.monotonic()))
        return there

    def end(self) -> None:
        """Fetch no more; what there is stays."""
        self._loop.end()

    def refresh(self) -> bool:
        """Ask now, in this thread; whether the server answered with something usable."""
        return self._try() is None

    def _step(self) -> float:
        asked_to_wait = self._try()
        if asked_to_wait is None:
            return jittered(self._poll)
        return max(asked_to_wait, backed_off(self._poll, self._failures))

    def _try(self) -> float | None:
        try:
            with self._refreshing:
                return self._ask()
        finally:
            self._tried.set()

    def _ask(self) -> float | None:
        """Fetch and adopt; ``None`` when all is well, else the seconds that the server wants to be
        left alone.
        """
        known = self.snapshot
        try:
            answer = self._transport.send(
                "GET",
                PATH,
                headers={"If-None-Match": known.etag} if known is not None and known.etag else {},
            )
        except Unreachable as error:
            return self._failed(str(error))
        if answer.status == 304:
            return self._well()
        if answer.status != 200:
            return self._failed(
                f"{PATH} answered {answer.status}: {answer.body[:200]!r}", answer.retry_after or 0.0
            )
        return self._adopt(answer)

    def _adopt(self, answer: Answer) -> float | None:
        try:
            found = snapshot_of(answer.body, answer.headers.get("etag", ""))
        except (
            AssayError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
        ) as error:
            return self._failed(
                f"the catalogue cannot be read and the last good one is kept: {error}"
            )
        known = self.snapshot
        if (
            known is not None
            and answer.headers.get("x-assay-stale") == "true"
            and found.catalogue.version < known.catalogue.version
        ):
            return None  # of several servers one has lost its database: what the others told us is newer
        self.snapshot = found
        self._well()  # before anybody who waits looks whether it is stale
        self._there.set()
        if self._folder is not None:
            self._folder.keep(Backup(found.etag, answer.body.decode()))
        return None

    def _well(self) -> float | None:
        if self._failures:
            log.info("catalogue: the server answers again")
        self._failures, self._heard = 0, time.monotonic()
        return None

    def _failed(self, why: str, wait: float = 0.0) -> float:
        """Said once, not at every attempt."""
        self._failures += 1
        log.log(logging.WARNING if self._failures == 1 else logging.DEBUG, "catalogue: %s", why)
        return wait

    def _from_disk(self) -> Snapshot | None:
        backup = None if self._folder is None else self._folder.kept()
        if backup is None:
            return None
        try:
            return snapshot_of(backup.body, backup.etag)
        except (
            AssayError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
        ) as error:
            log.warning("the catalogue on disk cannot be read: %s", error)
            return None


CatalogueSource = FixedCatalogue | FetchedCatalogue
