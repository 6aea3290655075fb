"""Who is meant: exclusion lists, segments, the global holdout, and testers who see a variant by
name.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q, Value

from experiments.core.figures import day


class ExclusionList(models.Model):
    """Units that no experiment may include: staff, key clients; by id or by attribute rule."""

    name = models.CharField(max_length=120, unique=True)
    description = models.TextField(blank=True)
    active = models.BooleanField(default=True)
    rule = models.JSONField(
        default=list,
        blank=True,
        help_text='Conditions that exclude, all of which must hold: [{"attribute", "op", "value"}]',
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "exclusion_lists"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ExcludedUnit(models.Model):
    """One unit on an exclusion list."""

    exclusion_list = models.ForeignKey(
        ExclusionList, on_delete=models.CASCADE, related_name="units"
    )
    unit_type = models.CharField(max_length=32, default="user")
    unit_id = models.CharField(max_length=256)

    class Meta:
        db_table = "excluded_units"
        constraints = [
            models.UniqueConstraint(
                fields=["exclusion_list", "unit_type", "unit_id"], name="excluded_unit_once"
            )
        ]


class Segment(models.Model):
    """A named audience that conditions ask about: any of its rules, or its ids. The key never
    changes.
    """

    key = models.CharField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    rules = models.JSONField(
        default=list,
        blank=True,
        help_text='Rules of which any one suffices, each a list of conditions: [[{"attribute", "op", "value"}]]',
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "segments"
        ordering = ("key",)

    def __str__(self) -> str:
        return self.key


class SegmentUnit(models.Model):
    """One unit that a segment lists by its id."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="units")
    unit_type = models.CharField(max_length=32, default="user")
    unit_id = models.CharField(max_length=256)

    class Meta:
        db_table = "segment_units"
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "unit_type", "unit_id"], name="segment_unit_once"
            )
        ]


class PublicAttribute(models.Model):
    """An attribute whose compared values may stand in payloads that browsers read; somebody said
    so, with a reason.
    """

    name = models.CharField(max_length=64, unique=True)
    reason = models.TextField()
    declared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    declared_at = models.DateTimeField()

    class Meta:
        db_table = "public_attributes"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class GlobalHoldout(models.Model):
    """Units that get every flag's default until a moment; one is open at a time. ``share`` in
    thousandths.
    """

    unit_type = models.CharField(max_length=32, default="user")
    seed = models.CharField(max_length=12)
    share = models.PositiveSmallIntegerField()
    until = models.DateTimeField()
    reason = models.TextField()
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "global_holdouts"
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                condition=Q(share__gte=1, share__lte=1000), name="holdout_share_in_thousandths"
            ),
            models.UniqueConstraint(
                Value(1), condition=Q(ended_at__isnull=True), name="one_open_holdout"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.share / 10:g} % of {self.unit_type}s until {day(self.until)}"


class Override(models.Model):
    """A tester sees this variant until then; never analysed."""

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="overrides"
    )
    variant = models.ForeignKey(
        "experiments.Variant", on_delete=models.CASCADE, related_name="overrides"
    )
    unit_type = models.CharField(max_length=32, default="user")
    unit_id = models.CharField(max_length=256)
    reason = models.TextField(blank=True)
    expires_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "experiment_overrides"
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "unit_type", "unit_id"], name="override_once"
            )
        ]
