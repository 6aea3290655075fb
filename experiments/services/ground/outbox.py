"""The outbox: what happened is written beside the change itself, then addressed to whoever
subscribed.

Addressing takes committed rows that nobody has taken, never "everything since": a transaction that
commits late is addressed late, not lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from django.db import transaction
from django.db.models import QuerySet

from experiments.core.messages import notices
from experiments.core.messages.notices import DAILY, Notice
from experiments.models import Delivery, Experiment, OutboxMessage, Subscription
from experiments.selectors.subscriptions import receiving

BATCH = 500
"""Messages that are addressed in one transaction."""
DIGEST_AT = time(7, tzinfo=UTC)
"""A day's digest is written at the first look after it."""
KEPT = timedelta(days=90)


def put(
    now: datetime,
    notice: Notice,
    *,
    key: str,
    experiment: Experiment | None = None,
    subscription: Subscription | None = None,
) -> None:
    """Write a message in the caller's transaction. A happening that was told already, by its key,
    is not told again.
    """
    row = OutboxMessage(
        key=key,
        kind=notice.kind.value,
        experiment=experiment,
        subscription=subscription,
        title=notices.one_line(notice.title),
        text=notice.text,
        facts=dict(notice.facts),
        at=now,
    )
    OutboxMessage.objects.bulk_create([row], ignore_conflicts=True)


def told_at(key: str) -> datetime | None:
    """When the happening of this key was written down to be told; None when it never was."""
    return OutboxMessage.objects.filter(key=key).values_list("at", flat=True).first()


def address(now: datetime) -> int:
    """Give every new message its deliveries: at once, or waiting for the digest. Says how many
    messages that were.
    """
    with transaction.atomic():
        fresh = list(_unaddressed()[:BATCH])
        if not fresh:
            return 0
        everybody = list(receiving())
        rows = [
            _delivery(message, to, now)
            for message in fresh
            for to in _recipients(message, everybody)
        ]
        Delivery.objects.bulk_create(rows, ignore_conflicts=True)
        OutboxMessage.objects.filter(pk__in=[message.pk for message in fresh]).update(
            addressed_at=now
        )
    return len(fresh)


def _unaddressed() -> QuerySet[OutboxMessage]:
    return (
        OutboxMessage.objects.filter(addressed_at__isnull=True)
        .select_for_update(skip_locked=True)
        .order_by("pk")
    )


def _recipients(message: OutboxMessage, everybody: Sequence[Subscription]) -> list[int]:
    """Ids of the subscriptions that get a message; who subscribed after it happened does not."""
    if message.subscription_id is not None:
        return [message.subscription_id]
    return [to.pk for to in everybody if to.created_at < message.at and _wants(to, message)]


def _wants(to: Subscription, message: OutboxMessage) -> bool:
    return to.experiment_id in (None, message.experiment_id) and (
        not to.kinds or message.kind in to.kinds
    )


def _delivery(message: OutboxMessage, subscription_id: int, now: datetime) -> Delivery:
    if message.kind in DAILY:
        return Delivery(
            message=message, subscription_id=subscription_id, state=Delivery.State.DIGEST
        )
    return Delivery(
        message=message,
        subscription_id=subscription_id,
        state=Delivery.State.PENDING,
        next_attempt_at=now,
    )


def digests_due(now: datetime) -> list[int]:
    """The subscriptions whose digest of what had waited by this morning is not written yet."""
    morning = datetime.combine(now.date(), DIGEST_AT)
    if now < morning:
        return []
    waiting = receiving().filter(
        deliveries__state=Delivery.State.DIGEST, deliveries__message__at__lt=morning
    )
    return list(waiting.distinct().values_list("pk", flat=True))


def write_digest(subscription_id: int, now: datetime) -> bool:
    """One subscription's, once a day; what was committed too late for it waits for the next one."""
    morning = datetime.combine(now.date(), DIGEST_AT)
    key = f"digest:{subscription_id}:{morning.date()}"
    with transaction.atomic():
        to = (
            Subscription.objects.select_for_update(skip_locked=True)
            .filter(pk=subscription_id)
            .first()
        )
        if to is None or told_at(key) is not None:
            return False
        waiting = to.deliveries.filter(state=Delivery.State.DIGEST, message__at__lt=morning)
        rows = list(waiting.select_related("message").order_by("message__at", "pk"))
        if not rows:
            return False
        told = notices.digest(
            str(morning.date()), [(row.message.at, row.message.title) for row in rows]
        )
        put(now, told, key=key, experiment=to.experiment, subscription=to)
        to.deliveries.filter(pk__in=[row.pk for row in rows]).delete()
    return True


def forget_old(now: datetime) -> int:
    """Delete messages of long ago, with their deliveries. Says how many rows went."""
    deleted, _ = OutboxMessage.objects.filter(
        at__lt=now - KEPT, addressed_at__isnull=False
    ).delete()
    return deleted
