"""Who is told what: subscriptions, the outbox of what happened, and every delivery of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from experiments.core.messages.notices import TITLE_LENGTH, NoticeKind


class Subscription(models.Model):
    """Where messages go, narrowed to an experiment and to kinds; an empty list of kinds means all.

    ``address`` may hold a secret (Slack's addresses are one), so pages and logs show its host only.
    ``salt`` makes the signing secret, together with the installation's own; the secret is kept
    nowhere.
    """

    name = models.CharField(max_length=120)
    channel = models.CharField(
        max_length=8, choices=[(c, c) for c in ("webhook", "slack", "email")]
    )
    address = models.CharField(max_length=2000)
    salt = models.CharField(max_length=64, blank=True)
    experiment = models.ForeignKey(
        "experiments.Experiment", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    kinds = models.JSONField(default=list, blank=True)
    active = models.BooleanField(default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="subscriptions"
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "subscriptions"
        ordering = ("name", "id")

    def __str__(self) -> str:
        return f"{self.name} ({self.channel})"


class OutboxMessage(models.Model):
    """One thing to tell, written in the transaction that made it true. ``key`` names the happening,
    so it is told once.

    ``subscription`` is set where it is for one subscription only (digests and tests). ``uuid`` is
    the id that receivers see, the same in every attempt.
    """

    key = models.CharField(max_length=120, unique=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    kind = models.CharField(max_length=12, choices=[(k.value, k.value) for k in NoticeKind])
    experiment = models.ForeignKey(
        "experiments.Experiment", null=True, on_delete=models.CASCADE, related_name="+"
    )
    subscription = models.ForeignKey(
        Subscription, null=True, on_delete=models.CASCADE, related_name="+"
    )
    title = models.CharField(max_length=TITLE_LENGTH)
    text = models.TextField(blank=True)
    facts = models.JSONField(default=dict)
    at = models.DateTimeField()
    addressed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "outbox_messages"
        ordering = ("-at", "-id")
        indexes = [
            models.Index(
                fields=["id"], condition=Q(addressed_at__isnull=True), name="outbox_to_address"
            ),
            models.Index(fields=["at"], name="outbox_by_time"),
        ]

    def __str__(self) -> str:
        return self.title


class Delivery(models.Model):
    """One message on its way to one subscription: ``digest`` waits for the day's end, ``dead`` for
    a person.

    ``next_attempt_at`` is set when an attempt begins to when the following one would be due:
    whoever dies while sending leaves a row that comes due by itself.
    """

    class State(models.TextChoices):
        DIGEST = "digest"
        PENDING = "pending"
        DELIVERED = "delivered"
        DEAD = "dead"

    message = models.ForeignKey(OutboxMessage, on_delete=models.CASCADE, related_name="deliveries")
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="deliveries"
    )
    state = models.CharField(max_length=10, choices=State.choices)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "deliveries"
        ordering = ("-id",)
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["message", "subscription"], name="one_delivery_per_subscription"
            )
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(state="pending"), name="deliveries_due"
            ),
            models.Index(
                fields=["subscription"], condition=Q(state="digest"), name="deliveries_for_digest"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message} → {self.subscription}"
