"""Doing once what is asked for several times: the first answer under an idempotency key is stored
with what it did.

The key is claimed, the work done and its answer kept in one transaction. Who comes with the same
key meanwhile waits for it; when it fails, nothing was done and nothing is kept, so the next one
does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from experiments.core.errors import Conflict
from experiments.models import StoredAnswer

LIFETIME = timedelta(hours=24)
"""How long an answer can be asked for again."""
_PENDING = 0


@dataclass(frozen=True)
class IdempotentCall:
    """One call: whose key, the idempotency key it came with, and the digest of what it says."""

    key_id: int
    idempotency_key: str
    request_sha256: str


@dataclass(frozen=True)
class GivenAnswer:
    """Status and text of an answer; ``repeated``: it was given before, and nothing was done now."""

    status: int
    body: str
    repeated: bool = False


def once(asked: IdempotentCall, now: datetime, act: Callable[[], GivenAnswer]) -> GivenAnswer:
    """The stored answer, else what ``act`` answers now. Refuses another request under a key that
    was used.
    """
    with transaction.atomic():
        if not _claimed(asked, now):
            return _stored(asked)
        answer = act()
        mine = StoredAnswer.objects.filter(
            api_key_id=asked.key_id, idempotency_key=asked.idempotency_key
        )
        mine.update(status=answer.status, body=answer.body)
    return answer


def forget_old_answers(now: datetime) -> int:
    """Delete answers that nobody can ask for any more; how many those were."""
    return StoredAnswer.objects.filter(expires_at__lte=now).delete()[0]


def _claimed(asked: IdempotentCall, now: datetime) -> bool:
    """Whether this call is the first under its key; an answer past its time no longer counts."""
    statement = """
        INSERT INTO idempotency_keys AS known (api_key_id, idempotency_key, request_sha256, status, body, expires_at)
        VALUES (%s, %s, %s, %s, '', %s)
        ON CONFLICT (api_key_id, idempotency_key) DO UPDATE
            SET request_sha256 = EXCLUDED.request_sha256, status = EXCLUDED.status, body = '', expires_at = EXCLUDED.expires_at
            WHERE known.expires_at <= %s"""
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            [
                asked.key_id,
                asked.idempotency_key,
                asked.request_sha256,
                _PENDING,
                now + LIFETIME,
                now,
            ],
        )
        return bool(cursor.rowcount == 1)


def _stored(asked: IdempotentCall) -> GivenAnswer:
    row = StoredAnswer.objects.get(api_key_id=asked.key_id, idempotency_key=asked.idempotency_key)
    if row.request_sha256 != asked.request_sha256:
        message = f"Idempotency-Key {asked.idempotency_key!r} was used for another request; take a new key for a new request"
        raise Conflict(message, "Idempotency-Key", code="idempotency_key_reused")
    return GivenAnswer(row.status, row.body, repeated=True)
