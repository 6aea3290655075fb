"""What the engine says where there is nothing to find: real control data, split anew."""

from __future__ import annotations

from django.db import models


class NullReplay(models.Model):
    """The p-values of one metric over many splits of one iteration's control arm into two pretended
    arms.

    The newest of each (iteration, metric, method) is what the calibration page shows; older ones
    stay. ``result`` is ``analytics.core.scans.replay.ReplayResult``; ``seed`` gives the same splits
    again.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="null_replays"
    )
    iteration = models.ForeignKey(
        "experiments.Iteration", on_delete=models.PROTECT, related_name="null_replays"
    )
    metric_key = models.SlugField(max_length=80)
    metric_version = models.PositiveIntegerField()
    method = models.CharField(max_length=20)
    units = models.PositiveBigIntegerField()
    seed = models.BigIntegerField()
    result = models.JSONField()
    versions = models.JSONField(default=dict)
    data_cut = models.DateTimeField()
    computed_at = models.DateTimeField()

    class Meta:
        db_table = "null_replays"
        ordering = ("-computed_at", "-id")
        indexes = [
            models.Index(
                fields=["iteration", "metric_key", "-computed_at"], name="replays_of_metric"
            )
        ]

    def __str__(self) -> str:
        return f"{self.metric_key} ({self.method})"
