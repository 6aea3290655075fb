"""Background work that fails: how often, why, and when it was put aside."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class FailedWork(models.Model):
    """One piece of due work since it last succeeded: runs begun (``attempts``) and runs that
    failed.

    One more begun than failed: it is being worked on, or its worker ended during it.
    ``set_aside_at``: it is not tried again until somebody says so.
    """

    task = models.CharField(max_length=60)
    subject = models.BigIntegerField(help_text="The row that the work is about.")
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    failures = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    failed_at = models.DateTimeField()
    set_aside_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "failed_work"
        ordering = ("-failed_at", "-pk")
        verbose_name = "failed work"
        verbose_name_plural = "failed work"
        constraints = [models.UniqueConstraint(fields=["task", "subject"], name="failed_work_once")]
        indexes = [
            models.Index(
                fields=["task", "subject"],
                condition=Q(set_aside_at__isnull=False),
                name="work_set_aside",
            )
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.subject}"
