"""API keys: a selector to find, a verifier to check; the key itself is shown once and not kept."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from experiments.core.types import Environment, Scope


class ApiKey(models.Model):
    """Acts for its owner within its scope and environment. ``verifier`` is a SHA-256.

    ``made_by`` saw its text, so he counts as one who can ask with it; none: made at a shell of the
    server.
    """

    name = models.CharField(max_length=120)
    selector = models.CharField(max_length=32, unique=True)
    verifier = models.CharField(max_length=64)
    scope = models.CharField(max_length=12, choices=[(s.value, s.value) for s in Scope])
    environment = models.CharField(
        max_length=12,
        choices=[(e.value, e.value) for e in Environment],
        default=Environment.PRODUCTION,
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_keys"
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "api_keys"
        ordering = ("name", "id")
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.scope})"
