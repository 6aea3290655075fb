"""Seals over the audit: a chain of digests, so that a row that was changed or removed shows."""

from __future__ import annotations

import pgtrigger
from django.db import models


class AuditSeal(models.Model):
    """One audit row as it was when it was sealed. ``sha256`` is over the seal before it and this
    one. Append-only.

    ``version`` says which columns of the row ``row_sha256`` covers
    (``analytics.core.ground.seals``).
    """

    number = models.BigIntegerField(primary_key=True)
    source = models.CharField(max_length=40)
    row_id = models.BigIntegerField()
    version = models.SmallIntegerField()
    row_sha256 = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "audit_seals"
        ordering = ("number",)
        constraints = [
            models.UniqueConstraint(fields=["source", "row_id"], name="audit_row_sealed_once")
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]
