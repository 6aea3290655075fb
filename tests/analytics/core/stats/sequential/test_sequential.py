"""Boundaries, repeated p-values, confidence sequences and shares: known numbers, properties, error
rates.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.stats import multiplicity, power, srm
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.intervals import anytime
from analytics.core.stats.sequential import group_sequential, spending
from analytics.core.stats.sequential.constant_boundaries import constant_boundaries
from tests.places import VECTORS

GOLDEN = json.loads((VECTORS / "stats.json").read_text(encoding="utf-8"))
TIMES = st.lists(st.floats(0.02, 1.0), min_size=1, max_size=6).map(sorted)


def _equal(looks: int) -> list[float]:
    return [(k + 1) / looks for k in range(looks)]


def test_boundary__first_look_at_a_fifth__is_the_documented_one() -> None:
    assert group_sequential.boundaries([0.2]).z[0] == pytest.approx(4.877, abs=5e-4)


def test_boundary__one_look_at_the_end__is_the_fixed_test() -> None:
    assert group_sequential.boundaries([1.0]).z == pytest.approx((1.959964,), abs=1e-6)
    assert group_sequential.boundaries([1.0], 0.05, 1).z == pytest.approx((1.644854,), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(TIMES)
def test_boundaries__any_times__cross_by_chance_as_often_as_was_spent(times: list[float]) -> None:
    found = group_sequential.boundaries(times, final=True)
    ups, downs = group_sequential.crossing_chances(times, found.z, [-b for b in found.z])
    assert ups.sum() + downs.sum() == pytest.approx(found.spent[-1], abs=2e-4)


def test_boundaries__last_look_before_full_information__spend_everything_left() -> None:
    early = group_sequential.boundaries([0.3, 0.6], final=True)
    assert early.spent[-1] == pytest.approx(0.05)
    assert early.z[-1] < group_sequential.boundaries([0.3, 0.6]).z[-1]


def test_boundaries__a_look_without_new_information__spends_nothing() -> None:
    found = group_sequential.boundaries([0.4, 0.4, 1.0])
    assert math.isinf(found.z[1])
    assert found.spent[1] == found.spent[0]
    assert found.z[2] == pytest.approx(group_sequential.boundaries([0.4, 1.0]).z[1], abs=1e-6)


def test_boundaries__last_look_without_new_information__spend_what_is_left_at_the_same_time() -> (
    None
):
    found = group_sequential.boundaries([0.5, 0.5], final=True)
    # Not crossing first and then lying beyond b: P(b < |Z| < first boundary) is what was left.
    assert found.z[1] == pytest.approx(1.96, abs=0.02)
    assert found.spent[1] == pytest.approx(0.05)


@pytest.mark.parametrize("times", [[0.5, 0.4], [0.0], [-0.1], [math.nan]])
def test_boundaries__times_that_fall_or_make_no_sense__are_refused(times: list[float]) -> None:
    with pytest.raises(ImpossiblePlan):
        group_sequential.boundaries(times)


def test_boundaries__a_repeated_time_before_a_tiny_step__change_nothing_but_the_repeat() -> None:
    once, twice = (
        group_sequential.boundaries([0.9, 0.901]),
        group_sequential.boundaries([0.9, 0.9, 0.901]),
    )
    assert (twice.z[0], twice.z[2]) == pytest.approx(once.z, abs=1e-9)


def test_boundaries__looks_a_thousandth_apart__agree_with_one_look_for_all_of_them() -> None:
    # Spent between .5 and .51 in ten looks or one: what later looks may spend is the same.
    fine = group_sequential.boundaries([0.5 + k / 1000 for k in range(11)] + [1.0])
    coarse = group_sequential.boundaries([0.5, 0.51, 1.0])
    assert fine.z[-1] == pytest.approx(coarse.z[-1], abs=2e-3)
    assert fine.spent[-1] == pytest.approx(coarse.spent[-1])


def test_boundaries__longer_by_a_look__keep_those_before() -> None:
    times = _equal(7)
    assert (
        group_sequential.boundaries(times[:4], 0.031).z
        == group_sequential.boundaries(times, 0.031).z[:4]
    )


def test_spending__families__start_at_nothing_and_end_with_the_level() -> None:
    for family in (spending.OBRIEN_FLEMING, spending.POCOCK, spending.power_family(2.0)):
        spent = [family.spent_by(t / 10, 0.025) for t in range(11)]
        assert (spent[0], spent[-1]) == (0.0, 0.025)
        assert spent == sorted(spent)
    assert spending.power_family(2.0).spent_by(0.5, 0.04) == pytest.approx(0.01)
    assert spending.POCOCK.spent_by(0.5, 0.05) == pytest.approx(0.05 * math.log((1 + math.e) / 2))


@pytest.mark.parametrize("exponent", [0.0, -1.0, math.nan, math.inf])
def test_spending__exponent_that_spends_everything_or_nonsense__is_refused(exponent: float) -> None:
    with pytest.raises(ImpossiblePlan):
        spending.power_family(exponent)


@pytest.mark.parametrize(
    "family", [spending.POCOCK, spending.power_family(1.0), spending.power_family(3.0)]
)
def test_boundaries__other_families__cross_by_chance_as_often_as_was_spent(
    family: spending.SpendingFamily,
) -> None:
    times = [0.1, 0.35, 0.6, 1.0]
    found = group_sequential.boundaries(times, spending=family)
    ups, downs = group_sequential.crossing_chances(times, found.z, [-b for b in found.z])
    assert (ups + downs).cumsum() == pytest.approx(
        [2 * family.spent_by(t, 0.025) for t in times], rel=1e-6
    )
    # Earlier spending leaves less for the end.
    assert found.z[-1] > group_sequential.boundaries(times).z[-1]


def test_constant_boundaries__five_looks__are_the_textbook_ones() -> None:
    # Jennison and Turnbull 2000, tables 2.1 and 2.3: C_P(5, .05) = 2.413, C_B(5, .05) = 2.040.
    assert constant_boundaries(5, shape="pocock").z == pytest.approx([2.413] * 5, abs=5e-4)
    assert constant_boundaries(5).z == pytest.approx(
        [2.040 * math.sqrt(5 / k) for k in range(1, 6)], abs=2e-3
    )
    assert constant_boundaries(5).spent[-1] == pytest.approx(0.05)


def test_constant_boundaries__one_look_or_none() -> None:
    assert constant_boundaries(1, 0.05, 1, "pocock").z == pytest.approx((1.644854,), abs=1e-6)
    with pytest.raises(ImpossiblePlan):
        constant_boundaries(0)


def test_repeated_p__statistic_that_is_no_number__is_refused() -> None:
    with pytest.raises(ImpossiblePlan):
        group_sequential.repeated_p([0.5], [math.nan])


def test_repeated_p__both_sides_crossed__is_of_the_stronger() -> None:
    assert group_sequential.repeated_p([0.5, 1.0], [3.0, -5.0]).side == "down"
    assert group_sequential.repeated_p([0.5, 1.0], [5.5, -2.0]).side == "up"


def test_repeated_p__at_exactly_the_boundary_of_a_level__is_that_level() -> None:
    times = _equal(5)
    for alpha in (0.2, 0.05, 0.001):
        bound = group_sequential.boundaries(times, alpha).z[-1]
        found = group_sequential.repeated_p(times, [0.0, 0.0, 0.0, 0.0, -bound])
        assert found.p == pytest.approx(alpha, rel=1e-4)
        assert found.side == "down"


def test_repeated_p__later_looks__only_ever_lower_it() -> None:
    times, zs = _equal(6), [1.0, 2.9, 2.5, 1.0, 3.0, 0.2]
    history = [group_sequential.repeated_p(times[: k + 1], zs[: k + 1]).p for k in range(6)]
    assert history == sorted(history, reverse=True)
    assert history[-1] < history[0]


def test_repeated_p__nothing_crossed_or_nothing_seen__is_one_without_a_side() -> None:
    assert group_sequential.repeated_p([0.5], [0.0]) == group_sequential.RepeatedP(1.0, None)
    assert group_sequential.repeated_p([0.5], [None]).side is None


def test_repeated_interval__excludes_zero__exactly_when_the_boundary_was_crossed() -> None:
    times = [0.4, 0.8]
    bound = group_sequential.boundaries(times).z[-1]
    for z in (bound * 0.999, bound * 1.001):
        found = group_sequential.repeated_interval(z * 0.5, 0.5, times)
        assert found is not None
        assert found.holds(0.0) == (z < bound)


def test_inflation__of_one_look_is_none_and_of_many_a_few_percent() -> None:
    assert group_sequential.inflation(1) == 1.0
    assert 1.02 < group_sequential.inflation(5) < 1.03
    assert group_sequential.inflation(5) < group_sequential.inflation(28) < 1.06


@pytest.mark.parametrize("looks", [14, 28])
def test_group_sequential__no_effect__errs_as_often_as_promised(looks: int) -> None:
    # Given 100,000 experiments without an effect, looked at daily.
    z = _paths(100_000, looks)
    bounds = np.array(group_sequential.boundaries(_equal(looks)).z)
    # Then the boundary is crossed as often as promised (99.9 % bounds), and a naive test far more
    # often.
    assert int((np.abs(z) >= bounds).any(axis=1).sum()) == pytest.approx(
        5000, abs=3.29 * math.sqrt(100_000 * 0.05 * 0.95)
    )
    assert (np.abs(z) >= 1.96).any(axis=1).mean() > 0.2


def test_group_sequential__sample_with_inflation__has_the_planned_power() -> None:
    times, drift = _equal(14), math.sqrt(group_sequential.inflation(14)) * (1.959964 + 0.841621)
    bounds = np.array(group_sequential.boundaries(times).z)
    z = _paths(100_000, 14) + drift * np.sqrt(times)
    assert (z >= bounds).any(axis=1).mean() == pytest.approx(0.8, abs=0.005)


def test_confidence_sequence__watched_all_the_time__covers() -> None:
    # Given 2,000 streams of 5,000 units with no effect, read after every unit from the 100th on.
    rng = np.random.default_rng(7)
    sums = rng.standard_normal((2_000, 5_000)).cumsum(axis=1)[:, 99:]
    n = np.arange(100, 5_001)
    width = np.array([anytime.half_width(1 / math.sqrt(k), int(k), 0.05, 5_000) for k in n])
    missed = (np.abs(sums / n) > width).any(axis=1).mean()
    assert 0.003 <= missed <= 0.05 + 3.29 * math.sqrt(0.05 * 0.95 / 2_000)


def test_anytime_p__at_the_edge_of_the_interval__is_alpha() -> None:
    half = anytime.half_width(0.1, 3_000, 0.05, 5_000)
    assert anytime.p_value(half, 0.1, 3_000, 0.05, 5_000) == pytest.approx(0.05)
    bound = anytime.one_sided_width(0.1, 3_000, 0.025, 5_000)
    assert anytime.upper_p_value(bound, 0.1, 3_000, 0.025, 5_000) == pytest.approx(0.025)


def test_anytime__below_a_hundred_units_or_without_error__cannot_say() -> None:
    assert anytime.interval(1.0, 0.1, 99, 0.05, 5_000) is None
    assert anytime.p_value(1.0, 0.0, 1_000, 0.05, 5_000) is None


def test_anytime__huge_statistics__stay_numbers() -> None:
    assert anytime.p_value(1e9, 1.0, 10**12, 0.05, 5_000) == 1e-300
    assert anytime.upper_p_value(1e9, 1.0, 10**12, 0.025, 5_000) == 1e-300


def test_running__intervals_that_stop_overlapping__say_the_effect_changed() -> None:
    same = anytime.running([Interval(-1, 3, 0.95), Interval(0, 2, 0.95)], [0.4, 0.6])
    assert (same.interval, same.p, same.effect_changed) == (Interval(0, 2, 0.95), 0.4, False)
    moved = anytime.running([Interval(-1, 0, 0.95), Interval(1, 2, 0.95)], [0.4, 0.01])
    assert (moved.interval, moved.effect_changed) == (Interval(1, 2, 0.95), True)


def test_srm__cookie_cats__is_yellow() -> None:
    found = srm.check_shares([44700, 45489], [500, 500])
    assert found.p == pytest.approx(GOLDEN["cookie_cats"]["srm_p"], abs=5e-5)
    assert (found.verdict, found.masks) == ("yellow", False)


def test_srm__few_units__is_the_exact_binomial() -> None:
    found = srm.check_shares([1, 8], [1, 1])
    assert found.method == "exact multinomial"
    assert found.p == pytest.approx(binomtest(1, 9).pvalue)


def test_srm__three_small_arms__agree_with_a_count_by_hand() -> None:
    # Two units over three equal arms: nine outcomes; both in one arm (3 of 9) is the rarer kind.
    assert srm.check_shares([2, 0, 0], [1, 1, 1]).p == pytest.approx(1 / 3)


def test_srm__arm_without_weight__takes_no_part() -> None:
    assert srm.check_shares([500, 500, 70], [1, 1, 0]).observed == (500, 500)


def test_srm__gross_mismatch__is_red_and_masks() -> None:
    found = srm.check_shares([5_000, 6_000], [1, 1])
    assert (found.verdict, found.masks) == ("red", True)


@pytest.mark.parametrize("counts", [[0, 0], [10**12, 10**12], [0, 1]])
def test_srm__hostile_counts__never_alarm_falsely(counts: list[int]) -> None:
    found = srm.check_shares(counts, [1, 1])
    assert found.verdict in ("green", None)
    assert not found.masks


def test_srm__nonsense__is_refused() -> None:
    with pytest.raises(ImpossibleTotals):
        srm.check_shares([-1, 5], [1, 1])
    with pytest.raises(ImpossiblePlan):
        srm.check_shares([1, 5], [0, 0])


def test_holm__with_an_answer_missing__still_counts_the_question() -> None:
    assert multiplicity.holm([0.01, None, 0.04]) == [pytest.approx(0.03), None, pytest.approx(0.08)]
    assert multiplicity.benjamini_hochberg([]) == []


@pytest.mark.parametrize("row", GOLDEN["sample_size"])
def test_sample_size__documented_cases__give_the_true_number(row: dict[str, float]) -> None:
    assert power.proportion_sample(row["base"], row["expected"]).control == row["per_arm"]


def test_sample_size__fifteen_percent_more_complaints__needs_the_documented_events() -> None:
    assert power.detect_events(0.15) == 752
    assert power.safe_events(0.15, required_guardrails=5) == 1240


def test_sample_size__computed__has_the_power_asked_for() -> None:
    n = power.proportion_sample(0.2, 0.22, ratio=0.5, power=0.9)
    assert power.proportion_power(0.2, 0.22, n.exact_control, ratio=0.5) == pytest.approx(0.9)
    assert power.proportion_mde(0.2, n.exact_control, ratio=0.5, power=0.9) == pytest.approx(0.02)
    m = power.mean_sample(10.0, 1.0)
    assert power.mean_power(10.0, 1.0, m.exact_control) == pytest.approx(0.8, abs=1e-5)
    assert power.mean_mde(10.0, m.exact_control) == pytest.approx(1.0)


def test_sample_size__a_covariate_clusters_and_arms__change_it_as_stated() -> None:
    plain = power.mean_sample(10.0, 1.0).exact_control
    assert power.mean_sample(10.0, 1.0, correlation=0.6).exact_control == pytest.approx(
        0.64 * plain
    )
    assert power.mean_sample(10.0, 1.0, design_effect=2.0).exact_control == pytest.approx(2 * plain)
    assert (
        power.mean_sample(10.0, 1.0, hypotheses=3, test_arms=3).total
        == 4 * power.mean_sample(10.0, 1.0, hypotheses=3).control
    )
    assert power.mean_sample(10.0, 1.0, looks=14).exact_control == pytest.approx(
        plain * group_sequential.inflation(14)
    )


def test_sample_size__safe_in_points__follows_the_formula() -> None:
    n = power.safe_points_sample(0.02 * 0.98, 0.02, required_guardrails=0).exact_control
    assert n == pytest.approx((1.644854 + 0.841621) ** 2 * 2 * 0.0196 / 0.0004, rel=1e-5)
    assert (
        power.safe_relative_sample(0.05, 0.10).control
        > power.safe_relative_sample(0.05, 0.20).control
    )


def test_duration__is_whole_weeks_and_never_shorter_than_the_clock() -> None:
    assert power.duration(1_000, 100.0, window_days=7) == power.Duration(18, 3, "sample")
    assert power.duration(10, 100.0, clock_weeks=2) == power.Duration(2, 2, "clock")
    assert power.duration(10, 0.0) is None


@pytest.mark.parametrize("wrong", [(0.0, 0.1), (0.5, 0.5), (0.5, 1.5), (math.nan, 0.5)])
def test_sample_size__contradictory_plan__is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ImpossiblePlan):
        power.proportion_sample(*wrong)


def _paths(experiments: int, looks: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    steps = np.random.default_rng(20).standard_normal((experiments, looks))
    return steps.cumsum(axis=1) / np.sqrt(np.arange(1, looks + 1))


@settings(max_examples=25, deadline=None)
@given(TIMES, st.data(), st.sampled_from([1, 2]))
def test_repeated_p__any_looks__is_a_probability_and_agrees_with_the_boundaries(
    times: list[float], data: st.DataObject, sides: int
) -> None:
    zs = data.draw(st.lists(st.floats(-9, 9), min_size=len(times), max_size=len(times)))
    found = group_sequential.repeated_p(times, zs, 1 if sides == 1 else 2)
    bounds = group_sequential.boundaries(times, 0.05, 1 if sides == 1 else 2).z
    crossed = any((z if sides == 1 else abs(z)) >= b for z, b in zip(zs, bounds, strict=True))
    assert 0 < found.p <= 1
    assert (found.p <= 0.05) == crossed or found.p == pytest.approx(0.05, rel=1e-4)
