"""One metric breaks: it says why it cannot say, blocks a promotion, and everything else is computed
as before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from analytics.core.kinds.means import MeanKind
from analytics.models import AnalysisRun, Decision, Look
from analytics.services.analysis.analysis import analyse
from analytics.stores.postgres import PostgresStore
from experiments.models import Experiment, ExperimentMetric, Iteration
from experiments.selectors.experiments import design_of
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
AFTER_CLOCK = START + 8 * DAY + timedelta(hours=1)


def winning(**fields: Any) -> World:
    """A week of 18 % against 24 % of 3,000 an arm: the rules promote it. Hardly anybody
    complains.
    """
    w = world(auto_promote=True, **fields)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    plan(
        w,
        "guardrail",
        "complained",
        margin=0.05,
        margin_kind="points",
        rule="no_breach",
        action="stop",
    )
    plan(w, "secondary", "csat")
    crowd(w, "control", 3000, START, events={"apply": 540, "complaint": 30})
    crowd(w, "treatment", 3000, START, events={"apply": 720, "complaint": 30})
    return w


def metric(run: AnalysisRun, key: str) -> dict[str, Any]:
    return next(m for m in run.results["metrics"] if m["key"] == key)


def failures(run: AnalysisRun) -> list[str]:
    found = [finding for finding in run.health["findings"] if finding["code"] == "metric_failed"]
    assert all(finding["weight"] == "red" and not finding["masks"] for finding in found)
    return [finding["sentence"] for finding in found]


def only_this_fails(run: AnalysisRun, key: str) -> None:
    """The fault is named, and the primary metric, the shares and the look are there."""
    assert failures(run) and all(sentence.startswith(key) for sentence in failures(run))
    assert not run.masked and not run.error
    assert run.health["srm"]["verdict"] == "green"
    [against] = metric(run, "apply_conversion")["comparisons"]
    assert against["comparison"]["difference"] == pytest.approx(0.06)
    assert Look.objects.filter(iteration=run.iteration).count() == 1
    assert Decision.objects.get(iteration=run.iteration).verdict != "promote"
    missing = [item["name"] for item in run.readiness["items"] if item["met"] is not True]
    assert "analysis" in missing


def test_nothing_broken__is_promoted() -> None:
    w = winning()
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert failures(run) == []
    assert Decision.objects.get().verdict == "promote"


@pytest.mark.parametrize(
    ("margin", "kind"), [(5.0, "relative"), (2.0, "points"), (500.0, "ms"), (0.05, "money")]
)
def test_guardrail_with_a_margin_that_cannot_be__stored_long_ago__blocks_and_the_rest_is_computed(
    margin, kind
) -> None:
    w = winning()
    planned = ExperimentMetric.objects.filter(experiment=w.experiment, metric__key="complained")
    planned.update(margin=margin, margin_kind=kind)
    type(planned.get().metric).objects.filter(key="complained").update(direction="increase")
    frozen = design_of(Experiment.objects.get(pk=w.experiment.pk)).as_json()
    Iteration.objects.filter(pk=w.iteration.pk).update(design=frozen)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    only_this_fails(run, "complained")
    [verdict] = run.verdicts["guardrails"]
    assert (verdict["verdict"], verdict["breach"]) == ("unknown", False)
    assert "takes a margin of points (above 0, below 1" in verdict["reason"]


def test_guardrail_that_breaks__while_another_is_breached__the_alarm_sounds() -> None:
    w = winning()
    plan(
        w,
        "guardrail",
        "ai_error_units",
        margin=0.02,
        margin_kind="points",
        rule="no_breach",
        action="stop",
    )
    ExperimentMetric.objects.filter(experiment=w.experiment, metric__key="complained").update(
        margin=2.0
    )
    Iteration.objects.filter(pk=w.iteration.pk).update(
        design=design_of(Experiment.objects.get(pk=w.experiment.pk)).as_json()
    )
    crowd(w, "control", 2000, START + DAY, events={"http_5xx": 20})
    crowd(w, "treatment", 2000, START + DAY, events={"http_5xx": 400})
    run = analyse(w.experiment.pk, now=AFTER_CLOCK)
    verdicts = {one["key"]: one["verdict"] for one in run.verdicts["guardrails"]}
    assert verdicts == {"complained": "unknown", "ai_error_units": "breach"}
    assert Decision.objects.get().verdict == "stop"


@pytest.mark.parametrize("broken", ["csat", "complained"])
def test_metric_whose_totals_cannot_be_read__blocks_and_the_rest_is_computed(
    broken, monkeypatch
) -> None:
    w = winning()
    read = PostgresStore.totals

    def totals(self, population, definition, **how):
        if definition.key == broken:
            from django.db import connection  # a statement that fails within the run's transaction

            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return read(self, population, definition, **how)

    monkeypatch.setattr(PostgresStore, "totals", totals)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    only_this_fails(run, broken)
    assert {c["comparison"]["reason"] for c in metric(run, broken)["comparisons"]} == {
        "DataError: division by zero"
    }


def test_metric_whose_comparison_breaks__blocks_and_the_rest_is_computed(monkeypatch) -> None:
    w = winning()
    for arm in ("control", "treatment"):
        for i in range(40):
            w.observe(f"{arm}{START:%d%H}-{i}", "csat", float(i % 5), START + timedelta(hours=2))

    def broken(self, *_: object) -> object:
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(MeanKind, "compare", broken)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    only_this_fails(run, "csat")
    [against] = metric(run, "csat")["comparisons"]
    assert against["comparison"]["reason"] == "ZeroDivisionError: float division by zero"
