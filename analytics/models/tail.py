"""What the live tail shows beyond the tables of exposures and events: all of it small, and
forgotten soon.
"""

from __future__ import annotations

from django.db import models

from experiments.core.types import Environment

_ENVIRONMENTS = [(e.value, e.value) for e in Environment]


class RefusedItem(models.Model):
    """An item that ingest did not store, and why. ``experiment`` is null when what was sent names
    none that exists.
    """

    at = models.DateTimeField()
    kind = models.CharField(max_length=12)
    environment = models.CharField(max_length=12, choices=_ENVIRONMENTS)
    experiment = models.ForeignKey(
        "experiments.Experiment",
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    sent_experiment = models.CharField(max_length=200, blank=True)
    unit_id = models.CharField(max_length=256, blank=True)
    event_id = models.CharField(max_length=128, blank=True)
    name = models.CharField(max_length=80, blank=True)
    code = models.CharField(max_length=40)
    field = models.CharField(max_length=120, blank=True)
    message = models.CharField(max_length=500)

    class Meta:
        db_table = "refused_items"
        indexes = [
            models.Index(fields=["experiment", "-id"], name="refused_of_experiment"),
            models.Index(fields=["unit_id", "-id"], name="refused_of_unit"),
        ]


class SeenAssignment(models.Model):
    """An answer that a web process gave while somebody was watching. Kept for minutes."""

    at = models.DateTimeField()
    environment = models.CharField(max_length=12, choices=_ENVIRONMENTS)
    flag = models.CharField(max_length=128, blank=True)
    experiment_key = models.CharField(max_length=128, blank=True)
    variant = models.CharField(max_length=128, blank=True)
    reason = models.CharField(max_length=20)
    unit_id = models.CharField(max_length=256, blank=True)
    bucket = models.SmallIntegerField(null=True)

    class Meta:
        db_table = "seen_assignments"
        indexes = [
            models.Index(fields=["experiment_key", "-id"], name="seen_of_experiment"),
            models.Index(fields=["unit_id", "-id"], name="seen_of_unit"),
        ]


class TailWatch(models.Model):
    """Somebody is looking: until then web processes note the answers about this experiment or
    unit.
    """

    kind = models.CharField(max_length=12, choices=[("experiment", "experiment"), ("unit", "unit")])
    subject = models.CharField(max_length=256, help_text="An experiment's key, or a unit's id.")
    key_id = models.IntegerField(null=True)
    user_id = models.IntegerField(null=True, help_text="Who looks at the page; nobody for a key.")
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "tail_watches"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject", "key_id", "user_id"],
                name="watch_once_each",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"live tail of {self.subject if self.kind == 'experiment' else 'a unit'}"
