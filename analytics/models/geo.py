"""Geo pilots: regions in which something was changed, their neighbours, and one value per region
and period.

All of it is written once, by an import, and never changed: a pilot is read once, at its end.
"""

from __future__ import annotations

import pgtrigger
from django.db import models

_WRITTEN_ONCE = pgtrigger.Protect(
    name="written_once", operation=pgtrigger.Update | pgtrigger.Delete
)


class GeoPilot(models.Model):
    """What makes an experiment a geo pilot: its periods in order of time, and the first of them
    with treatment.

    ``periods`` are labels; ``start`` is a position among them. ``metric`` says what the values are,
    ``region_label`` what a region is (a state, a store).
    """

    experiment = models.OneToOneField(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="geo_pilot"
    )
    metric = models.CharField(max_length=200)
    region_label = models.CharField(max_length=80, default="region")
    periods = models.JSONField()
    start = models.PositiveIntegerField()
    source = models.CharField(max_length=255, blank=True)

    class Meta:
        db_table = "geo_pilots"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(start__gte=1), name="geo_pilot_has_a_period_before"
            )
        ]
        triggers = [_WRITTEN_ONCE]

    def __str__(self) -> str:
        return f"geo pilot {self.experiment_id}"


class GeoRegion(models.Model):
    """A region of a pilot, treated or control."""

    pilot = models.ForeignKey(GeoPilot, on_delete=models.PROTECT, related_name="regions")
    name = models.CharField(max_length=200)
    position = models.PositiveIntegerField()
    treated = models.BooleanField()

    class Meta:
        db_table = "geo_regions"
        ordering = ("pilot", "position")
        constraints = [models.UniqueConstraint(fields=["pilot", "name"], name="geo_region_once")]
        triggers = [_WRITTEN_ONCE]

    def __str__(self) -> str:
        return self.name


class GeoObservation(models.Model):
    """A region's value in a period; a cell without a row was not observed."""

    region = models.ForeignKey(GeoRegion, on_delete=models.PROTECT, related_name="observations")
    period = models.PositiveIntegerField(help_text="Position among the pilot's periods.")
    value = models.FloatField()

    class Meta:
        db_table = "geo_observations"
        ordering = ("region", "period")
        constraints = [
            models.UniqueConstraint(fields=["region", "period"], name="geo_one_value_per_period")
        ]
        triggers = [_WRITTEN_ONCE]
