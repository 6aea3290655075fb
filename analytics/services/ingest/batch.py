"""The accounts of one batch: what is new, repeated, in conflict, refused; and the tallies of a day.

``event_ids`` decides, over all days: an id is taken by whoever inserts it first, and the row it
stands for is written in the same transaction. Ids are taken in one order, so that two batches that
share ids wait for each other instead of dead-locking.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Generic, Literal, TypeAlias

from django.db import connection, transaction

from analytics.core.intake.ingest_items import Item, ItemError, hash_of
from analytics.core.intake.sent import sent_of
from analytics.services.ingest import refusals
from analytics.services.ingest.partitions import Parent, ensure_days
from experiments.core.figures import counted
from experiments.core.types import Environment, Origin, Scope
from experiments.services.serving.client_rows import Admit

Kind: TypeAlias = Literal["exposure", "event", "observation", "cost", "feedback"]

LATE = timedelta(hours=24)
"""A live item that happened longer ago than this is counted as late."""
SKEWED = timedelta(minutes=5)
"""An item from further in the future than this is counted as from a wrong clock."""
FUTURE = timedelta(days=2)
"""An item from further in the future than this is refused."""
OLDEST = timedelta(days=90)
"""A live item from longer ago than this is refused as too old."""
EARLIEST_IMPORT = datetime(1900, 1, 1, tzinfo=UTC)
MOST_DAYS = 40
"""Days that one live batch may write to: each may need a partition of its own."""
CORRECTED = "assay_corrected_ts"
"""Beside a moment from a wrong clock: the moment by our clock, where the client said when it sent
the batch.
"""


@dataclass(frozen=True)
class IngestIdentity:
    """On whose behalf items are stored. A client key may only speak of flags that clients may see,
    and ``admit`` caps its rows.

    ``sent_at`` is when the client's clock says that it sent the batch."""

    environment: Environment = Environment.PRODUCTION
    scope: Scope | None = None
    admit: Admit | None = field(default=None, compare=False)
    sent_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch; its counts add up to the items sent. A conflict is among the errors
    too.
    """

    accepted: int
    duplicates: int
    conflicts: int
    errors: tuple[ItemError, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "errors": [error.as_json() for error in self.errors],
        }


@dataclass(frozen=True)
class StorableRow:
    """An item that is ready to be stored: under which id and day, and its columns."""

    index: int
    event_id: str
    body_hash: str
    at: datetime
    columns: Mapping[str, object]

    @property
    def day(self) -> date:
        return self.at.date()


@dataclass
class Batch(Generic[Item]):
    """One call's items while they are sorted into stored, repeated, conflicting and refused."""

    kind: Kind
    now: datetime
    identity: IngestIdentity
    origin: Origin
    items: dict[int, Item] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    errors: list[ItemError] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def refuse(self, index: int, code: str, name: str, message: str) -> None:
        """Leave an item out and say why."""
        item = self.items.pop(index, None)
        self.errors.append(
            ItemError(index, code, name, message, None if item is None else sent_of(vars(item)))
        )
        self.outcomes["conflict" if code == "conflict" else "refused"] += 1

    def turn_away(self, error: ItemError) -> None:
        """Count an item that nobody could read."""
        self.errors.append(error)
        self.outcomes["refused"] += 1

    def meet(self, index: int, event_id: str, body_hash: str, known: str) -> None:
        """An id that is already taken: the same body is a repeat, another one a conflict."""
        if body_hash == known:
            self.items.pop(index, None)
            self.outcomes["duplicate"] += 1
            return
        message = f"event_id {event_id!r} was stored before with another body; the first one stays. Send a new event_id."
        self.refuse(index, "conflict", "event_id", message)

    def moment(self, index: int, at: datetime | None) -> datetime | None:
        """When the item happened, in UTC; refused when too old or too far ahead, counted when late
        or from a wrong clock.
        """
        moment = (at or self.now).astimezone(UTC)
        earliest, latest = self.earliest, self.now + FUTURE
        if earliest <= moment <= latest:
            return moment
        code = "too_old" if moment < earliest else "timestamp_range"
        expected = f"{earliest:%Y-%m-%d} to {latest:%Y-%m-%d %H:%M} UTC"
        self.refuse(
            index, code, "timestamp", f"timestamp {moment.isoformat()}: expected {expected}"
        )
        return None

    @property
    def earliest(self) -> datetime:
        """The first moment that is taken."""
        return EARLIEST_IMPORT if self.origin is Origin.IMPORT else self.now - OLDEST

    def writable(self, rows: Sequence[StorableRow], *, by_day: bool) -> list[StorableRow]:
        """The rows of as many days as a live batch may write to where each day is a partition,
        those that come first in it.
        """
        days = list(dict.fromkeys(row.day for row in rows))
        if not by_day or self.origin is Origin.IMPORT or len(days) <= MOST_DAYS:
            return [self._corrected(row) for row in rows]
        taken = set(days[:MOST_DAYS])
        message = f"the batch has {counted(len(days), 'day')}; at most {MOST_DAYS} are allowed: send this day in a separate batch"
        for row in rows:
            if row.day not in taken:
                self.refuse(row.index, "too_many_days", "timestamp", message)
        return [self._corrected(row) for row in rows if row.day in taken]

    def _corrected(self, row: StorableRow) -> StorableRow:
        """With the moment by our clock beside that of a clock that runs ahead, where the client
        said when it sent the batch.
        """
        sent = self.identity.sent_at
        place = next((name for name in ("payload", "context") if name in row.columns), None)
        if sent is None or place is None or row.at <= self.now + SKEWED:
            return row
        beside = row.columns[place]
        noted = {
            **(beside if isinstance(beside, dict) else {}),
            CORRECTED: (row.at + (self.now - sent)).isoformat(),
        }
        return replace(row, columns={**row.columns, place: noted})

    def result(self) -> BatchResult:
        """The counts so far."""
        counted = self.outcomes
        errors = tuple(sorted(self.errors, key=lambda error: error.index))
        return BatchResult(counted["accepted"], counted["duplicate"], counted["conflict"], errors)


def open_batch(
    kind: Kind,
    items: Sequence[Item | ItemError],
    now: datetime,
    identity: IngestIdentity,
    origin: Origin,
) -> Batch[Item]:
    """Sort out what cannot be read and what is known already; the rest stays in ``items``."""
    batch: Batch[Item] = Batch(kind, now, identity, origin)
    for index, item in enumerate(items):
        if isinstance(item, ItemError):
            batch.turn_away(replace(item, index=index))
        else:
            _enter(batch, index, item)
    _meet_known(batch)
    return batch


def store(
    batch: Batch[Item],
    rows: Sequence[StorableRow],
    write: Callable[[Sequence[StorableRow]], None],
    parent: Parent | None = None,
) -> BatchResult:
    """Store rows whose ids are new, and the tallies, in one transaction."""
    rows = batch.writable(rows, by_day=parent is not None)
    if parent is not None:
        ensure_days(parent, {row.day for row in rows})
    with transaction.atomic():
        new = _claim(batch.kind, rows)
        fresh = [row for row in rows if row.event_id in new]
        if fresh:
            write(fresh)
        _account(batch, rows, fresh)
        if batch.origin is Origin.LIVE:
            refusals.keep(
                batch.errors, batch.now, kind=batch.kind, environment=batch.identity.environment
            )
        _tally(batch)
    return batch.result()


def _enter(batch: Batch[Item], index: int, item: Item) -> None:
    own = _stored_hash(batch, item)
    batch.items[index] = item
    if (first := batch.hashes.get(item.event_id)) is not None:
        batch.meet(index, item.event_id, own, first)
        return
    batch.hashes[item.event_id] = own


def _stored_hash(batch: Batch[Item], item: Item) -> str:
    """The same body from a test key, or at another door, is not the same item."""
    return hashlib.sha256(
        f"{batch.identity.environment}:{batch.kind}:{hash_of(item)}".encode()
    ).hexdigest()


def _meet_known(batch: Batch[Item]) -> None:
    known = _hashes([item.event_id for item in batch.items.values()])
    for index, item in list(batch.items.items()):
        if item.event_id in known:
            batch.meet(index, item.event_id, batch.hashes[item.event_id], known[item.event_id])


def _hashes(ids: Sequence[str]) -> dict[str, str]:
    if not ids:
        return {}
    with connection.cursor() as cursor:
        # One array, where an IN of the query builder would carry thousands of parameters.
        cursor.execute(
            "SELECT event_id, body_hash FROM event_ids WHERE event_id = ANY(%s)", [list(ids)]
        )
        return dict(cursor.fetchall())


def _claim(kind: Kind, rows: Sequence[StorableRow]) -> frozenset[str]:
    """Take the ids that nobody has; waits for a transaction that is about to take the same ones."""
    if not rows:
        return frozenset()
    statement = """
        INSERT INTO event_ids (event_id, event_date, body_hash, kind)
        SELECT id, day, hash, %s FROM unnest(%s::text[], %s::date[], %s::text[]) AS new (id, day, hash) ORDER BY id
        ON CONFLICT (event_id) DO NOTHING RETURNING event_id"""
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            [kind, [r.event_id for r in rows], [r.day for r in rows], [r.body_hash for r in rows]],
        )
        return frozenset(event_id for (event_id,) in cursor.fetchall())


def _account(batch: Batch[Item], rows: Sequence[StorableRow], fresh: Sequence[StorableRow]) -> None:
    batch.outcomes["accepted"] += len(fresh)
    for row in fresh:
        if batch.origin is Origin.LIVE and row.at < batch.now - LATE:
            batch.outcomes["late"] += 1
        if row.at > batch.now + SKEWED:
            batch.outcomes["skewed"] += 1
    taken = {row.event_id for row in fresh}
    overtaken = [row for row in rows if row.event_id not in taken]
    known = _hashes([row.event_id for row in overtaken])
    for row in overtaken:
        batch.meet(row.index, row.event_id, row.body_hash, known[row.event_id])


def _tally(batch: Batch[Item]) -> None:
    """Last in the transaction: every batch of a day adds to the same few rows."""
    add_to_tallies(batch.now, _door(batch), batch.outcomes)


def add_to_tallies(now: datetime, door: str, outcomes: Mapping[str, int]) -> None:
    """Add to the day's counts of what arrived at a door."""
    counts = sorted((outcome, count) for outcome, count in outcomes.items() if count)
    if not counts:
        return
    statement = """
        INSERT INTO ingest_tallies AS t (day, door, outcome, count)
        SELECT %s, %s, outcome, count FROM unnest(%s::text[], %s::bigint[]) AS new (outcome, count) ORDER BY outcome
        ON CONFLICT (day, door, outcome) DO UPDATE SET count = t.count + EXCLUDED.count"""
    with connection.cursor() as cursor:
        day = now.astimezone(UTC).date()
        cursor.execute(
            statement,
            [day, door, [outcome for outcome, _ in counts], [count for _, count in counts]],
        )


def _door(batch: Batch[Item]) -> str:
    """Whose count it is. An import has its own: it holds the row until it commits, and live batches
    must not wait.
    """
    if batch.origin is Origin.IMPORT:
        return "import"
    return (
        batch.kind if batch.identity.environment is Environment.PRODUCTION else f"{batch.kind}/test"
    )
