"""What serving reads, as documents; and the slots that beat's jobs claim."""

from __future__ import annotations

from django.db import models


class ServingDocument(models.Model):
    """An immutable version of the catalogue or the keyring, built in the changing transaction."""

    kind = models.CharField(
        max_length=10, choices=[("catalogue", "catalogue"), ("keyring", "keyring")]
    )
    version = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    body = models.TextField()
    built_at = models.DateTimeField()

    class Meta:
        db_table = "serving_documents"
        ordering = ("kind", "-version")
        constraints = [
            models.UniqueConstraint(fields=["kind", "version"], name="document_version_once")
        ]


class ClaimedSlot(models.Model):
    """A beat tick that somebody has taken: the unique row is what makes several beats safe."""

    task = models.CharField(max_length=80)
    slot = models.CharField(max_length=80)
    claimed_at = models.DateTimeField()

    class Meta:
        db_table = "claimed_slots"
        constraints = [models.UniqueConstraint(fields=["task", "slot"], name="slot_once")]
