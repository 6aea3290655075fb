"""One truth about cost: what calls of models were metered to take holds a promotion back, priced or
not.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from analytics.models import AiEvent, Decision, ModelPrice, RequestCost
from analytics.readings.spending import costs_of
from analytics.services.analysis.analysis import analyse
from analytics.stores.postgres import PostgresStore
from experiments.core.library.presets import BY_KEY
from tests.analytics.stores.observed import START, World, crowd, day_exists, plan, world

pytestmark = pytest.mark.django_db
AT = START + timedelta(hours=1)
DONE = START + timedelta(days=8)
PRESETS = ("cost_per_request", "cost_per_unit")


def metered(*, times: int, model: str = "big", arms: int = 2000) -> World:
    """A winner on its primary metric, with the shipped cost guardrails; each unit's one call is
    metered in tokens and carries no money.
    """
    w = world(auto_promote=True)
    plan(w, "primary", "apply_conversion", baseline=0.2, mde=0.1)
    for key in PRESETS:
        preset = BY_KEY[key].plan()
        plan(
            w,
            "guardrail",
            preset.metric,
            margin=preset.margin,
            margin_kind=preset.margin_kind,
            rule="no_breach",
            action=preset.action,
        )
    day_exists("ai_request_costs", AT)
    for arm, share, factor in (("control", 0.2, 1), ("treatment", 0.27, times)):
        crowd(w, arm, arms, START, events={"ai_request": arms, "apply": int(arms * share)})
        calls = list(
            AiEvent.objects.filter(event_type="ai_request", user_id__startswith=arm).values_list(
                "event_id", "user_id"
            )
        )
        RequestCost.objects.bulk_create(
            RequestCost(
                event_date=AT.date(),
                event_id=f"cost-{user}",
                ts=AT,
                received_ts=AT,
                request_id=user,
                model=model,
                tokens_in=(900 + place % 200) * factor,
                tokens_out=100 * factor,
                environment="production",
                origin="live",
            )
            for place, (_, user) in enumerate(calls)
        )
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ai_events SET request_id = user_id WHERE event_type = 'ai_request'")
    ModelPrice.objects.create(
        model="big", valid_from=START.date(), price_in="2", price_out="10", set_at=START
    )
    return w


def verdicts(w: World) -> dict[str, str]:
    run = analyse(w.experiment.pk, now=DONE, may_look=True)
    return {one["key"]: one["verdict"] for one in run.verdicts["guardrails"]}


def test_an_arm_whose_metered_cost_triples__is_not_promoted() -> None:
    w = metered(times=3)
    assert verdicts(w) == dict.fromkeys(PRESETS, "breach")
    decision = Decision.objects.latest("pk")
    assert decision.verdict == "escalate", decision.rule
    found = costs_of(w.experiment, DONE)
    assert found is not None
    control, treatment = (arm.per_unit_micro or 0.0 for arm in found.arms)
    assert treatment == pytest.approx(3 * control)


def test_an_arm_whose_metered_cost_stays__is_promoted() -> None:
    w = metered(times=1)
    assert "breach" not in verdicts(w).values()
    assert Decision.objects.latest("pk").verdict == "promote"


def test_calls_without_a_price__are_said_and_their_arms_cost_is_unknown_not_zero() -> None:
    w = metered(times=3, model="nobody knows")
    run = analyse(w.experiment.pk, now=DONE, may_look=True)
    assert {one["verdict"] for one in run.verdicts["guardrails"]} == {"unknown"}
    assert all(
        "2,000 of 2,000 calls of models have neither a cost nor a price" in one["reason"]
        for one in run.verdicts["guardrails"]
    )
    assert all(
        arm["mean"] is None
        for m in run.results["metrics"]
        if m["key"] in PRESETS
        for arm in m["arms"]
    )
    assert "unpriced" in {one["code"] for one in run.health["findings"]}


def test_calls_without_a_price_that_cannot_be_counted__leave_costs_unknown_and_block_a_promotion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> list[object]:
        raise ValueError("the calls cannot be read")

    w = metered(times=1)
    monkeypatch.setattr(PostgresStore, "spending", broken)
    run = analyse(w.experiment.pk, now=DONE, may_look=True)
    assert {one["verdict"] for one in run.verdicts["guardrails"]} == {"unknown"}
    assert all("nobody knows how many calls" in one["reason"] for one in run.verdicts["guardrails"])
    assert all(
        arm["mean"] is None
        for m in run.results["metrics"]
        if m["key"] in PRESETS
        for arm in m["arms"]
    )
    assert [
        one["weight"]
        for one in run.health["findings"]
        if "calls without a price" in one["sentence"]
    ] == ["red"]
    assert not Decision.objects.filter(verdict="promote").exists()
