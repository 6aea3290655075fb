"""Keeps what lists are ordered by: the state and urgency of every experiment's card.

Triggers note which experiments changed (``Touch``); here their cards are worked out again and kept.
One process at a time keeps them, and forgets only notes that it had read before it read the rows,
so no change is ever missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from experiments.core.cards import Card, State, changes_in
from experiments.core.cards.urgency import Urgency
from experiments.core.types import Status
from experiments.models import Experiment, Standing, Touch

_LOCK = 0x5354_414E
MOST = 20_000
"""Notes read at once."""
_READ = (
    "key", "status", "outcome", "pause_cause", "origin", "promotion_held", "start_ts", "planned_end", "end_ts", "flag__key",
    "flag__enabled", "flag__created_at",
)  # fmt: skip
"""What a card reads of the experiment's own row."""


@dataclass(frozen=True)
class Unkept:
    """A standing that could not be kept now, since another process keeps them."""

    state: State
    urgency: Urgency


def refresh(now: datetime) -> Mapping[int, Unkept]:
    """Bring every standing up to date; by experiment those that are known here but not kept yet."""
    with transaction.atomic():
        keeps = _is_mine()
        touches = dict(Touch.objects.order_by("pk").values_list("pk", "experiment_id")[:MOST])
        wanted = {*touches.values(), *_due(now)}
        found = _cards(wanted, now) if wanted else {}
        if keeps:
            _keep(found, now)
            Touch.objects.filter(pk__in=touches).delete()
            return {}
    return {pk: Unkept(one.state, one.urgency) for pk, one in found.items()}


def outdated(now: datetime) -> bool:
    """Whether something changed since they were kept."""
    return Touch.objects.exists() or _due(now).exists()


def _is_mine() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _due(now: datetime) -> QuerySet[Experiment, int]:
    """Those that time changed, and those that have no standing yet."""
    return (
        Experiment.objects.filter(Q(standing__due_at__lte=now) | Q(standing__isnull=True))
        .order_by()
        .values_list("pk", flat=True)
    )


def _cards(wanted: Iterable[int], now: datetime) -> dict[int, Card]:
    from analytics.selectors.cards import (
        cards,
    )  # here: cards need numpy, and asking whether something changed does not

    rows = (
        Experiment.objects.filter(pk__in=list(wanted))
        .order_by()
        .select_related("flag")
        .only(*_READ)
    )
    return cards(list(rows), now, whole=False)


def _keep(found: Mapping[int, Card], now: datetime) -> None:
    rows = [
        Standing(
            experiment_id=pk, state=one.state, urgency=int(one.urgency), due_at=_due_at(one, now)
        )
        for pk, one in found.items()
    ]
    Standing.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["experiment"],
        update_fields=["state", "urgency", "due_at"],
        batch_size=1_000,
    )


def _due_at(card: Card, now: datetime) -> datetime | None:
    hours = changes_in(card.facts) if card.facts.status in (Status.RUNNING, Status.PAUSED) else None
    return None if hours is None else now + timedelta(hours=hours)
