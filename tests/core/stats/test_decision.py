"""Decisions: what each set of facts leads to, and that every missing condition refuses a promotion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analytics.core.decision import ArmFacts, Facts, GuardrailFact, decide, winner
from analytics.core.stats.comparison import Interval

SAFE = GuardrailFact("errors", "safe", "stop", "safe", safe_at_look=True)
BREACH = replace(SAFE, verdict="breach")
WINNER = ArmFacts("b", 5_000, crossed="better", estimate=0.02, se=0.005, interval_90=Interval(0.01, 0.03, 0.9), guardrails=(SAFE,))
FLAT = ArmFacts("b", 5_000, estimate=0.001, se=0.002, interval_90=Interval(-0.003, 0.005, 0.9), guardrails=(SAFE,))
READY = Facts((WINNER,), 5_000, clock_complete=True, looks_taken=3, min_sample_size=1_000, mde=0.01)


def _with(arm: ArmFacts = WINNER, **changes: Any) -> Facts:
    return replace(READY, arms=(arm,), **changes)


def test_decide__every_condition_met__promotes() -> None:
    found = decide(READY)
    assert (found.kind, found.arms) == ("promote", ("b",))
    assert all(r.met for r in found.readiness)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (_with(clock_complete=False), "keep"),
        (_with(min_sample_size=5_001), "keep"),
        (_with(required_improvement=0.021), "keep"),
        (_with(has_primary=False), "keep"),
        (_with(looks_taken=0), "keep"),
        (_with(alarm_only=True), "keep"),
        (_with(replace(WINNER, crossed=None)), "keep"),
        (_with(replace(WINNER, estimate=None)), "keep"),
        (_with(replace(WINNER, guardrails=(replace(SAFE, verdict="unknown", safe_at_look=False),))), "keep"),
        (_with(srm_masks=True), "hold"),
        (_with(unhealthy=("crossover 3 %",)), "hold"),
        (_with(origin="import"), "hold"),
        (_with(auto_promote=False), "escalate"),
        (_with(replace(WINNER, guardrails=(BREACH,))), "stop"),
        (_with(replace(WINNER, guardrails=(replace(BREACH, action="escalate"),))), "escalate"),
        (_with(replace(WINNER, guardrails=(replace(BREACH, action="hold", rule="no_breach"),))), "hold"),
    ],
)
def test_decide__one_condition_missing__does_not_promote(facts: Facts, kind: str) -> None:
    found = decide(facts)
    assert found.kind == kind
    assert found.rule


def test_decide__guardrail_unknown_under_no_breach__promotes() -> None:
    guardrail = GuardrailFact("errors", "no_breach", "stop", "unknown")
    assert decide(_with(replace(WINNER, guardrails=(guardrail,)))).kind == "promote"


def test_decide__safe_at_an_earlier_look_and_unknown_now__promotes() -> None:
    assert decide(_with(replace(WINNER, guardrails=(replace(SAFE, verdict="unknown"),)))).kind == "promote"


def test_decide__something_missing__lists_what_is_there_and_what_is_needed() -> None:
    missing = [r for r in decide(_with(min_sample_size=6_000)).readiness if not r.met]
    assert [(r.name, r.now, r.needed) for r in missing] == [("control units", "5000", "≥ 6000"), ("b: units", "5000", "≥ 6000")]


def test_decide__harm_between_looks_and_without_a_primary_metric__still_stops() -> None:
    harmed = replace(WINNER, guardrails=(BREACH,))
    assert decide(_with(harmed, alarm_only=True)).kind == "stop"
    assert decide(_with(harmed, has_primary=False)).kind == "stop"
    assert decide(_with(harmed, srm_masks=True)).kind == "stop"


def test_decide__lower_boundary_crossed__concludes_worse() -> None:
    found = decide(_with(replace(WINNER, crossed="worse", estimate=-0.02)))
    assert (found.kind, found.conclusion) == ("conclude", "worse")


def test_decide__one_of_two_arms_worse__stops_it_alone() -> None:
    worse = replace(FLAT, key="c", crossed="worse")
    found = decide(replace(READY, arms=(FLAT, worse)))
    assert (found.kind, found.arms) == ("stop", ("c",))


def test_decide__one_arm_worse_and_one_better__promotes_the_better() -> None:
    found = decide(replace(READY, arms=(replace(FLAT, key="c", crossed="worse"), WINNER)))
    assert (found.kind, found.arms) == ("promote", ("b",))


@pytest.mark.parametrize(
    ("interval", "conclusion"),
    [(Interval(-0.003, 0.005, 0.9), "no_effect"), (Interval(-0.003, 0.02, 0.9), "inconclusive"), (None, "inconclusive")],
)
def test_decide__last_look_without_a_crossing__concludes_by_the_interval(interval: Interval | None, conclusion: str) -> None:
    found = decide(_with(replace(FLAT, interval_90=interval), last_look_taken=True))
    assert (found.kind, found.conclusion) == ("conclude", conclusion)
    assert decide(_with(replace(FLAT, interval_90=interval))).kind == "keep"


def test_decide__last_look_without_an_mde__is_inconclusive() -> None:
    assert decide(_with(FLAT, last_look_taken=True, mde=None)).conclusion == "inconclusive"


def test_decide__gain_proven_but_safety_not_by_the_last_look__asks_a_person() -> None:
    unknown = replace(SAFE, verdict="unknown", safe_at_look=False)
    assert decide(_with(replace(WINNER, guardrails=(unknown,)), last_look_taken=True)).kind == "escalate"


def test_decide__planned_end_without_a_legal_look__asks_a_person() -> None:
    assert decide(_with(FLAT, looks_taken=0, planned_end_passed=True)).kind == "escalate"


def test_winner__several_arms_pass__is_the_largest_or_within_one_error_the_cheaper() -> None:
    best = replace(WINNER, cost_per_unit=3.0)
    near = replace(WINNER, key="c", estimate=0.016, cost_per_unit=1.0)
    far = replace(WINNER, key="d", estimate=0.01, cost_per_unit=0.5)
    chosen = winner(replace(READY, arms=(far, near, best)))
    assert chosen is not None and chosen.key == "c"
    unpriced = winner(replace(READY, arms=(far, replace(near, cost_per_unit=None), best)))
    assert unpriced is not None and unpriced.key == "b"


def test_winner__a_harmed_arm__never_wins() -> None:
    assert winner(_with(replace(WINNER, harmed=True))) is None
    assert decide(_with(replace(WINNER, harmed=True))).kind == "keep"
