"""What happened in the world while experiments ran: a campaign, an update of a provider, an
incident.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

KINDS = ("campaign", "provider update", "incident", "release", "other")


class TimelineNote(models.Model):
    """Days, and what was up on them; of one experiment or, without one, of all. Withdrawn ones stay
    and are not drawn.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", null=True, on_delete=models.PROTECT, related_name="timeline_notes"
    )
    kind = models.CharField(max_length=20, choices=[(kind, kind) for kind in KINDS])
    first_day = models.DateField()
    last_day = models.DateField()
    text = models.CharField(max_length=500)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "timeline_notes"
        ordering = ("first_day", "id")
        constraints = [
            models.CheckConstraint(
                condition=Q(last_day__gte=F("first_day")), name="note_ends_after_it_begins"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text[:60]}"
