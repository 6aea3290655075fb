"""Written reports, and the versions of the text they are made by."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models

_APPEND_ONLY = pgtrigger.Update | pgtrigger.Delete


class ReportTemplate(models.Model):
    """One version of a report's text: Markdown with named places. The newest one counts; none is
    ever changed.

    ``shipped``: it came with the platform and gives way to a newer shipped one; an organisation's
    own does not.
    """

    version = models.PositiveIntegerField(unique=True)
    text = models.TextField()
    reason = models.TextField(blank=True)
    shipped = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "report_templates"
        ordering = ("-version",)
        triggers = [pgtrigger.Protect(name="append_only", operation=_APPEND_ONLY)]

    def __str__(self) -> str:
        return f"report template, version {self.version}"


class ExperimentReport(models.Model):
    """The report of a frozen run: the facts it rests on and its bodies to the last byte.
    Append-only.

    ``after``: written once more when the promotion's holdback had said what lasts, or had taken the
    promotion back. ``sha256`` is of the three bodies, each ended by a NUL. The same facts and
    template give the same bytes again.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.PROTECT, related_name="reports"
    )
    iteration = models.ForeignKey(
        "experiments.Iteration", on_delete=models.PROTECT, related_name="reports"
    )
    run = models.ForeignKey(
        "analytics.AnalysisRun", on_delete=models.PROTECT, related_name="reports"
    )
    template = models.ForeignKey(ReportTemplate, on_delete=models.PROTECT, related_name="reports")
    after = models.BooleanField(default=False)
    facts = models.JSONField()
    html = models.TextField()
    markdown = models.TextField()
    json = models.TextField()
    sha256 = models.CharField(max_length=64)
    written_at = models.DateTimeField()

    class Meta:
        db_table = "experiment_reports"
        ordering = ("-written_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["run", "template", "after"], name="report_once_per_run_and_template"
            )
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=_APPEND_ONLY)]

    def __str__(self) -> str:
        return f"report of {self.iteration_id}"
