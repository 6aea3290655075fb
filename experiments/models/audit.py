"""The changelog: one append-only table that every service writes to."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models


class ChangeLogEntry(models.Model):
    """Who changed what, why, from what to what. Unit ids appear as keyed hashes only."""

    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=8)
    actor_label = models.CharField(max_length=160)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=200, blank=True)
    experiment = models.ForeignKey(
        "experiments.Experiment", null=True, on_delete=models.PROTECT, related_name="changelog"
    )
    reason = models.TextField(blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        db_table = "changelog"
        ordering = ("-at", "-id")
        verbose_name_plural = "changelog"
        indexes = [
            models.Index(fields=["experiment", "-at"], name="changelog_of_experiment"),
            models.Index(fields=["object_type", "object_id"], name="changelog_of_object"),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]
