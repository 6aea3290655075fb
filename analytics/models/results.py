"""What we learned: analysis runs, looks, decisions. Never fields on the experiment."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q

from experiments.models.standings import OF_DECISION, OF_ITERATION, OWN, touching


class AnalysisRun(models.Model):
    """One pass of totals → health → statistics → verdicts → decision over an iteration.

    ``latest`` is overwritten between looks; a run with a look is kept for ever. A failed run
    leaves the last good one in place and says so in ``error``.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="analysis_runs"
    )
    iteration = models.ForeignKey(
        "experiments.Iteration", on_delete=models.PROTECT, related_name="analysis_runs"
    )
    latest = models.BooleanField(default=True)
    computed_at = models.DateTimeField()
    data_cut = models.DateTimeField()
    totals = models.JSONField(default=dict)
    health = models.JSONField(default=dict)
    results = models.JSONField(default=dict)
    verdicts = models.JSONField(default=dict)
    readiness = models.JSONField(default=dict)
    masked = models.BooleanField(default=False)
    versions = models.JSONField(default=dict)
    failed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        db_table = "analysis_runs"
        ordering = ("-computed_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["iteration"], condition=Q(latest=True), name="one_latest_run"
            )
        ]
        triggers = [touching(OWN)]


class Look(models.Model):
    """A run that may decide: at most one per local day. Append-only, replayable.

    ``state`` holds per hypothesis t, α spent, boundary, z and repeated p (core.looks).
    """

    iteration = models.ForeignKey(
        "experiments.Iteration", on_delete=models.PROTECT, related_name="looks"
    )
    number = models.PositiveIntegerField()
    local_day = models.DateField()
    information = models.FloatField()
    last = models.BooleanField(default=False)
    state = models.JSONField()
    inputs = models.JSONField()
    versions = models.JSONField(default=dict)
    taken_at = models.DateTimeField()

    class Meta:
        db_table = "analysis_looks"
        ordering = ("iteration", "number")
        constraints = [
            models.UniqueConstraint(fields=["iteration", "number"], name="look_number_once"),
            models.UniqueConstraint(
                fields=["iteration", "local_day"], name="one_look_per_local_day"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]


class Decision(models.Model):
    """What the rules said at a look, with everything they were told. Append-only.

    ``arms`` are the keys of all variants that it is about, ``variant`` the first of them.
    """

    iteration = models.ForeignKey(
        "experiments.Iteration", on_delete=models.PROTECT, related_name="decisions"
    )
    look = models.OneToOneField(Look, null=True, on_delete=models.PROTECT, related_name="decision")
    verdict = models.CharField(
        max_length=16,
        choices=[(v, v) for v in ("keep", "hold", "stop", "promote", "escalate", "conclude")],
    )
    outcome = models.CharField(max_length=16, blank=True)
    variant = models.ForeignKey(
        "experiments.Variant", null=True, on_delete=models.PROTECT, related_name="+"
    )
    arms = models.JSONField(default=list)
    rule = models.TextField()
    facts = models.JSONField()
    versions = models.JSONField(default=dict)
    made_at = models.DateTimeField()

    class Meta:
        db_table = "decisions"
        ordering = ("-made_at", "-id")
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            touching(OF_ITERATION),
        ]


class AppliedDecision(models.Model):
    """That a decision was carried out (or could not be, and why): once each."""

    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="applied")
    done = models.BooleanField()
    note = models.TextField(blank=True)
    applied_at = models.DateTimeField()

    class Meta:
        db_table = "applied_decisions"
        triggers = [touching(OF_DECISION)]
