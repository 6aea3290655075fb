"""Layers and their 1,000 buckets: who holds which share of the units."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from experiments.core.types import BucketRole


class Layer(models.Model):
    """Experiments that may not overlap share one. The seed never changes."""

    name = models.CharField(max_length=200, unique=True)
    seed = models.CharField(max_length=12, unique=True)
    private = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "layers"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Bucket(models.Model):
    """One thousandth of a layer: free, held by a variant, or resting until a moment.

    ``step`` is the ramp step that took it: while its iteration stands at an earlier one it is held
    and not served.
    """

    layer = models.ForeignKey(Layer, on_delete=models.PROTECT, related_name="buckets")
    index = models.PositiveSmallIntegerField()
    iteration = models.ForeignKey(
        "experiments.Iteration", null=True, on_delete=models.PROTECT, related_name="buckets"
    )
    variant = models.ForeignKey(
        "experiments.Variant", null=True, on_delete=models.PROTECT, related_name="buckets"
    )
    role = models.CharField(
        max_length=8, blank=True, choices=[(r.value, r.value) for r in BucketRole]
    )
    step = models.PositiveSmallIntegerField(default=0)
    held_since = models.DateTimeField(null=True)
    resting_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "layer_buckets"
        ordering = ("layer", "index")
        constraints = [
            models.UniqueConstraint(fields=["layer", "index"], name="bucket_once_per_layer"),
            models.CheckConstraint(
                condition=Q(index__gte=0, index__lt=1000), name="bucket_index_in_range"
            ),
            models.CheckConstraint(
                condition=Q(iteration__isnull=True, variant__isnull=True, role="")
                | Q(iteration__isnull=False, variant__isnull=False) & ~Q(role=""),
                name="bucket_free_or_wholly_held",
            ),
        ]
        indexes = [models.Index(fields=["iteration"], name="buckets_of_iteration")]
