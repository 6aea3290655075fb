"""Results as pages show them: complete when healthy, without numbers when masked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.models import AnalysisRun
from analytics.selectors.arriving.events import events, observations
from analytics.selectors.results import latest
from analytics.services.analysis.analysis import analyse
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
NOW = START + timedelta(days=8, hours=1)


def analysed(**fields: object) -> World:
    w = world(auto_promote=True, **fields)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    plan(w, "guardrail", "complained", margin=0.15, margin_kind="relative", rule="no_breach")
    plan(w, "secondary", "apply_rate")
    crowd(w, "control", 3000, START, events={"apply": 540, "complaint": 60})
    crowd(w, "treatment", 3000, START, events={"apply": 720, "complaint": 62})
    analyse(w.experiment.pk, now=NOW, may_look=True)
    return w


def test_latest__before_the_first_run__is_none() -> None:
    assert latest(world().experiment) is None


def test_latest__healthy_run__shows_arms_rows_looks_and_the_decision() -> None:
    view = latest(analysed().experiment)
    assert view is not None
    assert view.primary is not None
    [against] = view.primary.comparisons
    assert (against.arm, against.verdict) == ("treatment", "better")
    assert against.mean == pytest.approx(0.24)
    assert against.low == pytest.approx(0.0395, abs=0.001)
    assert [look.crossed for look in view.looks] == ["better"]
    assert [(d.verdict, d.variant, d.applied) for d in view.decisions] == [
        ("promote", "treatment", None)
    ]
    assert all(r.met for r in view.readiness)


def test_latest__ratio_without_denominators__has_a_reason_instead_of_numbers() -> None:
    view = latest(analysed().experiment)
    assert view is not None
    [ratio] = view.of_role("secondary")
    [against] = ratio.comparisons
    assert "denominators of control add up to nothing" in (against.reason or "")
    assert (against.difference, against.p, against.verdict) == (None, None, "cannot say")


def test_latest__a_run_of_an_older_version__is_read_without_what_is_no_longer_kept() -> None:
    w = analysed()
    run = AnalysisRun.objects.get(latest=True)
    run.results["metrics"][2] |= {"reason": "ratios are not computed yet", "comparisons": []}
    run.save()
    view = latest(w.experiment)
    assert view is not None
    [ratio] = view.of_role("secondary")
    assert (ratio.key, ratio.comparisons) == ("apply_rate", ())


def test_latest__guardrail_row__carries_its_verdict() -> None:
    view = latest(analysed().experiment)
    assert view is not None
    [guardrail] = view.of_role("guardrail")
    assert [(v.arm, v.breach) for v in guardrail.guardrails] == [("treatment", False)]


def test_latest__relative_margin__begins_at_a_share_of_controls_rate() -> None:
    view = latest(analysed().experiment)
    assert view is not None
    [guardrail] = view.of_role("guardrail")
    assert guardrail.margin is not None
    assert (guardrail.margin.kind, guardrail.margin.value, guardrail.margin.rule) == (
        "relative",
        0.15,
        "no_breach",
    )
    assert guardrail.margin.difference == pytest.approx(0.15 * 60 / 3000)
    assert view.primary is not None
    assert view.primary.margin is None


def test_latest__readiness__names_arm_metric_and_numbers() -> None:
    view = latest(analysed().experiment)
    assert view is not None
    by_topic = {(r.topic, r.arm, r.metric): r for r in view.readiness}
    assert by_topic["units", "", ""].value == 3000
    assert by_topic["improvement", "treatment", ""].value == pytest.approx(0.06, abs=0.001)
    assert by_topic["guardrail", "treatment", "complained"].met


def test_latest__masked_run__shows_why_and_no_number() -> None:
    w = analysed()
    crowd(w, "control", 900, START + timedelta(days=1))
    analyse(w.experiment.pk, now=NOW)
    view = latest(w.experiment)
    assert view is not None
    assert (view.masked, view.metrics, view.looks) == (True, (), ())
    assert "planned shares" in view.masked_why
    assert view.findings[0].what_to_do
    opened = latest(w.experiment, unmasked=True)
    assert opened is not None
    assert opened.metrics


def test_events__one_day_and_unit__gives_that_units_rows() -> None:
    w = world()
    w.event("a", "apply", START + timedelta(hours=1))
    w.event("b", "apply", START + timedelta(hours=2))
    w.observe("a", "csat", 4.0, START + timedelta(hours=3))
    assert [row.unit_id for row in events(day=START.date())] == ["b", "a"]
    assert [row.kind for row in events(day=START.date(), unit_id="a")] == ["apply"]
    assert [row.value for row in observations(day=START.date(), kind="csat")] == [4.0]
