"""Guardrails that act, in the analysis run: the SPRT beside the alarms, costs that a gain pays for,
the budget cap, who answers.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.expressions import RawSQL

from analytics.models import AiEvent, AnalysisRun, Assignment, Decision
from analytics.selectors.trouble import trouble_now
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.decisions import decide
from experiments.core.types import Status
from experiments.models import Experiment, Iteration, OutboxMessage
from experiments.selectors.experiments import design_of
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
AFTER_CLOCK = START + 8 * DAY + HOUR


def verdict(run: AnalysisRun, key: str, arm: str = "treatment") -> dict[str, Any]:
    return next(one for one in run.verdicts["guardrails"] if (one["key"], one["arm"]) == (key, arm))


# ---- the SPRT


def failing(rate: float, **fields: Any) -> World:
    """2,000 units an arm, one a minute; 10 % of control's and so many of the treatment's have an
    error.
    """
    w = world(**fields)
    plan(
        w,
        "guardrail",
        "ai_error_units",
        margin=0.10,
        margin_kind="points",
        rule="no_breach",
        action="stop",
    )
    plan(
        w,
        "guardrail",
        "latency_p95",
        margin=500.0,
        margin_kind="ms",
        rule="no_breach",
        action="hold",
    )
    for arm, share in {"control": 0.10, "treatment": rate}.items():
        crowd(
            w, arm, 2000, START, every=timedelta(seconds=30), events={"http_5xx": int(2000 * share)}
        )
    return w


def test_analyse__half_as_many_errors_again__is_stopped_by_the_sprt_long_before_the_margin() -> (
    None
):
    w = failing(0.16)
    run = analyse(w.experiment.pk, now=START + DAY, may_look=True)
    found = verdict(run, "ai_error_units")
    assert (found["verdict"], found["proven"]) == ("unknown", "harm proven, observed +60.0 %")
    [watched] = run.verdicts["sprt"]
    assert (
        watched["key"],
        watched["proven"],
        watched["bad_control"],
        watched["bad_treatment"],
    ) == ("ai_error_units", True, 200, 320)
    assert watched["threshold"] == pytest.approx(3.689, abs=1e-3), (
        "two guardrails on one arm: α = .025"
    )
    decision = Decision.objects.get()
    assert (decision.verdict, decision.rule) == (
        "stop",
        "harm proven, observed +60.0 % (ai_error_units on treatment): the arm's units get the default",
    )
    assert trouble_now(w.iteration.pk) == "breached now: ai_error_units"


def test_analyse__a_tenth_more_errors__is_left_to_the_margin() -> None:
    w = failing(0.11)
    run = analyse(w.experiment.pk, now=START + DAY, may_look=True)
    assert verdict(run, "ai_error_units")["proven"] == ""
    assert not Decision.objects.exists()


# ---- cost


def costly(*, gain: float, worth_micro: int | None, days: int = 1) -> World:
    """The treatment costs a third more a request, and gains so much on an outcome of 20 %."""
    w = world(auto_promote=True)
    plan(w, "primary", "apply_conversion", baseline=0.2, mde=0.1, worth_micro=worth_micro)
    plan(
        w,
        "guardrail",
        "cost_per_request",
        margin=0.2,
        margin_kind="relative",
        rule="safe",
        action="escalate",
    )
    plan(
        w,
        "guardrail",
        "cost_per_unit",
        margin=0.2,
        margin_kind="relative",
        rule="safe",
        action="escalate",
    )
    for arm, rate, cost in (("control", 0.2, 3000), ("treatment", 0.2 + gain, 4000)):
        crowd(w, arm, 3000, START, events={"ai_request": 3000, "apply": int(3000 * rate)})
        AiEvent.objects.filter(event_type="ai_request", user_id__startswith=arm).update(
            cost_micro=cost
        )
    # Costs that vary, so that a standard error can be had.
    AiEvent.objects.filter(event_type="ai_request", user_id__endswith="7").update(cost_micro=2500)
    return w


def test_analyse__cost_up_without_a_worth__escalates_and_says_why() -> None:
    w = costly(gain=0.06, worth_micro=None)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    decision = Decision.objects.get()
    assert (decision.verdict, decision.arms) == ("escalate", ["treatment"])
    assert (
        decision.rule
        == "guardrail breached (cost_per_request on treatment, cost_per_unit on treatment): a person decides"
    )
    assert "nothing compensates" in run.verdicts["compensation"][0]["found"]["reason"]
    assert trouble_now(w.iteration.pk).startswith("breached now")


def test_analyse__cost_up_with_a_gain_that_pays__does_not_escalate_and_promotes() -> None:
    # Given six more outcomes in a hundred, each worth ten cents: 6,000 micros a unit for 900 more
    # in cost
    w = costly(gain=0.06, worth_micro=100_000)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert (
        verdict(run, "cost_per_request")["verdict"],
        verdict(run, "cost_per_request")["compensated"],
    ) == ("breach", True)
    assert trouble_now(w.iteration.pk) == ""
    decision = Decision.objects.get()
    assert (decision.verdict, round(decision.facts["arms"][0]["cost_per_unit"])) == (
        "promote",
        3850,
    )


def test_analyse__cost_up_with_a_gain_too_small_to_pay__escalates() -> None:
    w = costly(gain=0.06, worth_micro=10_000)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert verdict(run, "cost_per_request")["compensated"] is False
    assert Decision.objects.get().verdict == "escalate"


def test_escalation__gain_matures_later__closes_by_itself_at_the_next_look() -> None:
    w = costly(gain=0.06, worth_micro=100_000)
    early = analyse(w.experiment.pk, now=START + 2 * DAY, may_look=True)
    assert verdict(early, "cost_per_request")["compensated"] is None, "nobody's outcome is mature"
    assert Decision.objects.get().verdict == "escalate"
    analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert Decision.objects.order_by("-pk").first().verdict == "promote"


# ---- budget


def spending(cap: int | None) -> World:
    w = world(arms=("control", "one", "two"))
    plan(w, "primary", "apply_conversion", baseline=0.2, mde=0.1)
    Experiment.objects.filter(pk=w.experiment.pk).update(budget_micro=cap)
    design = design_of(Experiment.objects.get(pk=w.experiment.pk))
    Iteration.objects.filter(pk=w.iteration.pk).update(design=design.as_json())
    for arm in w.arms:
        crowd(w, arm, 20, START, events={"ai_request": 20})
    AiEvent.objects.filter(event_type="ai_request").update(cost_micro=1000)
    return w


@pytest.mark.parametrize(("cap", "stopped"), [(60_001, False), (60_000, True), (None, False)])
def test_budget__reached_by_what_its_units_cost__stops_everything(
    cap: int | None, stopped: bool
) -> None:
    w = spending(cap)
    analyse(w.experiment.pk, now=START + DAY, may_look=True)
    applied = decide(w.iteration.pk, now=START + DAY)
    status = Experiment.objects.get(pk=w.experiment.pk).status
    assert status == (Status.PAUSED if stopped else Status.RUNNING)
    assert (applied is not None) == stopped
    if stopped:
        decision = Decision.objects.get()
        assert (decision.arms, decision.facts["spent_micro"]) == (["one", "two"], 60_000)
        assert decision.rule.startswith("the budget cap of 0.06 USD is reached")


def test_budget__spent_by_an_iteration_before__counts_against_the_same_cap() -> None:
    w = spending(60_001)
    Iteration.objects.filter(pk=w.iteration.pk).update(ended_at=START + DAY)
    again = Iteration.objects.create(
        experiment=w.experiment, number=2, design=w.iteration.design, design_sha256="", policy_rules=w.iteration.policy_rules,
        traffic=1000, began_at=START + DAY, started_at=START + DAY, step_started_at=START + DAY,
    )  # fmt: skip
    Iteration.objects.filter(pk=again.pk).update(
        design=Iteration.objects.get(pk=w.iteration.pk).design
    )
    w.iteration = again
    w.expose("new", "one", START + 2 * DAY)
    w.event("new", "ai_request", START + 2 * DAY + HOUR, cost_micro=1)
    analyse(w.experiment.pk, now=START + 3 * DAY, may_look=True)
    assert Decision.objects.get().facts["spent_micro"] == 60_001


# ---- who answers


def test_analyse__response_rate_of_a_feedback_metric_differs__who_answers_changed() -> None:
    w = world()
    plan(w, "secondary", "csat")
    for arm, answers in {"control": 300, "treatment": 200}.items():
        crowd(w, arm, 1000, START, events={"csat": answers})
    AiEvent.objects.update(value=4.0)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK)
    found = next(f for f in run.health["findings"] if f["code"] == "answers_differ")
    assert (found["weight"], found["masks"]) == ("yellow", False)
    assert "who answers changed (30.0% in control, 20.0% in treatment" in found["sentence"]


# ---- a degradation


def slow(**fields: Any) -> World:
    """The treatment answers 1,200 ms later."""
    w = world(auto_promote=True, **fields)
    plan(
        w,
        "guardrail",
        "latency_p95",
        margin=500.0,
        margin_kind="ms",
        rule="no_breach",
        action="hold",
    )
    for arm, milliseconds in (("control", 300), ("treatment", 1500)):
        crowd(w, arm, 2000, START, events={"ai_request": 2000})
        AiEvent.objects.filter(user_id__startswith=arm).update(
            latency_ms=milliseconds + RawSQL("abs(hashtext(user_id)) %% 400", ())
        )
        Assignment.objects.filter(variant=w.arms[arm]).update(bucket_id=F("id") % 1000)
    return w


def test_analyse__answers_slower_than_the_margin__is_degraded_and_told_once_but_serves_on() -> None:
    w = slow()
    for minutes in (0, 5):
        run = analyse(w.experiment.pk, now=START + DAY + timedelta(minutes=minutes), may_look=True)
    assert run.readiness["kind"] == "hold"
    decision = Decision.objects.get()
    rule = (
        "guardrail breached (latency_p95 on treatment): degraded, so nothing is promoted or widened"
    )
    assert (decision.verdict, decision.rule) == ("hold", rule)
    assert OutboxMessage.objects.get(key=f"decision:{decision.pk}").kind == "breach"
    assert decide(w.iteration.pk, now=START + DAY) is None
    assert Experiment.objects.get(pk=w.experiment.pk).status == Status.RUNNING


def test_analyse__degraded_while_a_promotion_waits__makes_it_wait_and_does_not_displace_it() -> (
    None
):
    w = slow()
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    waiting = Decision.objects.create(
        iteration=w.iteration,
        verdict="promote",
        outcome="promoted",
        variant=w.arms["treatment"],
        rule="won",
        facts={},
        made_at=START + DAY,
    )
    analyse(w.experiment.pk, now=START + DAY + HOUR, may_look=True)
    assert Decision.objects.get() == waiting
    assert "breached now: latency_p95" in decide(w.iteration.pk, now=START + DAY + HOUR).reason
