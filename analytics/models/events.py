"""What applications tell us: assignments met, events, metric observations, feedback, costs.

``ai_events``, ``ai_ab_metrics``, ``ai_feedback`` and ``ai_request_costs`` are range-partitioned by
``event_date`` (the UTC date of the client's timestamp); ingest makes and attaches a missing day
itself. ``event_ids`` decides, over all days, whether an id is new, a duplicate or a conflict.
"""

from __future__ import annotations

from django.db import models

from experiments.core.types import Environment, Origin, Phase

_ENVIRONMENTS = [(e.value, e.value) for e in Environment]
_ORIGINS = [(o.value, o.value) for o in Origin]


class Assignment(models.Model):
    """A unit that met its variant: first exposure, and how often since.

    ``user_id`` holds the unit's id and ``unit_type`` says what it is. Only production rows of
    phase ``main`` enter results. ``crossover`` marks a unit that met a second variant.
    ``by_arrival``: the first exposure came without a time, so ``exposure_ts`` is when it arrived.
    ``received_ts`` is when an application's report of it arrived, null where a server wrote the
    exposure down itself.
    """

    id = models.BigAutoField(primary_key=True)
    user_id = models.CharField(max_length=256)
    unit_type = models.CharField(max_length=32)
    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="assignments"
    )
    iteration = models.ForeignKey(
        "experiments.Iteration",
        on_delete=models.PROTECT,
        related_name="assignments",
        db_index=False,
    )
    variant = models.ForeignKey(
        "experiments.Variant", on_delete=models.PROTECT, related_name="assignments", db_index=False
    )
    bucket_id = models.SmallIntegerField(null=True)
    phase = models.CharField(
        max_length=8, choices=[(p.value, p.value) for p in Phase], default=Phase.MAIN
    )
    assigned_ts = models.DateTimeField()
    exposure_ts = models.DateTimeField()
    exposure_count = models.PositiveIntegerField(default=1)
    crossover = models.BooleanField(default=False)
    environment = models.CharField(
        max_length=12, choices=_ENVIRONMENTS, default=Environment.PRODUCTION
    )
    origin = models.CharField(max_length=8, choices=_ORIGINS, default=Origin.LIVE)
    covariates = models.JSONField(null=True)
    context = models.JSONField(null=True)
    by_arrival = models.BooleanField(default=False, db_default=False)
    received_ts = models.DateTimeField(null=True)

    class Meta:
        db_table = "experiment_assignments"
        constraints = [
            models.UniqueConstraint(
                fields=["iteration", "environment", "user_id"], name="assignment_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["iteration", "variant", "exposure_ts"], name="assignments_of_variant"
            ),
            models.Index(fields=["user_id", "experiment"], name="assignments_of_unit"),
        ]


class EventId(models.Model):
    """Every event id ever accepted, with the day it is stored under and the hash of its body."""

    event_id = models.CharField(max_length=128, primary_key=True)
    event_date = models.DateField()
    body_hash = models.CharField(max_length=64)
    kind = models.CharField(max_length=12)

    class Meta:
        db_table = "event_ids"


class AiEvent(models.Model):
    """One interaction with an AI feature, or anything a metric counts. Partitioned by day."""

    pk = models.CompositePrimaryKey("event_date", "event_id")
    event_date = models.DateField()
    event_id = models.CharField(max_length=128)
    ts = models.DateTimeField()
    received_ts = models.DateTimeField()
    user_id = models.CharField(max_length=256)
    unit_type = models.CharField(max_length=32)
    units = models.JSONField(default=dict)
    experiment_id = models.IntegerField(null=True)
    variant_id = models.IntegerField(null=True)
    event_type = models.CharField(max_length=80)
    value = models.FloatField(null=True)
    payload = models.JSONField(default=dict)
    cost_micro = models.BigIntegerField(null=True)
    latency_ms = models.IntegerField(null=True)
    language = models.CharField(max_length=16, null=True)
    embedding_stats = models.JSONField(null=True)
    request_id = models.CharField(max_length=128, null=True)
    environment = models.CharField(max_length=12, choices=_ENVIRONMENTS)
    origin = models.CharField(max_length=8, choices=_ORIGINS)

    class Meta:
        db_table = "ai_events"
        indexes = [
            models.Index(fields=["event_type", "user_id", "ts"], name="ai_events_of_unit"),
            models.Index(fields=["experiment_id", "ts"], name="ai_events_of_experiment"),
            models.Index(
                fields=["request_id"],
                condition=models.Q(request_id__isnull=False),
                name="ai_events_of_request",
            ),
        ]


class MetricObservation(models.Model):
    """One measured value of a metric for a unit. Partitioned by day.

    A row stamped with an experiment counts in that experiment only; one without, in every
    experiment the unit is in.
    """

    pk = models.CompositePrimaryKey("event_date", "event_id")
    event_date = models.DateField()
    event_id = models.CharField(max_length=128)
    ts = models.DateTimeField(db_column="timestamp")
    received_ts = models.DateTimeField()
    user_id = models.CharField(max_length=256)
    unit_type = models.CharField(max_length=32)
    units = models.JSONField(default=dict)
    experiment_id = models.IntegerField(null=True)
    variant_id = models.IntegerField(null=True)
    variant = models.CharField(max_length=200, null=True)
    metric_name = models.CharField(max_length=80)
    value = models.FloatField()
    covariates = models.JSONField(null=True)
    context = models.JSONField(null=True)
    environment = models.CharField(max_length=12, choices=_ENVIRONMENTS)
    origin = models.CharField(max_length=8, choices=_ORIGINS)

    class Meta:
        db_table = "ai_ab_metrics"
        indexes = [
            models.Index(fields=["metric_name", "user_id", "ts"], name="observations_of_unit"),
            models.Index(
                fields=["experiment_id", "metric_name"], name="observations_of_experiment"
            ),
        ]


class Feedback(models.Model):
    """What somebody thought of an answer: useful or not, in words, and whether they had to edit it.
    Partitioned by day.

    ``event_id`` is the feedback's own; ``request_id`` says of which answer it is, as in
    ``ai_events``.
    """

    pk = models.CompositePrimaryKey("event_date", "event_id")
    event_date = models.DateField()
    event_id = models.CharField(max_length=128)
    ts = models.DateTimeField()
    received_ts = models.DateTimeField()
    user_id = models.CharField(max_length=256)
    unit_type = models.CharField(max_length=32)
    units = models.JSONField(default=dict)
    experiment_id = models.IntegerField(null=True)
    variant_id = models.IntegerField(null=True)
    label = models.CharField(max_length=12, null=True)
    comment = models.TextField(null=True)
    manual_edit_flag = models.BooleanField(null=True)
    request_id = models.CharField(max_length=128, null=True)
    context = models.JSONField(null=True)
    environment = models.CharField(max_length=12, choices=_ENVIRONMENTS)
    origin = models.CharField(max_length=8, choices=_ORIGINS)

    class Meta:
        db_table = "ai_feedback"
        indexes = [
            models.Index(fields=["user_id", "ts"], name="feedback_of_unit"),
            models.Index(fields=["experiment_id", "ts"], name="feedback_of_experiment"),
        ]


class RequestCost(models.Model):
    """What one call of a model took: tokens and money, in whole millionths of the currency.
    Partitioned by day.

    It names no unit: ``request_id`` leads to the events of the same request, which do.
    """

    pk = models.CompositePrimaryKey("event_date", "event_id")
    event_date = models.DateField()
    event_id = models.CharField(max_length=128)
    ts = models.DateTimeField()
    received_ts = models.DateTimeField()
    request_id = models.CharField(max_length=128)
    model = models.CharField(max_length=200)
    tokens_in = models.BigIntegerField(null=True)
    tokens_out = models.BigIntegerField(null=True)
    cost_micro = models.BigIntegerField(null=True)
    cache_hit = models.BooleanField(null=True)
    qps_bucket = models.CharField(max_length=40, null=True)
    counted = models.BooleanField(default=False, help_text="Whether Prometheus has been told.")
    environment = models.CharField(max_length=12, choices=_ENVIRONMENTS)
    origin = models.CharField(max_length=8, choices=_ORIGINS)

    class Meta:
        db_table = "ai_request_costs"
        indexes = [
            models.Index(fields=["request_id"], name="costs_of_request"),
            models.Index(fields=["model", "ts"], name="costs_of_model"),
        ]


class IngestTally(models.Model):
    """Counts per UTC day of what arrived: accepted, duplicate, conflict, refused, late, skewed."""

    day = models.DateField()
    door = models.CharField(max_length=16)
    outcome = models.CharField(max_length=16)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "ingest_tallies"
        constraints = [
            models.UniqueConstraint(fields=["day", "door", "outcome"], name="tally_once")
        ]
