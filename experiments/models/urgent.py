"""Emergency stops that could not wait for the experiment's row: the default is served at once, and
they are booked later.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from experiments.core.types import ActorKind
from experiments.models.standings import OWN, touching


class UrgentStop(models.Model):
    """Somebody stopped an experiment, or one ``arm`` of it (a variant's key), while another
    transaction held its row.

    Nothing here refers to a row that a stranger may hold, so writing it never waits. Only
    ``settled_at`` and ``outcome`` change, once: when the stop has been booked on the experiment, or
    was overtaken.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment",
        on_delete=models.PROTECT,
        db_constraint=False,
        related_name="urgent_stops",
    )
    arm = models.CharField(max_length=80, blank=True)
    actor_kind = models.CharField(
        max_length=8, choices=[(kind.value, kind.value) for kind in ActorKind]
    )
    actor_label = models.CharField(max_length=160)
    actor_id = models.IntegerField(null=True)
    reason = models.TextField()
    at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    outcome = models.TextField(blank=True)

    class Meta:
        db_table = "urgent_stops"
        ordering = ("-at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "arm"],
                condition=Q(settled_at__isnull=True),
                name="one_open_urgent_stop_an_arm",
            )
        ]
        triggers = [touching(OWN)]
