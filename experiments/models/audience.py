"""Who never takes part, and who sees a variant by name."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ExclusionList(models.Model):
    """Units that no experiment may include: staff, key clients; by id or by attribute rule."""

    name = models.CharField(max_length=120, unique=True)
    description = models.TextField(blank=True)
    active = models.BooleanField(default=True)
    rule = models.JSONField(
        default=list, blank=True, help_text='Conditions that exclude, all of which must hold: [{"attribute", "op", "value"}]'
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "exclusion_lists"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ExcludedUnit(models.Model):
    """One unit on an exclusion list."""

    exclusion_list = models.ForeignKey(ExclusionList, on_delete=models.CASCADE, related_name="units")
    unit_type = models.CharField(max_length=32, default="user")
    unit_id = models.CharField(max_length=256)

    class Meta:
        db_table = "excluded_units"
        constraints = [models.UniqueConstraint(fields=["exclusion_list", "unit_type", "unit_id"], name="excluded_unit_once")]


class Override(models.Model):
    """A tester sees this variant until then; never analysed."""

    experiment = models.ForeignKey("experiments.Experiment", on_delete=models.CASCADE, related_name="overrides")
    variant = models.ForeignKey("experiments.Variant", on_delete=models.CASCADE, related_name="overrides")
    unit_type = models.CharField(max_length=32, default="user")
    unit_id = models.CharField(max_length=256)
    reason = models.TextField(blank=True)
    expires_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "experiment_overrides"
        constraints = [models.UniqueConstraint(fields=["experiment", "unit_type", "unit_id"], name="override_once")]
