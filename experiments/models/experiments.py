"""Experiments, their variants, and the launches of their designs."""

from __future__ import annotations

import uuid

import pgtrigger
from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Cast

from experiments.core.types import DarkMode, Origin, Outcome, PauseCause, Status
from experiments.models.standings import OWN, touching

EXPERIMENT_KEY = RegexValidator(
    r"^[a-z0-9][a-z0-9_.-]{0,127}\Z",
    "Lower-case letters, digits, dot, dash and underscore; 1 to 128 of them.",
)


def _choices(enum: type) -> list[tuple[str, str]]:
    return [(member.value, member.value.replace("_", " ") or "none yet") for member in enum]  # type: ignore[attr-defined]  # any StrEnum


class Experiment(models.Model):
    """A question asked of real users: a design, a team, and where it is in its life.

    Status and outcome belong to ``services.lifecycle``; everything else to ``services.drafts``.
    """

    id = models.AutoField(primary_key=True, db_column="experiment_id")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    key = models.CharField(max_length=128, unique=True, validators=[EXPERIMENT_KEY])
    name = models.CharField(max_length=200, unique=True)
    description = models.TextField(blank=True)
    experiment_type = models.CharField(
        max_length=40,
        default="feature",
        help_text="prompt, model, threshold, routing, cache, rag, … An open list.",
    )
    tags = models.JSONField(default=list, blank=True)
    notes = models.TextField(blank=True)
    origin = models.CharField(
        max_length=8,
        choices=_choices(Origin),
        default=Origin.LIVE,
        help_text="import: randomised elsewhere.",
    )

    flag = models.ForeignKey(
        "experiments.Flag",
        to_field="key",
        db_column="flag",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="experiments",
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        db_column="owner",
        on_delete=models.PROTECT,
        related_name="owned_experiments",
    )
    collaborators = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="shared_experiments"
    )

    status = models.CharField(max_length=16, choices=_choices(Status), default=Status.DRAFT)
    outcome = models.CharField(
        max_length=16, choices=_choices(Outcome), default=Outcome.NONE, blank=True
    )
    pause_cause = models.CharField(
        max_length=8, choices=_choices(PauseCause), default=PauseCause.NONE, blank=True
    )
    start_ts = models.DateTimeField(null=True, blank=True)
    end_ts = models.DateTimeField(null=True, blank=True)
    planned_start = models.DateTimeField(null=True, blank=True)
    planned_end = models.DateTimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    arrival_grace_seconds = models.PositiveSmallIntegerField(
        default=10,
        help_text="Seconds before an exposure without a time of its own in which rows are not its past.",
    )
    arrival_grace_counts = models.BooleanField(
        default=False, help_text="Whether rows in these seconds count as outcome."
    )

    hypothesis = models.TextField(blank=True)
    expected_effect = models.TextField(blank=True)
    prd_url = models.URLField(max_length=500, blank=True)
    prd_text = models.TextField(blank=True)

    policy = models.ForeignKey(
        "experiments.Policy", on_delete=models.PROTECT, related_name="experiments"
    )
    unit_type = models.CharField(
        max_length=32,
        default="user",
        help_text="Who is randomised: user, session, tenant, visitor, …",
    )
    targeting = models.JSONField(default=list, blank=True)
    traffic = models.PositiveSmallIntegerField(
        default=1000, help_text="Share of all units in the experiment, in thousandths."
    )
    traffic_allocation = models.GeneratedField(
        expression=Cast(F("traffic"), models.DecimalField(max_digits=7, decimal_places=3))
        / Value(1000),
        output_field=models.DecimalField(max_digits=4, decimal_places=3),
        db_persist=True,
    )
    ramp = models.JSONField(
        default=list,
        blank=True,
        help_text='Steps up to that share: [{"share": 10, "hours": 24, "units": 500}, …]. Empty: all at once.',
    )
    layer = models.ForeignKey(
        "experiments.Layer",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Empty: a private layer.",
    )
    dark_mode = models.CharField(max_length=8, choices=_choices(DarkMode), default=DarkMode.SHADOW)

    confidence_level = models.DecimalField(max_digits=4, decimal_places=3, default="0.950")
    power = models.DecimalField(max_digits=4, decimal_places=3, default="0.800")
    min_sample_size = models.PositiveIntegerField(
        default=100, help_text="A floor per arm, beside the planned size."
    )
    size_class = models.CharField(
        max_length=8,
        blank=True,
        choices=[("small", "small"), ("medium", "medium"), ("large", "large")],
    )
    auto_promote = models.BooleanField(default=False)
    promotion_held = models.BooleanField(
        default=False, help_text="The owner has put a hold on automatic promotion."
    )
    budget_micro = models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Stops when its units have cost this much, in USD micros.",
    )
    breakdowns = models.JSONField(
        default=list,
        blank=True,
        help_text='Covariates that results are broken down by: [{"name": "language", "values": ["de", "en"]}].',
    )
    offline_thresholds = models.JSONField(
        default=list, blank=True, help_text='[{"metric": "ndcg@10", "op": ">=", "value": 0.5}]'
    )

    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "experiments"
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                condition=Q(traffic__gte=1, traffic__lte=1000),
                name="experiment_traffic_in_thousandths",
            ),
            models.CheckConstraint(
                condition=Q(confidence_level__gt=0.5, confidence_level__lt=1),
                name="experiment_confidence_level",
            ),
            models.CheckConstraint(
                condition=Q(budget_micro__isnull=True) | Q(budget_micro__gt=0),
                name="experiment_budget_above_zero",
            ),
            models.UniqueConstraint(
                fields=["flag"],
                condition=Q(status__in=["dark_launch", "running", "paused"]),
                name="one_serving_experiment_per_flag",
            ),
        ]
        indexes = [models.Index(fields=["status"], name="experiments_status")]
        triggers = [touching(OWN)]

    def __str__(self) -> str:
        return self.key


class Variant(models.Model):
    """One of the things compared. ``value`` is what the flag serves; null means the config
    itself.
    """

    id = models.AutoField(primary_key=True, db_column="variant_id")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    key = models.CharField(max_length=128)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    is_control = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)
    weight = models.PositiveSmallIntegerField(
        help_text="Part of the experiment's traffic, in thousandths; an experiment's weights sum to 1000."
    )
    traffic_share = models.GeneratedField(
        expression=Cast(F("weight"), models.DecimalField(max_digits=7, decimal_places=3))
        / Value(1000),
        output_field=models.DecimalField(max_digits=4, decimal_places=3),
        db_persist=True,
    )
    config = models.JSONField(default=dict, blank=True)
    value = models.JSONField(null=True, blank=True)
    model_hash = models.CharField(max_length=128, blank=True)

    class Meta:
        db_table = "experiment_variants"
        ordering = ("position", "id")
        constraints = [
            models.UniqueConstraint(fields=["experiment", "key"], name="variant_key_once"),
            models.UniqueConstraint(fields=["experiment", "name"], name="variant_name_once"),
            models.UniqueConstraint(
                fields=["experiment"],
                condition=Q(is_control=True),
                name="one_control_per_experiment",
            ),
            models.CheckConstraint(
                condition=Q(weight__lte=1000), name="variant_weight_in_thousandths"
            ),
        ]

    def __str__(self) -> str:
        return self.key


class Iteration(models.Model):
    """One launch of a design: what was frozen, and when each part of it happened.

    ``design``, ``policy_rules`` and ``plan`` are frozen when the iteration begins. ``traffic`` is
    the share now served, in thousandths; ``step`` the present ramp step's place among the declared
    ones, and ``step_started_at`` its start. ``held`` is who held which buckets when it ended, for
    exposures that are told later: [variant, role, [indexes]], empty while it is open.
    """

    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="iterations")
    number = models.PositiveIntegerField()
    layer = models.ForeignKey(
        "experiments.Layer", null=True, on_delete=models.PROTECT, related_name="iterations"
    )
    design = models.JSONField()
    design_sha256 = models.CharField(max_length=64)
    policy_rules = models.JSONField()
    plan = models.JSONField(default=dict)
    traffic = models.PositiveSmallIntegerField()
    step = models.PositiveSmallIntegerField(default=0)
    began_at = models.DateTimeField()
    dark_started_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    step_started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    held = models.JSONField(default=list, db_default=Value([], models.JSONField()))

    class Meta:
        db_table = "experiment_iterations"
        ordering = ("experiment", "number")
        constraints = [
            models.UniqueConstraint(fields=["experiment", "number"], name="iteration_number_once"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(ended_at__isnull=True), name="one_open_iteration"
            ),
        ]
        triggers = [touching(OWN)]

    def __str__(self) -> str:
        return f"{self.experiment_id}#{self.number}"


class Pause(models.Model):
    """A stretch of time in which an iteration did not serve."""

    iteration = models.ForeignKey(Iteration, on_delete=models.PROTECT, related_name="pauses")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    cause = models.CharField(max_length=8, choices=_choices(PauseCause))
    reason = models.TextField(blank=True)

    class Meta:
        db_table = "experiment_pauses"
        constraints = [
            models.UniqueConstraint(
                fields=["iteration"], condition=Q(ended_at__isnull=True), name="one_open_pause"
            )
        ]


class StoppedArm(models.Model):
    """A test arm that was switched off alone, for the rest of its iteration: its units get the
    flag's rollout, else its default.

    Append-only: only a new iteration serves the arm again.
    """

    iteration = models.ForeignKey(Iteration, on_delete=models.PROTECT, related_name="stopped_arms")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    stopped_at = models.DateTimeField()
    reason = models.TextField()

    class Meta:
        db_table = "experiment_stopped_arms"
        ordering = ("iteration", "stopped_at", "id")
        constraints = [
            models.UniqueConstraint(fields=["iteration", "variant"], name="arm_stopped_once")
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return f"{self.variant_id} of {self.iteration_id}"
