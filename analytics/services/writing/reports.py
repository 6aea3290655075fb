"""Writing reports: once for every final run and template, and the template's next version."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from analytics.core.ground.encoding import plain, restored
from analytics.core.report.build import build, template_faults
from analytics.core.report.facts import ReportFacts
from analytics.models import AnalysisRun, ExperimentReport, ReportTemplate
from analytics.selectors.reporting.report_facts import aftermath, facts_of, is_final
from analytics.selectors.reporting.reports import (
    WrittenReport,
    latest_run,
    template_in_force,
    written,
)
from experiments.core.errors import InvalidInput, NotFound, Problem, Refused
from experiments.core.permissions import Action, check
from experiments.core.types import JSON, SYSTEM, Actor
from experiments.models import Experiment
from experiments.services.ground import audit

log = structlog.get_logger(__name__)


def write_report(experiment_id: int, *, now: datetime) -> ExperimentReport:
    """The report of the experiment's last run, written if it is not there yet. Refuses while the
    run is not final.

    Once per run and template, and once more when a promotion's holdback is over: another call gives
    the row that is there. The experiment's lock makes writers queue.
    """
    with transaction.atomic():
        experiment = (
            Experiment.objects.select_for_update(no_key=True).filter(pk=experiment_id).first()
        )
        if experiment is None:
            raise NotFound(f"experiment {experiment_id}: there is none")
        run = latest_run(experiment)
        if run is None or not is_final(run):
            raise Refused(
                f"{experiment.key}: a report is kept once the experiment is over and its last run has frozen its results"
            )
        template = _kept_template(now)
        after = aftermath(run) is not None
        kept = ExperimentReport.objects.filter(run=run, template=template, after=after).first()
        return kept or _write(run, template, after, now)


def _write(
    run: AnalysisRun, template: ReportTemplate, after: bool, now: datetime
) -> ExperimentReport:
    made = build(facts_of(run), template.text, template.version)
    for error in made.errors:
        log.error(
            "report_section_failed", experiment=run.experiment.key, run=run.pk, exc_info=error
        )
    report = written(made)
    row = ExperimentReport.objects.create(
        experiment=run.experiment,
        iteration=run.iteration,
        run=run,
        template=template,
        after=after,
        facts=plain(made.facts),
        html=report.html,
        markdown=report.markdown,
        json=report.json,
        sha256=report.sha256,
        written_at=now,
    )
    line: JSON = {"run": run.pk, "template": template.version, "sha256": report.sha256}
    audit.record(
        SYSTEM, now, action="report_written", obj=row, experiment=run.experiment, after=line
    )
    return row


def written_again(row: ExperimentReport) -> WrittenReport:
    """The report made anew from its stored facts and template; the same bytes unless the platform
    writes otherwise by now.
    """
    return written(
        build(restored(row.facts, ReportFacts), row.template.text, row.template.version),
        stored=True,
    )


def revise_template(actor: Actor, now: datetime, *, text: str, reason: str = "") -> ReportTemplate:
    """The organisation's own text as the next version. Refuses a text with an unknown place, or
    without one that must be there.
    """
    check(actor, Action.MANAGE_METRICS, member=False, subject="the report template")
    text = text.replace("\r\n", "\n").strip() + "\n"
    problems = [Problem("template_fault", str(fault), "text") for fault in template_faults(text)]
    if problems:
        raise InvalidInput("the report template cannot be used as it is", "text", problems)
    with transaction.atomic():
        newest = _kept_template(now)
        if newest.text == text:
            return newest
        row = _next_version(now, text, reason=reason, user_id=actor.user_id)
        audit.record(
            actor, now, action="report_template_revised", obj=row, reason=reason, before={"version": newest.version},
            after={"version": row.version},
        )  # fmt: skip
    return row


def _kept_template(now: datetime) -> ReportTemplate:
    """The template in force as a row; a shipped text becomes one when it is first needed. Inside
    the caller's transaction.
    """
    _one_at_a_time()
    found = template_in_force()
    if found.row is not None:
        return found.row
    row = _next_version(now, found.text, reason="shipped with the platform", shipped=True)
    audit.record(
        SYSTEM,
        now,
        action="report_template_shipped",
        obj=row,
        reason=row.reason,
        after={"version": row.version},
    )
    return row


def _next_version(
    now: datetime, text: str, *, reason: str, shipped: bool = False, user_id: int | None = None
) -> ReportTemplate:
    newest = (
        ReportTemplate.objects.order_by("-version").values_list("version", flat=True).first() or 0
    )
    return ReportTemplate.objects.create(
        version=newest + 1,
        text=text,
        reason=reason,
        shipped=shipped,
        created_by_id=user_id,
        created_at=now,
    )


def _one_at_a_time() -> None:
    """Versions are counted by one writer at a time; its lock ends with the transaction."""
    with transaction.get_connection().cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('report_templates'))")
