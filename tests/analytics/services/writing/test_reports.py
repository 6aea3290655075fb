"""Reports are written once from the frozen run, and stay what they were; masked results stay masked
at every door.
"""

from __future__ import annotations

import json
import re

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, transaction

from analytics.core.deciding.after_promotion import AfterPromotion, HoldbackComparison
from analytics.core.ground.encoding import plain
from analytics.core.stats.exploring.holdback import HoldbackReading
from analytics.models import (
    AnalysisRun,
    Assignment,
    ExperimentReport,
    HoldbackRun,
    ReportTemplate,
    RequestCost,
)
from analytics.selectors.reporting import reports
from analytics.selectors.reporting.finished import without_report
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.decisions import decide
from analytics.services.writing.reports import revise_template, write_report, written_again
from analytics.tasks import write_due_reports
from experiments.core.errors import Forbidden, InvalidInput, NotFound, Refused
from experiments.models import ChangeLogEntry, Experiment, Rollout
from experiments.services.drafts.editing import edit_experiment
from tests.analytics.services.analysis.test_decisions import DAY, HOUR, MORNING, winner
from tests.analytics.services.importing.test_geo import NOW as READ
from tests.analytics.services.importing.test_geo import pilot
from tests.analytics.stores.observed import START, World, crowd, day_exists, plan, world
from tests.factories import NOW, person

pytestmark = pytest.mark.django_db
LATER = MORNING + HOUR


def promoted() -> World:
    """Won at a look, promoted by the machine, and its last run taken."""
    w = winner()
    decide(w.iteration.pk, now=MORNING)
    analyse(w.experiment.pk, now=LATER)
    return w


def now_of(w: World) -> Experiment:
    return Experiment.objects.get(pk=w.experiment.pk)


def test_write_report__promoted__tells_the_win_once_with_its_cautions():
    w = promoted()
    assert without_report() == [w.experiment.pk]
    row = write_report(w.experiment.pk, now=LATER)
    assert write_report(w.experiment.pk, now=LATER + DAY) == row
    assert without_report() == []
    assert row.markdown.startswith(f"# {w.experiment.name}\n")
    for part in (
        "Promoted “treatment”",
        "Estimates of winners are too large on average",
        "carried out by the platform",
        "| sequential |",
    ):
        assert part in row.markdown
    assert (
        ChangeLogEntry.objects.filter(action="report_written", experiment=w.experiment).count() == 1
    )


def test_write_report__made_again_from_its_facts__is_the_same_to_the_last_byte():
    w = promoted()
    row = write_report(w.experiment.pk, now=LATER)
    Experiment.objects.filter(pk=w.experiment.pk).update(
        name="renamed", notes="much later", status="archived"
    )
    again = written_again(ExperimentReport.objects.get(pk=row.pk))
    assert (again.html, again.markdown, again.json) == (row.html, row.markdown, row.json)
    assert again.sha256 == row.sha256
    assert reports.report_of(now_of(w)).markdown == row.markdown


def test_report__nobody_may_change_or_remove_it():
    row = write_report(promoted().experiment.pk, now=LATER)
    for change in (
        lambda: ExperimentReport.objects.filter(pk=row.pk).update(html="nicer"),
        row.delete,
    ):
        with pytest.raises(ProgrammingError, match="append_only"), transaction.atomic():
            change()


def test_write_report__while_it_runs__is_refused_and_what_stands_is_not_final():
    w = winner()
    with pytest.raises(Refused, match="once the experiment is over"):
        write_report(w.experiment.pk, now=MORNING)
    shown = reports.report_of(now_of(w))
    assert (shown.final, shown.stored) == (False, False)
    assert "Not final" in shown.markdown
    assert not ExperimentReport.objects.exists()


def test_report_of__never_analysed__says_so():
    with pytest.raises(NotFound, match="nothing was analysed yet"):
        reports.report_of(world("untouched").experiment)


def test_report__masked__holds_no_result_in_body_or_facts():
    w = world("lopsided")
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    crowd(w, "control", 900, START, events={"apply": 177})
    crowd(w, "treatment", 500, START, events={"apply": 123})
    run = analyse(w.experiment.pk, now=START + 9 * DAY, may_look=True)
    assert run.masked
    shown = reports.report_of(now_of(w))
    assert "Results are masked" in shown.markdown
    numbers = re.compile(r"19\.67|24\.6|0\.1966|0\.246")
    for body in (shown.html, shown.markdown, shown.json):
        assert not numbers.search(body)
    assert json.loads(shown.json)["facts"]["metrics"] == []
    with_numbers = AnalysisRun.objects.get(pk=run.pk)
    assert numbers.search(json.dumps(with_numbers.results))  # so that the check above can fail


def test_html__runs_nothing_and_asks_for_nothing():
    w = promoted()
    Experiment.objects.filter(pk=w.experiment.pk).update(name="<script>x</script>")
    page = reports.report_of(now_of(w)).html
    assert "<script" not in page
    assert "&lt;script&gt;x" in page
    assert not re.search(r"\s(?:src|style|on\w+)=|url\(|@import", page)
    assert page.count("<svg") >= 2


def test_write_due_reports__writes_what_is_over_and_nothing_else():
    w = promoted()
    winner("still_running")
    write_due_reports()
    assert list(ExperimentReport.objects.values_list("experiment_id", flat=True)) == [
        w.experiment.pk
    ]


def test_revise_template__own_text__makes_the_next_version_and_new_reports_by_it():
    w = promoted()
    first = write_report(w.experiment.pk, now=LATER)
    own = "# {{title}}, told our way\n{{verdict}}\n{{results}}\n{{guardrails}}\n{{health}}\n{{versions}}"
    row = revise_template(person("reviewer"), NOW, text=own, reason="shorter")
    assert (first.template.version, row.version, row.shipped) == (1, 2, False)
    second = write_report(w.experiment.pk, now=LATER)
    assert second.pk != first.pk
    assert "told our way" in reports.report_of(now_of(w)).markdown
    assert written_again(first).sha256 == first.sha256


def test_revise_template__faulty_or_not_theirs__is_refused():
    with pytest.raises(InvalidInput, match="is no place of a report"):
        revise_template(person("reviewer"), NOW, text="# {{secret}}")
    with pytest.raises(Forbidden):
        revise_template(person("stranger"), NOW, text="# {{title}}")
    assert not ReportTemplate.objects.exists()


def test_report_command__prints_keeps_and_checks(capsys):
    w = promoted()
    call_command("report", w.experiment.key, "--format", "json")
    assert json.loads(capsys.readouterr().out)["winner"]["arm"] == "treatment"
    call_command("report", w.experiment.key, "--check")
    assert "the same to the last byte" in capsys.readouterr().out
    with pytest.raises(CommandError, match="there is none of this id"):
        call_command("report", "nobody")


def test_pdf__without_weasyprint__says_what_to_do(monkeypatch):
    monkeypatch.setattr(reports, "find_spec", lambda name: None)
    with pytest.raises(Exception, match="extra “pdf”, or ask for html and print it"):
        reports.as_pdf("<p>")


def test_due__waits_for_the_final_run():
    w = winner()
    decide(w.iteration.pk, now=MORNING)
    assert without_report() == []
    analyse(w.experiment.pk, now=LATER)
    assert without_report() == [w.experiment.pk]


def test_report__geo_pilot__tells_its_one_reading_and_nothing_of_looks():
    made = pilot()
    analyse(made.pk, now=READ + HOUR)
    row = write_report(made.pk, now=READ + HOUR)
    assert "against the control regions" in row.markdown
    assert "| Pre-trend, per period |" in row.markdown
    assert "| Looks |" not in row.markdown
    assert written_again(ExperimentReport.objects.get(pk=row.pk)).sha256 == row.sha256


def test_plan__end_amended_after_launch__shows_the_first_and_the_amendment():
    w = winner()
    end = START + 20 * DAY
    Experiment.objects.filter(pk=w.experiment.pk).update(planned_end=end)
    edit_experiment(
        person("admin"),
        START + 3 * DAY,
        experiment_id=w.experiment.pk,
        changes={"planned_end": end + 7 * DAY},
        reason="a holiday",
    )
    analyse(w.experiment.pk, now=MORNING)
    text = reports.report_of(now_of(w)).markdown
    assert f"| End | {end:%d %b %Y, %H:%M} UTC | not yet |" in text
    assert "| planned end | 22 Mar 2026, 00:00 UTC | 29 Mar 2026, 00:00 UTC | a holiday |" in text


def test_report__holdback_over__is_written_once_more_with_what_lasted():
    w = promoted()
    first = write_report(w.experiment.pk, now=LATER)
    gain = HoldbackReading(gain=0.06, lower=0.01, upper=0.11, mde=0.05, lost=False)
    HoldbackRun.objects.create(
        rollout=Rollout.objects.get(experiment=w.experiment),
        computed_at=LATER + 20 * DAY,
        result=plain(AfterPromotion(HoldbackComparison(5000, 500, gain), None, ())),
    )
    assert without_report() == []
    HoldbackRun.objects.update(reminded_at=LATER + 28 * DAY)
    write_due_reports()
    second = ExperimentReport.objects.get(experiment=w.experiment, after=True)
    assert (
        "What the units held back on control say of what lasted: 5,000 against 500 units; gain +0.06"
        in second.markdown
    )
    assert reports.report_of(now_of(w)).markdown == second.markdown
    assert without_report() == []
    assert written_again(first).sha256 == first.sha256


def test_report__costs_of_requests__stand_by_arm_each_once():
    w = promoted()
    unit = {
        arm: Assignment.objects.filter(iteration=w.iteration, variant=w.arms[arm])
        .earliest("pk")
        .user_id
        for arm in w.arms
    }
    w.event(unit["control"], "ai_request", START + HOUR, request_id="r1")
    w.event(unit["control"], "ai_answer", START + HOUR, request_id="r1")
    w.event(unit["treatment"], "ai_request", START + HOUR, request_id="r2")
    w.event("somebody else", "ai_request", START + HOUR, request_id="r3")
    calls = [
        ("r1", 2_000_000, False, HOUR),
        ("r1", 1_000_000, False, HOUR),
        ("r2", 500_000, True, HOUR),
        ("r3", 9, None, HOUR),
    ]
    for number, (request, micro, hit, at) in enumerate(
        [*calls, ("r2", 7, None, 30 * DAY)]
    ):  # the last one came after the end
        day_exists("ai_request_costs", START + at)
        RequestCost.objects.create(
            event_date=(START + at).date(), event_id=f"c{number}", ts=START + at, received_ts=START + at, request_id=request, model="m",
            tokens_in=100, tokens_out=10, cost_micro=micro, cache_hit=hit, environment="production", origin="live",
        )  # fmt: skip
    text = reports.report_of(now_of(w)).markdown
    assert "| control | 1 | 200 | 20 | 3 | 3 | 0.003 | 0.0 % |" in text
    assert "| treatment | 1 | 100 | 10 | 0.5 | 0.5 | 0.0005 | 100.0 % |" in text
