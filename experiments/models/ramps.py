"""Where a ramp stood, from when to when."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from experiments.core.life.ramping import HeldBy


class RampStay(models.Model):
    """A stretch of time at one ramp step; the open one of an open iteration is where it stands now.

    ``step`` is the place among the declared steps and ``share`` its share in thousandths;
    ``reason`` says why it was entered. ``held_since`` and what follows tell of the hold that is on
    it now; earlier ones are in the changelog.
    """

    iteration = models.ForeignKey(
        "experiments.Iteration", on_delete=models.PROTECT, related_name="stays"
    )
    step = models.PositiveSmallIntegerField()
    share = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    held_by = models.CharField(
        max_length=8, blank=True, choices=[(h.value, h.name.lower()) for h in HeldBy]
    )
    held_since = models.DateTimeField(null=True)
    held_reason = models.TextField(blank=True)

    class Meta:
        db_table = "experiment_ramp_steps"
        ordering = ("iteration", "started_at", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["iteration"], condition=Q(ended_at__isnull=True), name="one_open_ramp_stay"
            ),
            models.CheckConstraint(
                condition=Q(held_by="", held_since__isnull=True)
                | ~Q(held_by="") & Q(held_since__isnull=False),
                name="ramp_held_since_when_held",
            ),
        ]

    def __str__(self) -> str:
        return f"step {self.step + 1} of {self.iteration_id}"
