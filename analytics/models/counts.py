"""What was told of experiments so far: the names of outcomes, and how many units each of them
happened to.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

OUTCOMES_AT_MOST = 50
OTHER = "other"


class ToldOutcome(models.Model):
    """A name under which applications tell outcomes of an experiment. Slots number them from 0, so
    that there are at most so many.

    The slot after the last one belongs to ``other``: everything whose name found no slot, or is no
    name.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="told_outcomes"
    )
    slot = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=80)
    source = models.CharField(
        max_length=12, choices=[("event", "event"), ("observation", "observation")]
    )
    first_at = models.DateTimeField()

    class Meta:
        db_table = "told_outcomes"
        constraints = [
            models.UniqueConstraint(fields=["experiment", "slot"], name="told_outcome_slot_once"),
            models.UniqueConstraint(
                fields=["experiment", "name", "source"], name="told_outcome_once"
            ),
            models.CheckConstraint(
                condition=Q(slot__lte=OUTCOMES_AT_MOST), name="told_outcomes_bounded"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.source})"


class OutcomeCount(models.Model):
    """One iteration's units and outcomes by arm, of everybody exposed so far: ``[{"key",
    "is_control", "units", "outcomes"}]``.

    ``primary`` is the outcome that the primary metric counts, empty without one. ``took_ms`` says
    how long counting took. ``tried_at`` is the newest attempt that ended without numbers; ``arms``
    is empty until an attempt succeeds.
    """

    iteration = models.OneToOneField(
        "experiments.Iteration", on_delete=models.PROTECT, related_name="outcome_count"
    )
    counted_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True)
    took_ms = models.PositiveIntegerField(default=0)
    primary = models.CharField(max_length=80, blank=True)
    arms = models.JSONField(default=list)

    class Meta:
        db_table = "outcome_counts"

    def __str__(self) -> str:
        return f"outcomes of iteration {self.iteration_id}"
