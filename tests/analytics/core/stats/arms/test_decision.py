"""Decisions: what each set of facts leads to, and that every missing condition refuses a
promotion.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analytics.core.deciding.decision import (
    ArmFacts,
    DecisionFacts,
    GuardrailFact,
    decide,
    in_names,
    winner,
)
from analytics.core.stats.arms.comparison import Interval

SAFE = GuardrailFact("errors", "safe", "stop", "safe", safe_at_look=True)
BREACH = replace(SAFE, verdict="breach")
WINNER = ArmFacts(
    "b",
    5_000,
    crossed="better",
    estimate=0.02,
    se=0.005,
    interval_90=Interval(0.01, 0.03, 0.9),
    guardrails=(SAFE,),
)
FLAT = ArmFacts(
    "b",
    5_000,
    estimate=0.001,
    se=0.002,
    interval_90=Interval(-0.003, 0.005, 0.9),
    guardrails=(SAFE,),
)
READY = DecisionFacts(
    (WINNER,), 5_000, clock_complete=True, looks_taken=3, min_sample_size=1_000, mde=0.01
)


def _with(arm: ArmFacts = WINNER, **changes: Any) -> DecisionFacts:
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
        (
            _with(
                replace(WINNER, guardrails=(replace(SAFE, verdict="unknown", safe_at_look=False),))
            ),
            "keep",
        ),
        (_with(srm_masks=True), "hold"),
        (_with(unhealthy=("crossover 3 %",)), "hold"),
        (_with(origin="import"), "hold"),
        (_with(auto_promote=False), "escalate"),
        (_with(replace(WINNER, guardrails=(BREACH,))), "stop"),
        (_with(replace(WINNER, guardrails=(replace(BREACH, action="escalate"),))), "escalate"),
        (
            _with(replace(WINNER, guardrails=(replace(BREACH, action="hold", rule="no_breach"),))),
            "hold",
        ),
    ],
)
def test_decide__one_condition_missing__does_not_promote(facts: DecisionFacts, kind: str) -> None:
    found = decide(facts)
    assert found.kind == kind
    assert found.rule


def test_decide__guardrail_unknown_under_no_breach__promotes() -> None:
    guardrail = GuardrailFact("errors", "no_breach", "stop", "unknown")
    assert decide(_with(replace(WINNER, guardrails=(guardrail,)))).kind == "promote"


def test_decide__safe_at_an_earlier_look_and_unknown_now__promotes() -> None:
    assert (
        decide(_with(replace(WINNER, guardrails=(replace(SAFE, verdict="unknown"),)))).kind
        == "promote"
    )


def test_decide__something_missing__lists_what_is_there_and_what_is_needed() -> None:
    missing = [r for r in decide(_with(min_sample_size=6_000)).readiness if not r.met]
    assert [(r.name, r.now, r.needed) for r in missing] == [
        ("control units", "5000", "≥ 6000"),
        ("b: units", "5000", "≥ 6000"),
    ]


def test_decide__harm_between_looks_and_without_a_primary_metric__still_stops() -> None:
    harmed = replace(WINNER, guardrails=(BREACH,))
    assert decide(_with(harmed, alarm_only=True)).kind == "stop"
    assert decide(_with(harmed, has_primary=False)).kind == "stop"
    assert decide(_with(harmed, srm_masks=True)).kind == "stop"


COST = GuardrailFact("cost", "safe", "escalate", "breach")


@pytest.mark.parametrize(
    ("compensated", "kind"), [(True, "promote"), (False, "escalate"), (None, "escalate")]
)
def test_decide__cost_beyond_its_margin__escalates_unless_the_gain_pays_for_it(
    compensated: bool | None, kind: str
) -> None:
    found = decide(
        _with(replace(WINNER, guardrails=(SAFE, replace(COST, compensated=compensated))))
    )
    assert found.kind == kind
    assert (found.readiness[-1].now, found.readiness[-1].met) == (
        ("breach, compensated", True) if compensated else ("breach", False)
    )


def test_decide__cost_compensated_later__the_escalation_closes_by_itself() -> None:
    kinds = [
        decide(
            _with(replace(WINNER, crossed=None, guardrails=(replace(COST, compensated=known),)))
        ).kind
        for known in (None, False, True)
    ]
    assert kinds == ["escalate", "escalate", "keep"]


def test_decide__harm_proven_by_the_sprt__stops_with_its_message_whatever_the_margin_says() -> None:
    proven = replace(SAFE, verdict="unknown", proven="harm proven, observed +31.0 %")
    for facts in (
        _with(replace(WINNER, guardrails=(proven,))),
        _with(replace(WINNER, guardrails=(proven,)), alarm_only=True),
    ):
        found = decide(facts)
        assert (found.kind, found.arms) == ("stop", ("b",))
        assert (
            found.rule
            == "harm proven, observed +31.0 % (errors on b): the arm's units get the default"
        )
    both = decide(_with(replace(WINNER, guardrails=(replace(proven, verdict="breach"),))))
    assert both.rule.startswith("guardrail breached (errors on b)")
    assert both.rule.endswith("harm proven, observed +31.0 % (errors on b)")


@pytest.mark.parametrize(
    ("spent", "kind"), [(9_999_999, "promote"), (10_000_000, "stop"), (None, "promote")]
)
def test_decide__budget_cap__stops_every_arm_once_it_is_reached(
    spent: int | None, kind: str
) -> None:
    facts = replace(
        _with(budget_micro=10_000_000, spent_micro=spent), arms=(WINNER, replace(FLAT, key="c"))
    )
    found = decide(facts)
    assert found.kind == kind
    assert (
        (found.arms, "10.00 USD" in found.rule) == (("b", "c"), True)
        if kind == "stop"
        else (("b",), False)
    )
    assert decide(replace(facts, alarm_only=True)).kind == ("stop" if kind == "stop" else "keep")


def test_decide__only_the_harmed_arm__is_stopped() -> None:
    found = decide(replace(READY, arms=(replace(FLAT, key="a", guardrails=(BREACH,)), WINNER)))
    assert (found.kind, found.arms) == ("stop", ("a",))
    again = decide(
        replace(READY, arms=(replace(FLAT, key="a", guardrails=(BREACH,), harmed=True), WINNER))
    )
    assert (again.kind, again.arms) == ("promote", ("b",))


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
    [
        (Interval(-0.003, 0.005, 0.9), "no_effect"),
        (Interval(-0.003, 0.02, 0.9), "inconclusive"),
        (None, "inconclusive"),
    ],
)
def test_decide__last_look_without_a_crossing__concludes_by_the_interval(
    interval: Interval | None, conclusion: str
) -> None:
    found = decide(_with(replace(FLAT, interval_90=interval), last_look_taken=True))
    assert (found.kind, found.conclusion) == ("conclude", conclusion)
    assert decide(_with(replace(FLAT, interval_90=interval))).kind == "keep"


def test_decide__last_look_without_an_mde__is_inconclusive() -> None:
    assert decide(_with(FLAT, last_look_taken=True, mde=None)).conclusion == "inconclusive"


def test_decide__gain_proven_but_safety_not_by_the_last_look__asks_a_person() -> None:
    unknown = replace(SAFE, verdict="unknown", safe_at_look=False)
    assert (
        decide(_with(replace(WINNER, guardrails=(unknown,)), last_look_taken=True)).kind
        == "escalate"
    )


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


def test_decide__between_looks_after_the_last__does_not_wait_for_another_look() -> None:
    found = decide(_with(alarm_only=True, last_look_taken=True))
    assert found.kind == "keep"
    assert "next look" not in found.rule and "last look is taken" in found.rule


@pytest.mark.parametrize(
    ("rule", "read"),
    [
        (
            "aggressive meets every condition; a person promotes",
            "Five minutes meets every condition; a person promotes",
        ),
        ("aggressive: the boundary was crossed", "Five minutes: the boundary was crossed"),
        (
            "guardrail breached (cost on aggressive, errors on b): stop",
            "guardrail breached (cost on Five minutes, errors on B side): stop",
        ),
        ("keep running; not yet met: aggressive", "keep running; not yet met: aggressive"),
    ],
)
def test_in_names__keys_of_arms__become_their_names(rule: str, read: str) -> None:
    assert in_names(rule, {"a": "A", "aggressive": "Five minutes", "b": "B side"}) == read
