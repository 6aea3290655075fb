"""Flags: keys with a typed value that code asks for, with or without an experiment."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from experiments.core.figures import day
from experiments.core.types import FlagType
from experiments.models.standings import OF_FLAG, touching

FLAG_KEY = RegexValidator(
    r"^[A-Za-z0-9_.-]{1,128}\Z", "Letters, digits, dot, dash and underscore; 1 to 128 of them."
)


class Flag(models.Model):
    """A key with a typed value; it can be switched and has a rollout without any experiment."""

    key = models.CharField(max_length=128, unique=True, validators=[FLAG_KEY])
    description = models.TextField(blank=True)
    value_type = models.CharField(
        max_length=16, choices=[(t.value, t.value) for t in FlagType], default=FlagType.OBJECT
    )
    default_value = models.JSONField(default=dict)
    schema = models.JSONField(default=dict, blank=True)
    """Which keys its objects have, and within which limits; forms are drawn from it. Empty: nothing
    is said.
    """
    enabled = models.BooleanField(
        default=True, help_text="Off: everybody gets the default value, whatever runs on the flag."
    )
    client_visible = models.BooleanField(
        default=False, help_text="Client keys may see this flag, its variants and their values."
    )
    remote_only = models.BooleanField(
        default=False,
        help_text="GrowthBook's SDKs ask Assay instead of deciding: for ids outside ASCII, on which SDKs differ.",
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "flags"
        ordering = ("key",)
        triggers = [touching(OF_FLAG)]

    def __str__(self) -> str:
        return self.key


class Rollout(models.Model):
    """What a promotion leaves on a flag: the value, for whom, and who is held back until when.

    ``audience`` is {"unit_type", "seed", "targeting", "buckets"}: the audience that was tested.
    ``holdback_buckets`` are former control buckets that keep ``control_value``.
    """

    flag = models.ForeignKey(Flag, on_delete=models.PROTECT, related_name="rollouts")
    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="rollouts"
    )
    iteration = models.ForeignKey(
        "experiments.Iteration", on_delete=models.PROTECT, related_name="rollouts"
    )
    variant = models.ForeignKey(
        "experiments.Variant", on_delete=models.PROTECT, related_name="rollouts"
    )
    value = models.JSONField(null=True)
    config = models.JSONField(default=dict)
    control_value = models.JSONField(null=True)
    audience = models.JSONField()
    holdback_buckets = models.JSONField(default=list)
    holdback_until = models.DateTimeField(null=True)
    returnable_until = models.DateTimeField(
        help_text="Until then the owner may return to control with one click."
    )
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_reason = models.TextField(blank=True)

    class Meta:
        db_table = "flag_rollouts"
        constraints = [
            models.UniqueConstraint(
                fields=["flag"],
                condition=Q(closed_at__isnull=True),
                name="one_open_rollout_per_flag",
            )
        ]

    def __str__(self) -> str:
        return f"{self.flag_id}: {self.variant_id} since {day(self.created_at)}"
