"""Subscriptions, read: whose they are, and what of them may be shown."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.db.models import Q, QuerySet

from experiments.core.permissions import Action, may
from experiments.core.types import Actor
from experiments.models import Delivery, Subscription


def receiving() -> QuerySet[Subscription]:
    """Those that get messages now. An e-mail ends with its owner's account; a system's address outlives people."""
    return Subscription.objects.filter(Q(owner__is_active=True) | ~Q(channel="email"), active=True)


def visible_to(actor: Actor) -> QuerySet[Subscription]:
    """All of them for admins, else one's own."""
    rows = Subscription.objects.select_related("owner", "experiment")
    return rows if may(actor, Action.ADMINISTER, member=False) else rows.filter(owner_id=actor.user_id)


def deliveries_visible_to(actor: Actor) -> QuerySet[Delivery]:
    """Deliveries to the subscriptions that the actor may see."""
    rows = Delivery.objects.select_related("message", "subscription")
    return rows if may(actor, Action.ADMINISTER, member=False) else rows.filter(subscription__owner_id=actor.user_id)


def shown_address(subscription: Subscription) -> str:
    """What pages and the changelog say of an address: the mailbox, or the host alone, since the rest may be a secret."""
    if subscription.channel == "email":
        return subscription.address
    return f"{urlsplit(subscription.address).hostname}/…"
