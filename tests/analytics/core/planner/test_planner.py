"""The planner: sizes of whole plans, what is within reach with this traffic, and what would do
instead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.planner import MetricInputs, Rules, SizePlan, Traffic, plan
from analytics.core.stats import power
from analytics.core.stats.sequential.group_sequential import inflation

RESOLVED = MetricInputs(key="resolved", baseline=0.75, effect=0.05, effect_kind="absolute")
COMPLAINTS = MetricInputs(
    key="complaints",
    role="guardrail",
    better="decrease",
    baseline=0.003,
    margin=0.15,
    margin_kind="relative",
)
SPEND = MetricInputs(key="spend", kind="mean", baseline=10.0, sd=20.0, effect=0.1)


def planned(*metrics: MetricInputs, traffic: Traffic | None = None, **rules: Any) -> SizePlan:
    return plan(metrics or (RESOLVED,), traffic or Traffic(), Rules(**rules))


def test_plan__75_to_80_percent__is_1094_an_arm() -> None:
    found = planned()
    assert (found.control, found.treatment, found.total, found.decided_by) == (
        1094,
        1094,
        2188,
        "resolved",
    )
    assert (found.n_planned, found.weeks, found.rows[0].question) == (
        547,
        None,
        "find +5 p.p. (75 % → 80 %)",
    )


@pytest.mark.parametrize(("lift", "per_arm"), [(0.05, 25_583), (0.1, 6510), (0.2, 1683)])
def test_plan__20_percent_with_relative_lifts__is_the_table(lift: float, per_arm: int) -> None:
    assert (
        planned(replace(RESOLVED, baseline=0.2, effect=lift, effect_kind="relative")).control
        == per_arm
    )


def test_plan__five_required_guardrails__shows_1240_beside_752_and_is_sized_by_them() -> None:
    found = planned(RESOLVED, *(replace(COMPLAINTS, key=f"complaints_{k}") for k in range(5)))
    row = found.row("complaints_0")
    assert (row.safe_events, row.detect_events, found.decided_by) == (1240, 752, "complaints_0")
    assert row.size is not None
    assert row.size.control == pytest.approx(1240 / 0.003, rel=0.01)
    assert found.row("resolved").size == power.proportion_sample(0.75, 0.8)


def test_plan__guardrail_only_not_to_be_breached__sizes_nothing_but_is_answered_for() -> None:
    found = planned(
        RESOLVED, replace(COMPLAINTS, required=False), traffic=Traffic(units_per_day=1000)
    )
    row = found.row("complaints")
    assert (found.control, row.size, row.note) == (
        1094,
        None,
        "only must not be breached: does not size the experiment",
    )
    assert row.margin_in_reach is not None
    assert found.joint_power == pytest.approx(0.8)


def test_plan__safe_out_of_reach__says_which_margin_and_how_many_weeks_would_do() -> None:
    found = planned(RESOLVED, COMPLAINTS, traffic=Traffic(units_per_day=3000), weeks=4)
    row = found.row("complaints")
    assert row.within_reach is False
    assert row.weeks == found.weeks
    assert row.margin_in_reach is not None
    (advice,) = found.advice
    assert advice == (
        f"complaints: in 4 weeks you can prove a margin of +{100 * row.margin_in_reach:.3g} %; your margin of +15 % needs {row.weeks} weeks"
    )
    for margin, weeks in ((row.margin_in_reach * 1.0001, 4), (0.15, row.weeks)):
        guardrail = replace(COMPLAINTS, margin=margin)
        assert (
            planned(RESOLVED, guardrail, traffic=Traffic(units_per_day=3000), weeks=weeks).advice
            == ()
        )


def test_plan__effect_out_of_reach__says_which_would_do() -> None:
    found = planned(replace(SPEND, effect=0.01), traffic=Traffic(units_per_day=1000), weeks=2)
    assert found.rows[0].within_reach is False
    assert found.rows[0].mde_relative is not None
    assert (
        f"in 2 weeks you can find +{100 * found.rows[0].mde_relative:.3g} %; your"
        in found.advice[0]
    )


def test_plan__mde_of_the_horizon__is_what_its_matured_units_find() -> None:
    found = planned(
        replace(SPEND, window_days=3), traffic=Traffic(units_per_day=1000, share=0.5), weeks=2
    )
    assert found.rows[0].mde == pytest.approx(power.mean_mde(20.0, 250 * (14 - 3 - 1)))
    assert found.rows[0].mde_relative == pytest.approx((found.rows[0].mde or 0) / 10)


def test_plan__three_arms_of_unequal_shares__each_gets_its_own() -> None:
    found = planned(traffic=Traffic(control=50, tests=(30, 20)))
    exact = power.proportion_sample(0.75, 0.8, ratio=0.4, hypotheses=2).exact_control
    assert found.arms == tuple(-(-exact * w // 50) for w in (50, 30, 20))
    assert (found.treatment, found.total) == (found.arms[2], sum(found.arms))


def test_plan__days_are_those_that_control_needs_at_its_share() -> None:
    found = planned(traffic=Traffic(units_per_day=100, share=0.5, control=20, tests=(80,)))
    assert found.days == -(-power.proportion_sample(0.75, 0.8, ratio=4.0).exact_control // 10) + 1


def test_plan__clock_longer_than_the_sample__binds_and_its_units_set_the_horizon() -> None:
    found = planned(traffic=Traffic(units_per_day=10_000), clock_weeks=2)
    assert (found.weeks, found.bound_by) == (2, "clock")
    assert found.n_planned == pytest.approx(5000 * 13 / 2)


def test_plan__traffic_only_guessed__gives_weeks_but_no_horizon() -> None:
    found = planned(traffic=Traffic(units_per_day=10_000, guessed=True), clock_weeks=2)
    assert (found.weeks, found.n_planned) == (2, 547)


def test_plan__looks_covariate_and_clusters__change_the_size_and_the_fixed_one_stands_beside() -> (
    None
):
    row = planned(replace(SPEND, correlation=0.5, design_effect=2.0), looks=8).rows[0]
    assert row.size is not None
    assert row.fixed is not None
    plain = power.mean_sample(20.0, 1.0).exact_control
    assert row.fixed.exact_control == pytest.approx(plain * 0.75 * 2)
    assert row.size.exact_control == pytest.approx(row.fixed.exact_control * inflation(8))
    assert row.beside == (f"{row.fixed.control:,} units in control if there were a single look",)


def test_plan__covariate_of_a_guardrail__does_not_shrink_it() -> None:
    """The verdict on a guardrail reads values as they are."""
    cost = MetricInputs(
        key="cost", role="guardrail", kind="mean", better="decrease", baseline=10, sd=20, margin=2
    )
    assert (
        planned(RESOLVED, replace(cost, correlation=0.9)).row("cost").size
        == planned(RESOLVED, cost).row("cost").size
    )


def test_plan__floor_above_the_need__is_kept_in_every_arm() -> None:
    assert planned(floor=5000, traffic=Traffic(control=75, tests=(25,))).arms == (15_000, 5000)


def test_plan__ratio_and_quantile__are_planned_by_their_units_spread() -> None:
    errors = MetricInputs(
        key="errors",
        role="guardrail",
        kind="ratio",
        better="decrease",
        baseline=0.03,
        sd=0.4,
        margin=0.02,
    )
    latency = MetricInputs(
        key="p95",
        role="guardrail",
        kind="quantile",
        better="decrease",
        baseline=900,
        sd=9000,
        margin=500,
        margin_kind="ms",
    )
    found = planned(RESOLVED, errors, latency)
    assert found.row("errors").size == power.safe_points_sample(0.16, 0.02, required_guardrails=2)
    assert found.row("p95").size == power.safe_points_sample(81e6, 500, required_guardrails=2)
    assert found.row("p95").question == "SAFE within +500 ms when there is no harm"


def test_plan__joint_power__is_one_minus_what_each_may_miss() -> None:
    guardrail = MetricInputs(
        key="errors", role="guardrail", better="decrease", baseline=0.03, margin=0.05
    )
    found = planned(RESOLVED, guardrail)
    missed = [1 - (row.power or 0) for row in found.rows]
    assert found.joint_power == pytest.approx(1 - sum(missed))
    assert found.joint.startswith(
        "With 1,094 units in control the effect is found with power 0.80 and the required guardrail is SAFE"
    )


def test_plan__joint_power_below_the_planned__says_what_the_primary_metric_needs_for_it() -> None:
    found = planned(
        RESOLVED,
        MetricInputs(
            key="errors", role="guardrail", better="decrease", baseline=0.03, margin=0.0215
        ),
    )
    assert found.joint_power is not None
    assert found.joint_power < 0.795
    assert found.advice[-1].startswith("for 0.80 together resolved needs")


def test_plan__secondary_without_an_effect__is_told_its_smallest_and_sizes_nothing() -> None:
    found = planned(
        RESOLVED, replace(SPEND, role="secondary", effect=None), traffic=Traffic(units_per_day=1000)
    )
    row = found.row("spend")
    assert (row.size, row.power, found.control) == (None, None, 1094)
    assert row.mde is not None


@pytest.mark.parametrize(
    "change", [{"baseline": None}, {"sd": None}, {"baseline": 0.0, "kind": "proportion"}]
)
def test_plan__secondary_of_which_little_is_known__cannot_say_and_stops_nothing(
    change: dict[str, Any],
) -> None:
    found = planned(
        RESOLVED, replace(SPEND, role="secondary", **change), traffic=Traffic(units_per_day=1000)
    )
    assert found.row("spend").size is None
    assert "cannot say" in found.row("spend").note


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (replace(RESOLVED, baseline=None), "resolved .*baseline"),
        (replace(RESOLVED, effect=None), "smallest effect"),
        (replace(SPEND, sd=None), "standard deviation"),
        (replace(RESOLVED, effect=0.3), "resolved: rates lie between"),
        (replace(COMPLAINTS, margin=None), "harm allowed"),
        (replace(COMPLAINTS, baseline=0.0), "complaints: "),
        (replace(SPEND, sd=-1.0), "spend: the standard deviation"),
    ],
)
def test_plan__what_sizes_it_is_missing_or_impossible__is_refused_by_name(
    metric: MetricInputs, said: str
) -> None:
    with pytest.raises(ImpossiblePlan, match=said):
        planned(metric)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: MetricInputs(key="x", kind="odds"),
        lambda: MetricInputs(key="x", baseline=float("nan")),
        lambda: MetricInputs(key="x", role="guardrail", margin=0.1, margin_kind="ms"),
        lambda: Traffic(tests=()),
        lambda: Traffic(control=0.0),
        lambda: Traffic(share=1.5),
        lambda: Traffic(units_per_day=-1.0),
        lambda: Rules(weeks=0),
        lambda: Rules(looks=61),
        lambda: plan((), Traffic(), Rules()),
    ],
)
def test_inputs__that_cannot_be__are_refused(wrong: Any) -> None:
    with pytest.raises(ImpossiblePlan):
        wrong()


ANY = st.sampled_from([0.0, -1.0, 1.0, 0.5, 5e-324, 1e308, -1e308, 1e-12, 1e12]) | st.floats(
    allow_nan=False, allow_infinity=False
)
SANE = st.sampled_from([1.0, 50.0, 0.5, 1e6])
ROLES: Any = st.sampled_from(["primary", "secondary", "guardrail"])


@given(st.data())
def test_plan__any_numbers__are_answered_or_refused_never_broken(data: st.DataObject) -> None:
    draw = data.draw
    kind = draw(st.sampled_from(["proportion", "mean", "ratio", "quantile"]))
    try:
        metric = MetricInputs(
            key="x",
            role=draw(ROLES),
            kind=kind,
            baseline=draw(ANY | st.none()),
            sd=draw(ANY | st.none()),
            effect=draw(ANY),
            margin=draw(ANY),
            margin_kind=draw(st.sampled_from(["points", "relative"])),
            better=draw(st.sampled_from(["increase", "decrease"])),
            correlation=draw(st.sampled_from([0.0, 0.999999999, -0.5])),
            design_effect=draw(SANE | ANY),
            window_days=draw(SANE | ANY),
        )
        traffic = Traffic(
            units_per_day=draw(SANE | ANY | st.none()),
            control=draw(SANE | ANY),
            tests=(draw(SANE | ANY),),
        )
        rules = Rules(
            alpha=draw(st.just(0.05) | ANY),
            power=draw(st.just(0.8) | ANY),
            looks=draw(st.sampled_from([1, 2])),
        )
        found = plan([RESOLVED, metric], traffic, rules)
    except ImpossiblePlan:
        return
    assert 1 <= found.control <= found.total <= 1e25
    assert found.joint_power is None or 0 <= found.joint_power <= 1
