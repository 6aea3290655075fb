"""What the holdback of a promotion said last."""

from __future__ import annotations

from django.db import models


class HoldbackRun(models.Model):
    """The newest reading of an open rollout against the units held back from it; ``result`` is
    ``core.after_promotion.AfterPromotion``.

    ``reverted_at``: when it took the promotion back. ``reminded_at``: when its team was told that
    the old code may go.
    """

    rollout = models.OneToOneField(
        "experiments.Rollout", on_delete=models.PROTECT, related_name="holdback_run"
    )
    computed_at = models.DateTimeField()
    result = models.JSONField(default=dict)
    versions = models.JSONField(default=dict)
    reverted_at = models.DateTimeField(null=True)
    reminded_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "holdback_runs"

    def __str__(self) -> str:
        return f"holdback of rollout {self.rollout_id}"
