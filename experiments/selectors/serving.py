"""What this process serves: the newest catalogue and keyring, in memory and in files of their own.

Decisions read memory alone. One small query per poll asks whether something newer exists; while it
cannot be asked, the last good documents keep serving and the state says that it is stale. The
files let a process start while PostgreSQL is down. The database is the authority: also when it has
gone back (a restored backup), its newest documents replace what is in memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection, connections

from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.serving import keyring as keyrings
from experiments.core.serving.catalogue_parsing import Catalogue
from experiments.core.serving.keyring import Keyring
from experiments.metrics import tell_answers, tell_catalogue
from experiments.models import ServingDocument
from experiments.selectors import serving_files
from experiments.selectors.serving_files import StoredDocument

log = structlog.get_logger(__name__)

CATALOGUE = "catalogue"
KEYRING = "keyring"
MISSED_POLLS = 10
"""A poll thread that has been silent for so many intervals counts as failing."""
_FIRST_ANSWER = 2.0
"""Seconds that a starting process waits for PostgreSQL before it serves what its files hold."""
_READING = 30.0
"""Seconds for which it waits on, when PostgreSQL has answered and its document is still being read.
"""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST = "SELECT DISTINCT ON (kind) kind, version, sha256 FROM serving_documents ORDER BY kind, version DESC"


@dataclass(frozen=True)
class ServingState:
    """One consistent picture for the length of a request. ``version`` 0: no catalogue was ever
    published.

    ``body`` is the catalogue's text as it was published. ``stale``: something newer may exist;
    ``unreachable``: because the last poll could not ask PostgreSQL.
    """

    catalogue: Catalogue = field(default_factory=lambda: Catalogue(version=0, built_at=_NEVER))
    keyring: Keyring = field(default_factory=Keyring)
    version: int = 0
    sha256: str = ""
    body: bytes = field(default=b"", repr=False)
    keyring_version: int = 0
    keyring_sha256: str = ""
    loaded_at: datetime | None = None
    stale: bool = True
    unreachable: bool = False

    def holds(self, kind: str) -> tuple[int, str]:
        """Version and digest of the document of this kind that the state was read from."""
        return (
            (self.version, self.sha256)
            if kind == CATALOGUE
            else (self.keyring_version, self.keyring_sha256)
        )


_lock = threading.RLock()
_state: ServingState | None = None
_heard_at = 0.0
_poller: threading.Thread | None = None
_spoken_to = threading.Event()
"""PostgreSQL has answered at least once."""


def current() -> ServingState:
    """What to serve now; touches neither PostgreSQL nor Redis once anything has been loaded."""
    state = _state if _state is not None else refresh(utc_now())
    if (
        not state.stale
        and _poller is not None
        and time.monotonic() - _heard_at > MISSED_POLLS * settings.POLL_SECONDS
    ):
        return replace(state, stale=True)
    return state


def refresh(now: datetime) -> ServingState:
    """Ask the database for something newer; when it does not answer, keep (or read from the files)
    the last good.
    """
    global _state, _heard_at
    with _lock:
        before = _state or ServingState()
        try:
            _state = _from_database(before, now)
            _heard_at = time.monotonic()
        except DatabaseFailure as error:
            _state = _fail_static(before, now, error)
        if _poller is not None:
            tell_catalogue(_state.version, stale=_state.stale)
        return _state


def start_polling(clock: Callable[[], datetime] = utc_now) -> None:
    """Load once, then keep asking in a daemon thread. Called by the web process when it starts."""
    global _poller
    with _lock:
        if _poller is not None:
            return
        answered = threading.Event()
        _poller = threading.Thread(
            target=_poll_for_ever, args=(clock, answered), name="catalogue-poll", daemon=True
        )
        _poller.start()
    if not answered.wait(_FIRST_ANSWER) and not (_spoken_to.is_set() and answered.wait(_READING)):
        _serve_files(clock())


def forget() -> None:
    """Drop what is in memory; the next reader loads again. For tests, which change databases under
    us.
    """
    global _state
    with _lock:
        _state = None


def _poll_for_ever(clock: Callable[[], datetime], answered: threading.Event) -> None:
    while True:
        try:
            tell_answers()
            refresh(clock())
        except Exception:  # a thread that ends would freeze the catalogue in silence
            log.exception("catalogue_poll_failed")
        finally:
            connections.close_all()
            answered.set()
        time.sleep(settings.POLL_SECONDS)


def _serve_files(now: datetime) -> None:
    """PostgreSQL hangs while we start: the first poll still waits, and requests must not."""
    global _state
    if _state is None:
        _state = _from_files(ServingState(), now)


def _from_database(before: ServingState, now: datetime) -> ServingState:
    newest = _newest()
    state = replace(before, loaded_at=now, stale=False, unreachable=False)
    for kind in (CATALOGUE, KEYRING):
        found = newest.get(kind)
        if found is None:
            state = _without(state, kind)
        elif found != before.holds(kind) or before.loaded_at is None:
            state = _adopt(state, _read(kind, *found), keep=True)
    return state


def _newest() -> Mapping[str, tuple[int, str]]:
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST)
        found = cursor.fetchall()
    _spoken_to.set()
    return {kind: (version, sha256) for kind, version, sha256 in found}


def _read(kind: str, version: int, sha256: str) -> StoredDocument:
    body = ServingDocument.objects.values_list("body", flat=True).get(kind=kind, version=version)
    return StoredDocument(kind, version, sha256, body)


def _adopt(state: ServingState, document: StoredDocument, *, keep: bool) -> ServingState:
    """The state with this document in it; a document that cannot be read leaves the last good one
    and is stale.
    """
    try:
        state = _parsed(state, document)
    except (AssayError, ValueError, KeyError, TypeError) as error:
        log.error(
            "serving_document_unreadable",
            kind=document.kind,
            version=document.version,
            error=str(error),
        )
        return replace(state, stale=True)
    if keep:
        serving_files.write(document)
    return state


def _parsed(state: ServingState, document: StoredDocument) -> ServingState:
    content = document.content()
    if document.kind == CATALOGUE:
        found = catalogues.parse(content)
        return replace(
            state,
            catalogue=found,
            version=document.version,
            sha256=document.sha256,
            body=document.body.encode(),
        )
    return replace(
        state,
        keyring=keyrings.parse(content),
        keyring_version=document.version,
        keyring_sha256=document.sha256,
    )


def _without(state: ServingState, kind: str) -> ServingState:
    empty = ServingState()
    if kind == CATALOGUE:
        return replace(state, catalogue=empty.catalogue, version=0, sha256="", body=b"")
    return replace(state, keyring=empty.keyring, keyring_version=0, keyring_sha256="")


def _fail_static(before: ServingState, now: datetime, error: DatabaseFailure) -> ServingState:
    if not before.stale:
        log.warning("catalogue_stale", error=str(error), version=before.version)
    known = before if before.loaded_at is not None else _from_files(before, now)
    return replace(known, stale=True, unreachable=True)


def _from_files(state: ServingState, now: datetime) -> ServingState:
    for kind in (CATALOGUE, KEYRING):
        document = serving_files.read(kind)
        if document is not None:
            state = replace(_adopt(state, document, keep=False), loaded_at=now)
    return replace(state, stale=True)
