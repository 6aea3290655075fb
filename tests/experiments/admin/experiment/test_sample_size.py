"""The plan section: what the computed size answers for every metric, and what is out of reach."""

from __future__ import annotations

from analytics.services.planning.planning import plan_sample_size
from experiments.core.design.specs import ExperimentSpec, MetricPlan
from experiments.core.types import SYSTEM, Item
from experiments.services.drafts import drafts
from experiments.services.life import checklist
from tests.experiments.admin.conftest import CONTROL, FRIENDLY, NOW, page, url

METRICS = (
    MetricPlan("apply_conversion", "primary", baseline=0.2, mde=0.1),
    MetricPlan("complained", "guardrail", baseline=0.003, margin=0.15, margin_kind="relative"),
)


def _drafted(owner, metrics=METRICS):
    return drafts.create_experiment(
        owner, NOW, spec=ExperimentSpec(name="Sized", variants=(CONTROL, FRIENDLY), metrics=metrics)
    )


def test_compute_sample_size__pressed__shows_a_row_for_each_metric(browser, owner):
    experiment, olivia = _drafted(owner), browser("olivia")
    olivia.post(url(experiment, "compute/sample_size"))
    text = olivia.get(page(experiment, "plan")).content.decode()
    for said in (
        "Find +10 % (20 % → 22 %)",
        "SAFE within +15 % when there is no harm",
        "as rare events SAFE needs",
        "together at least",
    ):
        assert said in text


def test_compute_sample_size__baseline_missing__says_what_to_enter(browser, owner):
    experiment, olivia = (
        _drafted(owner, (MetricPlan("apply_conversion", "primary", mde=0.1),)),
        browser("olivia"),
    )
    text = olivia.post(url(experiment, "compute/sample_size"), follow=True).content.decode()
    assert "apply_conversion: enter" in text


def test_plan__safe_out_of_reach__shows_which_margin_would_do(browser, owner):
    experiment = _drafted(owner)
    plan_sample_size(owner, NOW, experiment_id=experiment.pk, units_per_day=500)
    text = browser("olivia").get(page(experiment, "plan")).content.decode()
    assert "out of reach" in text
    assert "in 8 weeks you can prove a margin of +" in text


def test_plan__evidence_from_before_rows_said_anything__is_shown_without_them(browser, owner):
    experiment = _drafted(owner)
    detail = {
        "n_planned": 500,
        "metrics": [
            {
                "key": "apply_conversion",
                "role": "primary",
                "control": 1000,
                "treatment": 1000,
                "note": "",
            }
        ],
    }
    checklist.record_evidence(
        SYSTEM,
        NOW,
        experiment_id=experiment.pk,
        item=Item.SAMPLE_SIZE,
        green=True,
        summary="1,000 an arm",
        detail=detail,
    )
    text = browser("olivia").get(page(experiment, "plan")).content.decode()
    assert "1,000 an arm" in text
    assert "Answers" not in text
