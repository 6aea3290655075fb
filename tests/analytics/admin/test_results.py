"""The results section: what an analysis found, drawn; masked when it cannot be believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics.models import AnalysisRun, Assignment, Decision, Look, MetricObservation
from analytics.selectors import results
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.decisions import decide
from experiments.admin import charts
from experiments.admin.experiment_page import TABS
from experiments.admin.template_filters import p_value, signed
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.design.specs import ExperimentSpec, MetricPlan
from experiments.core.types import SYSTEM, Direction, MetricKind
from experiments.models import Experiment
from experiments.services.drafts import drafts
from experiments.services.library.metrics import define_metric
from experiments.services.life import lifecycle
from tests.analytics.stores.observed import START, crowd, day_exists, plan, world
from tests.experiments.admin.conftest import CONTROL, FRIENDLY, page, url


@pytest.fixture
def running(owner):
    """Started three days ago under Standard, with a metric that has no rows yet."""
    began = timezone.now() - timedelta(days=3)
    metrics = (MetricPlan("csat", "primary", baseline=4, baseline_sd=1, mde=0.05),)
    made = drafts.create_experiment(
        owner,
        began,
        spec=ExperimentSpec(name="Running", variants=(CONTROL, FRIENDLY), metrics=metrics),
    )
    return lifecycle.start(owner, began, experiment_id=made.pk)


def _expose(experiment, counts: dict[str, int]) -> None:
    iteration, met = experiment.iterations.get(), timezone.now() - timedelta(days=2)
    common = {
        "unit_type": "user",
        "experiment": experiment,
        "iteration": iteration,
        "assigned_ts": met,
        "exposure_ts": met,
    }
    Assignment.objects.bulk_create(
        Assignment(user_id=f"{variant.key}-{i}", variant=variant, bucket_id=i % 1000, **common)
        for variant in experiment.variants.all()
        for i in range(counts[variant.name])
    )


def test_results__before_any_analysis__say_so(browser, running):
    assert "No analysis yet" in browser("victor").get(page(running)).content.decode()


def test_analyse_now__shows_units_and_never_counts_as_a_look(browser, running):
    _expose(running, {"Control": 300, "Friendly": 310})
    client = browser("olivia")
    text = client.post(url(running, "analyse"), follow=True).content.decode()
    assert "Nothing was decided." in text
    assert ">300<" in text
    assert ">310<" in text
    assert AnalysisRun.objects.count() == 1
    assert not Look.objects.exists()
    assert not Decision.objects.exists()


def test_results__ended_by_a_person__do_not_say_keep_running(browser, running):
    _expose(running, {"Control": 300, "Friendly": 310})
    client = browser("olivia")
    client.post(url(running, "analyse"))
    assert "Keep running" in client.get(page(running, "results")).content.decode()
    client.post(url(running, "do/conclude"), {"outcome": "inconclusive", "reason": "enough"})
    text = client.get(page(running, "results")).content.decode()
    assert "Ended without an answer" in text
    assert "Ended by Olivia" in text
    assert "Keep running" not in text


def test_results__with_the_wrong_shares__are_masked_with_the_reason(browser, running):
    _expose(running, {"Control": 600, "Friendly": 300})
    text = browser("olivia").post(url(running, "analyse"), follow=True).content.decode()
    assert "Results are masked" in text
    assert "did not get their planned shares" in text
    assert "p, adjusted" not in text
    listed = browser("olivia").get("/admin/experiments/experiment/").content.decode()
    assert "Results are hidden" in listed


MINUTES = MetricDefinition(
    key="minutes",
    name="Minutes",
    kind=MetricKind.MEAN,
    source="observation",
    aggregation="sum",
    direction=Direction.INCREASE,
    window_hours=24,
)
PRIMARY = MetricPlan("minutes", "primary", baseline=9, baseline_sd=3, mde=0.1)
GUARDRAIL = MetricPlan("minutes", "guardrail", margin=1.0, margin_kind="points", action="stop")


def _measured(
    owner,
    size: int,
    *,
    metric: MetricDefinition = MINUTES,
    plan: MetricPlan = PRIMARY,
    past: bool = True,
):
    """An experiment of three days in which each unit took as long as before and a bit, the friendly
    ones two minutes more.
    """
    began = timezone.now() - timedelta(days=3)
    define_metric(SYSTEM, began, definition=metric)
    spec = ExperimentSpec(
        name=metric.name, variants=(CONTROL, FRIENDLY), metrics=(replace(plan, metric=metric.key),)
    )
    made = drafts.create_experiment(owner, began, spec=spec)
    experiment = lifecycle.start(owner, began, experiment_id=made.pk)
    _expose(experiment, {"Control": size, "Friendly": size})
    met = Assignment.objects.earliest("pk").exposure_ts
    for variant in experiment.variants.all():
        more = 0 if variant.is_control else 2
        for i in range(size):
            _observe(
                f"{variant.key}-{i}", metric.key, i % 10 + i % 3 + more, met + timedelta(hours=1)
            )
            if past:
                _observe(f"{variant.key}-{i}", metric.key, i % 10, met - timedelta(days=1))
    return experiment


def _observe(unit: str, metric: str, value: float, at) -> None:
    day_exists("ai_ab_metrics", at)
    whose = {"user_id": unit, "unit_type": "user", "environment": "production", "origin": "live"}
    event_id = f"{unit}-{metric}-{at:%d}"
    MetricObservation.objects.create(
        event_date=at.date(),
        event_id=event_id,
        ts=at,
        received_ts=at,
        metric_name=metric,
        value=value,
        **whose,
    )


def test_results__a_difference__is_read_fixed_sequentially_and_with_covariates(browser, owner):
    experiment = _measured(owner, 120)
    text = browser("olivia").post(url(experiment, "analyse"), follow=True).content.decode()
    [one] = results.latest(experiment).primary.comparisons
    readings = [
        (one.low, one.high, one.p),
        (one.always.interval.low, one.always.interval.high, one.always.p),
    ]
    readings.append((one.cuped.low, one.cuped.high, one.cuped.p))
    assert len(set(readings)) == 3
    for low, high, p in readings:
        assert f"{signed(low)} to {signed(high)}" in text
        assert f">{p_value(p)}<".replace("<", "&lt;", p < 0.0001) in text
    for said in (
        "fixed; 95 % interval",
        "sequential",
        "valid at any time; 95 % interval",
        "CUPED (Lin)",
        "of the variance taken out",
    ):
        assert said in text
    assert "+2<" in text and ": cannot say" not in text


def test_results__too_few_units_and_no_past__say_why_two_views_are_missing(browser, owner):
    text = (
        browser("olivia")
        .post(url(_measured(owner, 40, past=False), "analyse"), follow=True)
        .content.decode()
    )
    assert "fixed; 95 % interval" in text
    assert "Sequential: cannot say, below 100 units in both arms together it does not hold." in text
    assert "CUPED: cannot say, the covariate is constant within an arm." in text
    assert "valid at any time" not in text and "CUPED (Lin)" not in text and "Welch" not in text


def test_results__guardrail__says_that_covariates_are_none_of_its_business(browser, owner):
    text = (
        browser("olivia")
        .post(url(_measured(owner, 60, plan=GUARDRAIL), "analyse"), follow=True)
        .content.decode()
    )
    assert "CUPED: cannot say, guardrails are judged by raw values." in text
    assert "valid at any time" in text


def test_results__quantile__says_which_and_that_it_takes_no_covariate(browser, owner):
    tail = replace(MINUTES, key="tail", kind=MetricKind.QUANTILE, quantile=0.75)
    text = (
        browser("olivia")
        .post(url(_measured(owner, 200, metric=tail), "analyse"), follow=True)
        .content.decode()
    )
    assert "0.75 quantile" in text and "CUPED: cannot say, a quantile takes no covariate." in text


def test_results__winsorised__say_that_the_first_look_finds_the_cap(browser, owner):
    cut = replace(MINUTES, key="cut", winsorised=True)
    text = (
        browser("olivia")
        .post(url(_measured(owner, 60, metric=cut), "analyse"), follow=True)
        .content.decode()
    )
    assert "Winsorised at a cap that the first look finds; these values are whole." in text


def test_results__imported__ask_nobody_for_a_decision(browser, owner):
    experiment = _measured(owner, 60)
    browser("olivia").post(url(experiment, "analyse"))
    Experiment.objects.filter(pk=experiment.pk).update(origin="import", status="completed")
    text = browser("olivia").get(page(experiment, "results")).content.decode()
    assert "Imported: it ran elsewhere" in text
    assert "What a promotion needed" not in text and "Ended by" not in text


def test_intervals__share_one_scale_around_zero():
    drawn = charts.intervals(
        [
            charts.DrawnEstimate("a", 0.02, 0.01, 0.03, "good"),
            charts.DrawnEstimate("b", -0.01, -0.02, 0.0),
        ],
        points=True,
    )
    first, second = drawn.bars
    assert first.x0 > drawn.zero > second.x
    assert second.x1 == drawn.zero
    assert [label for _, label in drawn.ticks] == ["-2 pp", "-1 pp", "0", "+1 pp", "+2 pp", "+3 pp"]


def test_intervals__nothing_to_say__no_chart():
    assert charts.intervals([charts.DrawnEstimate("a", None, None, None)]) is None
    assert charts.intervals([]) is None


def test_squares__every_bucket__is_drawn_once():
    kinds = charts.squares([("arm0", "Control", [0, 49, 50]), ("free", "free", [])])
    assert [(kind.label, kind.count) for kind in kinds] == [("Control", 3)]
    assert kinds[0].path == "M0 0h8v8h-8z M490 0h8v8h-8z M0 10h8v8h-8z"


def test_report__opens_from_the_results_and_may_run_nothing(browser, running):
    client = browser("victor")
    assert url(running, "report") not in client.get(page(running)).content.decode()
    assert client.get(url(running, "report")).status_code == 404
    _expose(running, {"Control": 300, "Friendly": 310})
    browser("olivia").post(url(running, "analyse"))
    assert url(running, "report") in client.get(page(running)).content.decode()
    answer = client.get(url(running, "report"))
    assert "Not final" in answer.content.decode()
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert (
        client.get(url(running, "report") + "?format=md").content.decode().startswith("# Running")
    )


@pytest.mark.django_db
def test_results__arm_switched_off_for_proven_harm_and_a_budget__are_said_on_the_page(browser):
    w = world(arms=("control", "one", "two"))
    plan(
        w,
        "guardrail",
        "ai_error_units",
        margin=0.10,
        margin_kind="points",
        rule="no_breach",
        action="stop",
    )
    Experiment.objects.filter(pk=w.experiment.pk).update(budget_micro=2_500_000)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    for arm, errors in {"control": 200, "one": 340, "two": 200}.items():
        crowd(w, arm, 2000, START, events={"http_5xx": errors}, every=timedelta(seconds=30))
    analyse(w.experiment.pk, now=START + timedelta(days=1), may_look=True)
    decide(w.iteration.pk, now=START + timedelta(days=1))
    analyse(w.experiment.pk, now=START + timedelta(days=1, minutes=5), may_look=True)
    text = browser("victor").get(page(w.experiment, "results")).content.decode()
    assert "harm proven, observed +70.0 %" in text
    assert text.count(">switched off<") == 2
    assert "Spent 0.00 USD of a budget of 2.50 USD." in text


def test_clone__another_experiments_design__is_a_new_draft_without_its_name_and_signatures(
    browser, running
):
    olivia = browser("olivia")
    assert "Clone" in olivia.get(page(running)).content.decode()
    form = olivia.get(f"/admin/experiments/experiment/add/?like={running.pk}").context
    data = {
        field.name: field.value
        for part in (*form["sections"], *form["variant_lines"], *form["metric_lines"])
        for field in part.fields
    }
    data |= {"v-count": 2, "m-count": 1, "v-control": form["control"], "name": "Once more"}
    olivia.post(
        "/admin/experiments/experiment/add/",
        {name: value for name, value in data.items() if value not in (None, False)},
    )
    made = Experiment.objects.get(name="Once more")
    assert (made.status, made.flag_id, made.key) == ("draft", running.flag_id, "once-more")
    assert [v.config for v in made.variants.all()] == [v.config for v in running.variants.all()]
    assert made.planned_metrics.count() == 1 and not made.sign_offs.exists()
    assert "Clone" not in browser("victor").get(page(running)).content.decode()


def test_health__wrong_shares__are_shown_against_the_expected_with_what_to_do(browser, running):
    assert "No analysis yet" in browser("victor").get(page(running, "health")).content.decode()
    _expose(running, {"Control": 600, "Friendly": 300})
    browser("olivia").post(url(running, "analyse"))
    text = browser("victor").get(page(running, "health")).content.decode()
    assert "results are masked" in text and 'id="finding-srm"' in text
    assert "start a new iteration" in text
    assert text.count(">450<") == 2 and ">600<" in text


def test_health__an_old_result_of_a_running_experiment__says_that_hours_were_missed(
    browser, running
):
    _expose(running, {"Control": 300, "Friendly": 310})
    browser("olivia").post(url(running, "analyse"))
    assert (
        "Every few minutes a running experiment is analysed"
        not in browser("victor").get(page(running, "health")).content.decode()
    )
    AnalysisRun.objects.update(computed_at=timezone.now() - timedelta(hours=4))
    assert (
        "Every few minutes a running experiment is analysed"
        in browser("victor").get(page(running, "health")).content.decode()
    )


@pytest.mark.parametrize("tab", [key for key, _ in TABS])
def test_tab__of_an_analysed_experiment__asks_at_most_forty_times(browser, running, tab):
    _expose(running, {"Control": 300, "Friendly": 310})
    browser("olivia").post(url(running, "analyse"))
    dmitri = browser("dmitri")
    dmitri.get(page(running, tab))
    with CaptureQueriesContext(connection) as asked:
        assert dmitri.get(page(running, tab)).status_code == 200
    # What it costs is read from the store and not from stored results; the card, and what users
    # get, from the tables.
    assert len(asked) <= (47 if tab == "cost" else 40), [one["sql"][:150] for one in asked]
