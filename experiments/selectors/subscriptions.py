"""Subscriptions, read: whose they are, and what of them may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.db.models import Count, Min, Q, QuerySet

from experiments.core.permissions import Action, may
from experiments.core.types import Actor
from experiments.models import Delivery, OutboxMessage, Subscription


def receiving() -> QuerySet[Subscription]:
    """Those that get messages now. An e-mail ends with its owner's account; a system's address
    outlives people.
    """
    return Subscription.objects.filter(Q(owner__is_active=True) | ~Q(channel="email"), active=True)


def visible_to(actor: Actor) -> QuerySet[Subscription]:
    """All of them for admins, else one's own."""
    rows = Subscription.objects.select_related("owner", "experiment")
    return (
        rows if may(actor, Action.ADMINISTER, member=False) else rows.filter(owner_id=actor.user_id)
    )


def deliveries_visible_to(actor: Actor) -> QuerySet[Delivery]:
    """Deliveries to the subscriptions that the actor may see."""
    rows = Delivery.objects.select_related("message", "subscription")
    return (
        rows
        if may(actor, Action.ADMINISTER, member=False)
        else rows.filter(subscription__owner_id=actor.user_id)
    )


def shown_address(subscription: Subscription) -> str:
    """What pages and the changelog say of an address: the mailbox, or the host alone, since the
    rest may be a secret.
    """
    if subscription.channel == "email":
        return subscription.address
    return f"{urlsplit(subscription.address).hostname}/…"


@dataclass(frozen=True)
class Underway:
    """How telling goes: messages nobody has addressed yet, deliveries to come, dead letters, and
    since when the oldest is due.
    """

    unaddressed: int
    pending: int
    dead: int
    due_since: datetime | None


def underway() -> Underway:
    """Counts over all subscriptions that are on."""
    rows = Delivery.objects.filter(subscription__in=receiving()).aggregate(
        pending=Count("pk", filter=Q(state=Delivery.State.PENDING)),
        dead=Count("pk", filter=Q(state=Delivery.State.DEAD)),
        due_since=Min("next_attempt_at", filter=Q(state=Delivery.State.PENDING)),
    )
    return Underway(OutboxMessage.objects.filter(addressed_at__isnull=True).count(), **rows)
