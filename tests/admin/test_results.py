"""The results section: what an analysis found, drawn; masked when it cannot be believed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from analytics.models import AnalysisRun, Assignment, Decision, Look
from experiments.admin import charts
from experiments.core.specs import ExperimentSpec, MetricPlan
from experiments.services import drafts, lifecycle
from tests.admin.conftest import CONTROL, FRIENDLY, page, url


@pytest.fixture
def running(owner):
    """Started three days ago under Standard, with a metric that has no rows yet."""
    began = timezone.now() - timedelta(days=3)
    metrics = (MetricPlan("csat", "primary", baseline=4, baseline_sd=1, mde=0.05),)
    made = drafts.create_experiment(owner, began, spec=ExperimentSpec(name="Running", variants=(CONTROL, FRIENDLY), metrics=metrics))
    return lifecycle.start(owner, began, experiment_id=made.pk)


def _expose(experiment, counts: dict[str, int]) -> None:
    iteration, met = experiment.iterations.get(), timezone.now() - timedelta(days=2)
    common = {"unit_type": "user", "experiment": experiment, "iteration": iteration, "assigned_ts": met, "exposure_ts": met}
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
    assert "A person ended it" in text
    assert "Keep running" not in text


def test_results__with_the_wrong_shares__are_masked_with_the_reason(browser, running):
    _expose(running, {"Control": 600, "Friendly": 300})
    text = browser("olivia").post(url(running, "analyse"), follow=True).content.decode()
    assert "Results are masked" in text
    assert "did not get their planned shares" in text
    assert "p, adjusted" not in text
    listed = browser("olivia").get("/admin/experiments/experiment/").content.decode()
    assert "Results are masked" in listed


def test_intervals__share_one_scale_around_zero():
    drawn = charts.intervals([charts.Estimate("a", 0.02, 0.01, 0.03, "good"), charts.Estimate("b", -0.01, -0.02, 0.0)], points=True)
    first, second = drawn.bars
    assert first.x0 > drawn.zero > second.x
    assert second.x1 == drawn.zero
    assert [label for _, label in drawn.ticks] == ["-2 pp", "-1 pp", "0", "+1 pp", "+2 pp", "+3 pp"]


def test_intervals__nothing_to_say__no_chart():
    assert charts.intervals([charts.Estimate("a", None, None, None)]) is None
    assert charts.intervals([]) is None


def test_squares__every_bucket__is_drawn_once():
    kinds = charts.squares([("arm0", "Control", [0, 49, 50]), ("free", "free", [])])
    assert [(kind.label, kind.count) for kind in kinds] == [("Control", 3)]
    assert kinds[0].path == "M0 0h8v8h-8z M490 0h8v8h-8z M0 10h8v8h-8z"
