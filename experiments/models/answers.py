"""Answers that are given once: what a call with an idempotency key was answered."""

from __future__ import annotations

from django.db import models


class StoredAnswer(models.Model):
    """What the first call of an API key under this idempotency key was answered, for as long as it
    may be asked again.

    ``request_sha256`` is of method, address and body: another request under the same key is a
    mistake.
    """

    api_key = models.ForeignKey("experiments.ApiKey", on_delete=models.CASCADE, related_name="+")
    idempotency_key = models.CharField(max_length=255)
    request_sha256 = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "idempotency_keys"
        constraints = [
            models.UniqueConstraint(
                fields=["api_key", "idempotency_key"], name="idempotency_key_once"
            )
        ]

    def __str__(self) -> str:
        return self.idempotency_key
