"""Metrics as planned: versioned definitions, and what an experiment wants of each."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from experiments.core.types import (
    Direction,
    GuardrailAction,
    GuardrailRule,
    MarginKind,
    MetricKind,
    MetricRole,
)


class Metric(models.Model):
    """One version of a metric's definition; a change makes a new version, never edits this one.

    ``source`` event: rows of ai_events whose type is in ``event_types``; observation: rows of
    ai_ab_metrics whose metric_name is the key. ``aggregation`` turns a unit's rows into its value.
    """

    key = models.SlugField(max_length=80)
    version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=160)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=12, choices=[(k.value, k.value) for k in MetricKind])
    source = models.CharField(
        max_length=12, choices=[("event", "event"), ("observation", "observation")]
    )
    event_types = models.JSONField(default=list, blank=True)
    denominator_event_types = models.JSONField(default=list, blank=True, help_text="Of a ratio.")
    aggregation = models.CharField(
        max_length=8,
        choices=[(a, a) for a in ("any", "count", "sum", "mean", "max", "last")],
        help_text="any: 1 if the unit has such a row with a value above zero.",
    )
    value_field = models.CharField(
        max_length=40, default="value", help_text="value, latency_ms, cost_micro"
    )
    attribution = models.CharField(
        max_length=8, choices=[("unit", "unit"), ("stamped", "stamped")], default="unit"
    )
    direction = models.CharField(max_length=10, choices=[(d.value, d.value) for d in Direction])
    scale = models.CharField(
        max_length=40,
        blank=True,
        help_text="What one unit of the value is: share, 0-5, ms, USD micros, …",
    )
    cap = models.FloatField(null=True, blank=True)
    winsorised = models.BooleanField(
        default=False, help_text="The first look finds the cap, and it is frozen then."
    )
    window_hours = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Conversion window after first exposure; empty: until the data cut.",
    )
    lookback_days = models.PositiveSmallIntegerField(default=14)
    quantile = models.FloatField(
        null=True, blank=True, help_text="Of a quantile (empty: 0.95) or a duration (empty: 0.5)."
    )
    exploratory = models.BooleanField(
        default=False, help_text="Registered by itself when first seen; decides nothing."
    )
    shipped = models.BooleanField(default=False)
    current = models.BooleanField(default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "metrics"
        ordering = ("key", "-version")
        constraints = [
            models.UniqueConstraint(fields=["key", "version"], name="metric_version_once"),
            models.UniqueConstraint(
                fields=["key"], condition=Q(current=True), name="one_current_metric_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (v{self.version})"


class ExperimentMetric(models.Model):
    """What an experiment plans to do with a metric: decide by it, watch it, or show it.

    ``baseline`` and ``mde`` size the experiment (``mde`` in the unit of ``mde_kind``);
    ``required_improvement`` is d0; margins belong to guardrails. ``covariate`` names a number
    frozen at first exposure that CUPED uses instead of the metric's own past; ``adjusted``: looks
    decide by CUPED's estimate. ``worth_micro`` is the money that one unit of the primary outcome
    brings.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="planned_metrics"
    )
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT, related_name="uses")
    role = models.CharField(max_length=10, choices=[(r.value, r.value) for r in MetricRole])
    position = models.PositiveSmallIntegerField(default=0)
    baseline = models.FloatField(null=True, blank=True)
    baseline_sd = models.FloatField(
        null=True, blank=True, help_text="Standard deviation over units; of a mean."
    )
    covariate = models.CharField(
        max_length=80, blank=True, help_text="Of CUPED; empty: the metric's own past."
    )
    adjusted = models.BooleanField(
        default=False, help_text="Looks decide by the estimate with covariates (CUPED)."
    )
    mde = models.FloatField(null=True, blank=True)
    mde_kind = models.CharField(
        max_length=8,
        choices=[("absolute", "absolute"), ("relative", "relative")],
        default="relative",
    )
    required_improvement = models.FloatField(default=0.0)
    worth_micro = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="What one unit of the primary outcome is worth, in USD micros; then a gain may pay for cost.",
    )
    margin = models.FloatField(null=True, blank=True)
    margin_kind = models.CharField(
        max_length=8, blank=True, choices=[(m.value, m.value) for m in MarginKind]
    )
    rule = models.CharField(
        max_length=10, blank=True, choices=[(r.value, r.value) for r in GuardrailRule]
    )
    action = models.CharField(
        max_length=10, blank=True, choices=[(a.value, a.value) for a in GuardrailAction]
    )

    class Meta:
        db_table = "experiment_metrics"
        ordering = ("role", "position", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "metric", "role"], name="metric_once_per_role"
            ),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(role="primary"), name="one_primary_metric"
            ),
            models.CheckConstraint(
                condition=~Q(role="guardrail")
                | Q(margin__isnull=False, margin__gt=0) & ~Q(margin_kind=""),
                name="guardrail_has_margin",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.metric.key}"
