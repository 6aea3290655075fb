"""Publishing: the two documents that serving reads, built inside the transaction of whatever
changed.

Callers are services, in their own transaction and after their change. What nobody would notice
makes no new version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from django.db import connection, transaction

from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.serving.keyring import keyring_document
from experiments.models import ServingDocument
from experiments.selectors import keys, serving, serving_rows

log = structlog.get_logger(__name__)

_LOCK_SPACE = 0x41535359
_LOCKS = {serving.CATALOGUE: 1, serving.KEYRING: 2}
KEPT_VERSIONS = 100

_Stamp = Callable[[int, datetime], Mapping[str, object]]
"""The document as a version that was built at a moment."""
_Reader = Callable[[], _Stamp]
"""Reads the tables, once however many versions are compared."""


def publish(now: datetime, *, reason: str) -> ServingDocument:
    """The catalogue of approved state as it stands in this transaction; the present version when
    nothing differs.
    """
    return _publish(serving.CATALOGUE, now, _catalogue_at(now), reason)


def publish_keyring(now: datetime, *, reason: str = "keys changed") -> ServingDocument:
    """The keyring of all live keys."""
    return _publish(serving.KEYRING, now, _keyring_at, reason)


def _publish(kind: str, now: datetime, read: _Reader, reason: str) -> ServingDocument:
    with transaction.atomic():
        _lock(kind)
        build = read()
        last = ServingDocument.objects.filter(kind=kind).order_by("-version").first()
        if last is not None and _text(build(last.version, last.built_at)) == last.body:
            return last
        version = 1 if last is None else last.version + 1
        document = _store(kind, version, now, build(version, now))
        log.info("serving_document_published", kind=kind, version=version, reason=reason)
        # The process that made the change serves it at once; the others see it with their next
        # poll.
        transaction.on_commit(lambda: _serve_at_once(now), robust=True)
        return document


def _lock(kind: str) -> None:
    """One publisher at a time, until it commits: versions follow commits, and each sees all changes
    before it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_SPACE, _LOCKS[kind]])


def _store(
    kind: str, version: int, now: datetime, content: Mapping[str, object]
) -> ServingDocument:
    if kind == serving.CATALOGUE:
        # What cannot be read again must not be committed: the change fails here instead of serving.
        catalogues.parse(content)
    body = _text(content)
    digest = hashlib.sha256(body.encode()).hexdigest()
    document = ServingDocument.objects.create(
        kind=kind, version=version, sha256=digest, body=body, built_at=now
    )
    ServingDocument.objects.filter(kind=kind, version__lte=version - KEPT_VERSIONS).delete()
    return document


def _catalogue_at(now: datetime) -> _Reader:
    def read() -> _Stamp:
        content = serving_rows.catalogue_content(now)
        return lambda version, built_at: serving_rows.stamped(
            content, version=version, built_at=built_at
        )

    return read


def _keyring_at() -> _Stamp:
    document = keyring_document(keys.live_entries())
    return lambda _version, _built_at: document


def _text(content: Mapping[str, object]) -> str:
    return catalogues.canonical(content).decode()


def _serve_at_once(now: datetime) -> None:
    serving.refresh(now)
