"""Sending: claim one delivery, send it outside any transaction, note what came of it.

A claim moves the row to its next attempt before anything is sent, so a sender that dies leaves a
row that comes due again: at least once, with an id by which the receiver knows repeats. SKIP LOCKED
gives each row to one of any number of workers.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime

import structlog
from django.db import transaction

from experiments.core.errors import Forbidden, NotFound, Refused
from experiments.core.messages.retries import ATTEMPTS, due_again
from experiments.core.permissions import Action, may
from experiments.core.types import Actor
from experiments.models import Delivery, OutboxMessage
from experiments.outgoing.channels import Channel, Letter, Recipient, send
from experiments.outgoing.https import Undelivered
from experiments.selectors.subscriptions import receiving
from experiments.services.ground import audit
from experiments.services.ground.webhook_secrets import secret_of

log = structlog.get_logger(__name__)

SECONDS = 8.0
"""After this a tick begins no further sending; the next tick goes on."""
MOST = 200


def deliver_due(now: datetime, *, seconds: float = SECONDS) -> int:
    """Send what is due, oldest first. Who did not answer in this tick gets nothing more in it. Says
    how many arrived.
    """
    until = time.monotonic() + seconds
    silent: set[int] = set()
    arrived = 0
    for _ in range(MOST):
        delivery = _claim(now, silent)
        if delivery is None or time.monotonic() > until:
            break
        if _attempt(delivery, now):
            arrived += 1
        else:
            silent.add(delivery.subscription_id)
    return arrived


def _claim(now: datetime, silent: Collection[int]) -> Delivery | None:
    """The next due delivery, with this attempt counted and the one after it scheduled."""
    with transaction.atomic():
        due = Delivery.objects.filter(
            state=Delivery.State.PENDING, next_attempt_at__lte=now, subscription__in=receiving()
        )
        due = due.exclude(subscription_id__in=silent).select_for_update(
            skip_locked=True, of=("self",)
        )
        delivery = (
            due.select_related("message__experiment", "subscription")
            .order_by("next_attempt_at", "pk")
            .first()
        )
        if delivery is None:
            return None
        delivery.attempts += 1
        delivery.next_attempt_at = due_again(now, delivery.attempts)
        delivery.save(update_fields=["attempts", "next_attempt_at"])
    return delivery


def _attempt(delivery: Delivery, now: datetime) -> bool:
    if delivery.attempts > ATTEMPTS:
        # Its sender died in the last attempt and could not say so.
        _note(delivery, state=Delivery.State.DEAD, next_attempt_at=None)
        return False
    try:
        send(letter_of(delivery.message), recipient_of(delivery), now)
    except Undelivered as refusal:
        _failed(delivery, str(refusal))
        return False
    except Exception as error:
        # Whatever it is, it is this message's: kept with it, and not the others' problem.
        log.exception("delivery_failed", delivery=delivery.pk)
        _failed(delivery, f"{type(error).__name__}; see the log")
        return False
    _note(
        delivery, state=Delivery.State.DELIVERED, next_attempt_at=None, delivered_at=now, error=""
    )
    return True


def _failed(delivery: Delivery, why: str) -> None:
    dead = delivery.attempts >= ATTEMPTS
    log.warning(
        "not_delivered", delivery=delivery.pk, attempt=delivery.attempts, dead=dead, reason=why
    )
    if dead:
        _note(delivery, state=Delivery.State.DEAD, next_attempt_at=None, error=why[:500])
    else:
        _note(delivery, error=why[:500])


def _note(delivery: Delivery, **changes: object) -> None:
    """Unless somebody else has claimed it since: then theirs is the newer word."""
    Delivery.objects.filter(
        pk=delivery.pk, attempts=delivery.attempts, state=Delivery.State.PENDING
    ).update(**changes)


def retry(actor: Actor, now: datetime, *, delivery_id: int, reason: str = "") -> Delivery:
    """Put a dead letter on its way again, with a fresh schedule."""
    with transaction.atomic():
        rows = Delivery.objects.select_for_update(of=("self",)).select_related(
            "subscription", "message"
        )
        delivery = rows.filter(pk=delivery_id).first()
        if delivery is None:
            raise NotFound(f"delivery {delivery_id}: there is none of this id", "delivery")
        if (
            not may(actor, Action.ADMINISTER, member=False)
            and delivery.subscription.owner_id != actor.user_id
        ):
            raise Forbidden(
                f"delivery {delivery_id}: {actor.label} may retry what goes to oneself; the rest is for admins"
            )
        if delivery.state != Delivery.State.DEAD:
            raise Refused(
                f"delivery {delivery_id}: is {delivery.state}; only dead letters are retried"
            )
        delivery.state, delivery.attempts, delivery.next_attempt_at = Delivery.State.PENDING, 0, now
        delivery.save(update_fields=["state", "attempts", "next_attempt_at"])
        audit.record(
            actor,
            now,
            action="delivery_retried",
            obj=delivery.subscription,
            reason=reason,
            after={"message": delivery.message.key},
        )
    return delivery


def letter_of(message: OutboxMessage) -> Letter:
    """A message as it leaves the house."""
    return Letter(
        id=f"msg_{message.uuid.hex}",
        kind=message.kind,
        at=message.at,
        title=message.title,
        text=message.text,
        experiment=None if message.experiment is None else message.experiment.key,
        facts=message.facts,
    )


def recipient_of(delivery: Delivery) -> Recipient:
    """Where a delivery goes, with what signs it."""
    to = delivery.subscription
    return Recipient(Channel(to.channel), to.address, secret_of(to))
