"""Policies: what a risk class demands before launch."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Policy(models.Model):
    """One version of a risk class's demands; ``rules`` is a ``core.policies.PolicyRules`` as
    JSON.
    """

    key = models.SlugField(max_length=40)
    version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    rules = models.JSONField()
    current = models.BooleanField(
        default=True, help_text="New experiments choose among current versions."
    )
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "policies"
        ordering = ("-is_default", "name")
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(fields=["key", "version"], name="policy_version_once"),
            models.UniqueConstraint(
                fields=["key"], condition=Q(current=True), name="one_current_policy_version"
            ),
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_policy"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (v{self.version})"
