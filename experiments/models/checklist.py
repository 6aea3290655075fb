"""The launch checklist: evidence, sign-offs bound to what they judge, launch requests."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q

from experiments.core.types import Item, Verdict
from experiments.models.standings import OWN, touching


class SignOff(models.Model):
    """Verdict + evidence + person + time. Append-only; the newest one of an item counts.

    ``judged`` is the canonical JSON of the design fields the item names, as they were when signed;
    a design whose hash differs voids the sign-off. An approval also names who asked for it, and who
    made the key with which it was asked for.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="sign_offs"
    )
    item = models.CharField(max_length=16, choices=[(i.value, i.value) for i in Item])
    verdict = models.CharField(max_length=16, choices=[(v.value, v.value) for v in Verdict])
    comment = models.TextField(blank=True)
    evidence = models.JSONField(default=dict)
    judged = models.JSONField()
    judged_sha256 = models.CharField(max_length=64)
    signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    key_made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    signed_at = models.DateTimeField()

    class Meta:
        db_table = "experiment_sign_offs"
        ordering = ("-signed_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=~Q(item="approval")
                | Q(requested_by__isnull=False) & ~Q(requested_by=F("signed_by")),
                name="approval_by_someone_else",
            ),
            models.CheckConstraint(
                condition=Q(key_made_by__isnull=True) | ~Q(key_made_by=F("signed_by")),
                name="approval_by_no_maker_of_the_key",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return f"{self.item}: {self.verdict}".replace("_", " ")


class LaunchRequest(models.Model):
    """Somebody asks for the launch; somebody else approves it. Bound to the design it was made for.

    ``key``: with which key it was asked for; none where a person or the machine asked.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="launch_requests"
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    key = models.ForeignKey(
        "experiments.ApiKey", null=True, on_delete=models.PROTECT, related_name="+"
    )
    requested_at = models.DateTimeField()
    judged_sha256 = models.CharField(max_length=64)
    note = models.TextField(blank=True)

    class Meta:
        db_table = "experiment_launch_requests"
        ordering = ("-requested_at", "-id")
        triggers = [touching(OWN)]

    def __str__(self) -> str:
        return f"launch of {self.experiment_id}"


class OfflineEvaluation(models.Model):
    """A measured offline score of a variant, bound to the config and model it was measured on."""

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="offline_evaluations"
    )
    variant = models.ForeignKey(
        "experiments.Variant", on_delete=models.PROTECT, related_name="offline_evaluations"
    )
    metric = models.CharField(max_length=80)
    value = models.FloatField()
    lower = models.FloatField(null=True, blank=True)
    upper = models.FloatField(null=True, blank=True)
    n = models.PositiveIntegerField(null=True, blank=True)
    dataset = models.CharField(max_length=200, blank=True)
    config_sha256 = models.CharField(
        max_length=64, help_text="Of the variant's canonical config and model hash."
    )
    recorded_by = models.CharField(max_length=160)
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "offline_evaluations"
        ordering = ("-recorded_at", "-id")
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return f"{self.metric} = {self.value:g}"


class Evidence(models.Model):
    """Computed evidence, written down to the plan's side: a sample-size plan, dark-launch health.

    ``green`` says whether it clears its bar; ``judged_sha256`` binds it to the design it is about.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="evidence"
    )
    item = models.CharField(max_length=16, choices=[(i.value, i.value) for i in Item])
    green = models.BooleanField()
    summary = models.TextField()
    detail = models.JSONField(default=dict)
    judged_sha256 = models.CharField(max_length=64)
    computed_at = models.DateTimeField()

    class Meta:
        db_table = "experiment_evidence"
        ordering = ("-computed_at", "-id")

    def __str__(self) -> str:
        return f"{self.item}: {'green' if self.green else 'not green'}".replace("_", " ")
