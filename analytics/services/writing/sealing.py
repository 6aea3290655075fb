"""Sealing the audit, some time after its rows were committed, so that no change ever waits for the
chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import connection, transaction

from analytics.core.ground.seals import COLUMNS, SOURCES, START, VERSION, Seal, breaks, chained
from analytics.models import AuditSeal

log = structlog.get_logger(__name__)

BATCH = 2000
_LOCK = 7_302_202
"""The advisory lock of the chain: one sealer at a time; another one leaves the work to it."""
_AT = {"changelog": "at", "decisions": "made_at", "experiment_sign_offs": "signed_at"}


@dataclass(frozen=True)
class Audit:
    """How the audit was found: its breaks, how many rows are sealed, and the rows that are not
    sealed yet.
    """

    breaks: tuple[str, ...]
    sealed: int
    head: str
    unsealed: int
    oldest_unsealed: datetime | None


def seal(now: datetime) -> int:
    """Seal the next committed rows; says how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        number, digest = _head()
        rows: list[AuditSeal] = []
        for source, row_id, row_sha256 in _unsealed(BATCH):
            number, digest = number + 1, chained(digest, source, row_id, row_sha256)
            rows.append(AuditSeal(number, source, row_id, VERSION, row_sha256, digest, now))
        AuditSeal.objects.bulk_create(rows)
    if rows:
        # Whoever keeps the log elsewhere can hold the chain against it.
        log.info("audit_sealed", rows=len(rows), number=number, sha256=digest)
    return len(rows)


def audit() -> Audit:
    """Read the whole audit and hold it against its seals."""
    found = tuple(breaks(_seals()))
    number, head = _head()
    waiting = [_count_unsealed(source) for source in SOURCES]
    oldest = min((at for _, at in waiting if at is not None), default=None)
    return Audit(
        found,
        AuditSeal.objects.count(),
        f"{number}:{head}",
        sum(count for count, _ in waiting),
        oldest,
    )


def holds(head: str) -> bool:
    """Whether the chain has this seal, noted earlier as ``number:sha256``."""
    number, _, digest = head.partition(":")
    return number.isdigit() and AuditSeal.objects.filter(number=int(number), sha256=digest).exists()


def _head() -> tuple[int, str]:
    last = AuditSeal.objects.order_by("-number").values_list("number", "sha256").first()
    return last or (0, START)


def _unsealed(limit: int) -> list[tuple[str, int, str]]:
    """Rows without a seal, source by source, oldest first; a row that committed late is sealed
    late.
    """
    found: list[tuple[str, int, str]] = []
    for source in SOURCES:
        statement = f"""
            SELECT t.id, {_digest(source, VERSION)} FROM {source} t
            WHERE NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.source = %s AND s.row_id = t.id)
            ORDER BY t.id LIMIT %s"""
        with connection.cursor() as cursor:
            cursor.execute(statement, [source, limit - len(found)])
            found += [(source, row_id, digest) for row_id, digest in cursor.fetchall()]
    return found


def _seals() -> Iterator[Seal]:
    """Every seal with what its row looks like now, in the chain's order."""
    present = {
        (source, version): _digests(source, version)
        for version in COLUMNS
        for source in COLUMNS[version]
    }
    rows = AuditSeal.objects.order_by("number").values_list(
        "number", "source", "row_id", "version", "row_sha256", "sha256"
    )
    for number, source, row_id, version, row_sha256, sha256 in rows.iterator():
        found = present.get((source, version), {}).get(row_id)
        yield Seal(number, source, row_id, version, row_sha256, sha256, found)


def _digests(source: str, version: int) -> dict[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT t.id, {_digest(source, version)} FROM {source} t")
        return dict(cursor.fetchall())


def _count_unsealed(source: str) -> tuple[int, datetime | None]:
    statement = f"""
        SELECT count(*), min(t.{_AT[source]}) FROM {source} t
        WHERE NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.source = %s AND s.row_id = t.id)"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [source])
        count, oldest = cursor.fetchone()
        return int(count), oldest


def _digest(source: str, version: int) -> str:
    """SQL for the digest of a row: its columns in a fixed order as PostgreSQL's own JSON."""
    columns = ", ".join(f't."{column}"' for column in COLUMNS[version][source])
    return f"encode(sha256(convert_to(jsonb_build_array({columns})::text, 'UTF8')), 'hex')"
