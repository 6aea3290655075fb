"""Ratios of the unit: brute force from rows, what leaves them unchanged, and totals meant to break
them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.mean import welch_t
from analytics.core.stats.arms.ratio import (
    compare_ratios,
    linearised,
    per_unit,
    ratio_t,
    ratio_value,
)

UNIT = st.tuples(st.floats(0, 50).map(lambda v: round(v, 2)), st.integers(1, 30).map(float))
UNITS = st.lists(UNIT, min_size=10, max_size=40)
Rows = list[tuple[float, float]]


def _moments(rows: Rows) -> UnitMoments:
    y, d = zip(*rows, strict=True) if rows else ((), ())
    return UnitMoments.of_rows(y=y, d=d)


def _by_hand(rows: Rows) -> Totals:
    """Totals of every unit's linearised value, R + (y − R·d)/d̄."""
    y, d = np.array(rows).T
    ratio = y.sum() / d.sum()
    return Totals.of_values(ratio + (y - ratio * d) / d.mean())


def _of_few_by_hand(rows: Rows) -> Totals:
    """The same with the variance of few units: 1 + 3·v²/n times as large."""
    y, d = np.array(rows).T
    ratio = y.sum() / d.sum()
    more = 1 + 3 * np.var(d, ddof=1) / d.mean() ** 2 / len(d)
    return Totals.of_values(ratio + (y - ratio * d) / d.mean() * math.sqrt(more))


SOME: Rows = [(float(k % 4), float(1 + k % 5)) for k in range(60)]
OTHER: Rows = [(float(k % 5), float(1 + k % 6)) for k in range(50)]


def test_linearised__four_units_by_hand__has_the_delta_methods_variance() -> None:
    # R = 4/8; y − R·d = 0, −½, ½, 0; Var(R) = (½/3)/(4·2²).
    m = UnitMoments.of_rows(y=[1, 0, 2, 1], d=[2, 1, 3, 2])
    found = linearised(m)
    assert found is not None and found.variance is not None
    assert ratio_value(m) == 0.5
    assert found.mean == 0.5
    assert found.variance / 4 == pytest.approx(0.5 / 3 / 16)


@settings(max_examples=40, deadline=None)
@given(UNITS)
def test_linearised__from_moments__has_the_textbook_variance_of_rows(rows: Rows) -> None:
    found = linearised(_moments(rows))
    y, d = np.array(rows).T
    ratio, n = y.sum() / d.sum(), len(rows)
    (s_yy, s_yd), (_, s_dd) = np.cov(y, d)
    assert found is not None and found.variance is not None
    assert found.mean == pytest.approx(ratio)
    assert found.variance / n == pytest.approx(
        (s_yy - 2 * ratio * s_yd + ratio**2 * s_dd) / (n * d.mean() ** 2), rel=1e-7, abs=1e-9
    )


@settings(max_examples=40, deadline=None)
@given(UNITS, UNITS, st.floats(0.5, 2), st.floats(-1, 1))
def test_ratio_t__from_moments__is_welch_on_linearised_rows(
    a: Rows, b: Rows, factor: float, shift: float
) -> None:
    wanted = welch_t(_of_few_by_hand(a), _of_few_by_hand(b), factor, shift)
    assume(wanted is not None and wanted.se > 1e-4)
    found = ratio_t(_moments(a), _moments(b), factor, shift)
    assert found is not None and wanted is not None
    assert (found.difference, found.se, found.df) == pytest.approx(
        (wanted.difference, wanted.se, wanted.df), rel=1e-6, abs=1e-9
    )


@settings(max_examples=40, deadline=None)
@given(UNITS, st.data())
def test_ratio__from_any_partition__is_that_of_the_whole(rows: Rows, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    parts, whole = (
        linearised(_moments(rows[:cut]) + _moments(rows[cut:])),
        linearised(_moments(rows)),
    )
    assert parts is not None and whole is not None
    assert (parts.sum_y, parts.sum_y2) == pytest.approx((whole.sum_y, whole.sum_y2), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(UNITS, UNITS)
def test_ratio__arms_swapped__turns_the_sign_only(a: Rows, b: Rows) -> None:
    here, there = compare_ratios(_moments(a), _moments(b)), compare_ratios(_moments(b), _moments(a))
    assume(here.p is not None)
    assert [there.p, there.se, there.df] == pytest.approx([here.p, here.se, here.df])
    assert there.difference == pytest.approx(-(here.difference or 0.0))
    if here.lift_ci is not None and there.lift_ci is not None and here.lift_ci.low > -1:
        # The ratio the other way round is the inverse, and so is Fieller's set.
        assert 1 / (1 + here.lift_ci.low) - 1 == pytest.approx(there.lift_ci.high, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(UNITS, UNITS, st.floats(0.01, 100), st.floats(0.01, 100), st.floats(-3, 3))
def test_ratio__rescaled_or_raised_by_the_denominator__keeps_its_t(
    a: Rows, b: Rows, per_y: float, per_d: float, rise: float
) -> None:
    plain = ratio_t(_moments(a), _moments(b))
    assume(plain is not None and plain.se > 1e-3)
    scaled = ratio_t(
        _moments([(per_y * y, per_d * d) for y, d in a]),
        _moments([(per_y * y, per_d * d) for y, d in b]),
    )
    # y + rise·d raises every ratio by ``rise`` and leaves what scatters around it.
    raised = ratio_t(
        _moments([(y + rise * d, d) for y, d in a]), _moments([(y + rise * d, d) for y, d in b])
    )
    assert plain is not None and scaled is not None and raised is not None
    assert scaled.t == pytest.approx(plain.t, rel=1e-6, abs=1e-9)
    assert (raised.difference, raised.se) == pytest.approx(
        (plain.difference, plain.se), rel=1e-6, abs=1e-9
    )


def test_linearised__around_another_ratio__keeps_the_mean_and_changes_the_spread() -> None:
    m = _moments(SOME)
    own, other = linearised(m), linearised(m, ratio=0.2)
    assert own is not None and other is not None
    assert other.mean == own.mean
    y, d = np.array(SOME).T
    assert other.variance == pytest.approx(np.var((y - 0.2 * d) / d.mean(), ddof=1))


def test_lift__its_ends__are_the_ratios_just_not_rejected() -> None:
    control, treatment = _moments(SOME), _moments(OTHER)
    c = compare_ratios(control, treatment)
    assert c.lift_ci is not None and c.df is not None and c.lift is not None
    limit = -float(stdtrit(c.df, 0.025))
    for end in (c.lift_ci.low, c.lift_ci.high):
        at_end = ratio_t(control, treatment, factor=1 + end)
        assert at_end is not None
        assert abs(at_end.t) == pytest.approx(limit, rel=1e-9)
    for inside in np.linspace(c.lift_ci.low, c.lift_ci.high, 21)[1:-1]:
        at = ratio_t(control, treatment, factor=1 + inside)
        assert at is not None and abs(at.t) < limit


def test_ratio__compared__shows_both_halves_per_unit() -> None:
    control = UnitMoments.of_rows(y=[1.0, 3.0] * 10, d=[4.0, 5.0] * 10)
    treatment = UnitMoments.of_rows(y=[1.0, 3.0] * 10, d=[8.0, 10.0] * 10)
    c = compare_ratios(control, treatment)
    assert c.method == "ratio, delta method"
    assert (c.control_mean, c.treatment_mean) == pytest.approx((2 / 4.5, 2 / 9))
    assert c.notes == ("per unit, treatment and control: numerator 2 and 2, denominator 9 and 4.5",)
    assert (
        per_unit(treatment) is not None
        and per_unit(UnitMoments(0, ("y", "d"), (0, 0), (0, 0, 0))) is None
    )


def test_ratio__denominator_barely_above_zero__says_that_its_spread_is_rough() -> None:
    rare = _moments([(0.0, 0.0)] * 40 + [(1.0, 2.0), (0.0, 1.0)])
    c = compare_ratios(_moments(SOME), rare)
    assert c.p is not None
    assert any(
        "treatment's mean denominator is within 5 standard errors of 0" in note for note in c.notes
    )


def test_ratio__nine_units__cannot_say() -> None:
    c = compare_ratios(_moments(SOME), _moments(OTHER[:9]))
    assert c.reason == "treatment has 9 units; below 10 an arm nothing can be said"
    assert (c.p, c.ci, c.lift) == (None, None, None)


@pytest.mark.parametrize("denominators", [[0.0] * 20, [-1.0] * 20, [1.0, -1.0] * 10])
def test_ratio__denominators_that_add_up_to_nothing__cannot_say(denominators: list[float]) -> None:
    empty = UnitMoments.of_rows(y=[1.0] * 20, d=denominators)
    c = compare_ratios(empty, _moments(OTHER))
    assert c.reason == "the denominators of control add up to nothing: its ratio is undefined"
    assert c.control_mean is None and c.treatment_mean is not None
    assert (ratio_value(empty), linearised(empty), ratio_t(empty, _moments(OTHER))) == (
        None,
        None,
        None,
    )


def test_ratio__the_same_in_every_unit__has_no_spread_and_no_p() -> None:
    rows = [(0.1 * d, float(d)) for d in range(1, 30)]
    c = compare_ratios(_moments(rows), _moments(rows[3:]))
    assert c.p is None and c.reason is not None and "no spread" in c.reason


@pytest.mark.parametrize("level", [0.0, -1.0])
def test_ratio__control_not_above_zero__has_a_difference_but_no_lift(level: float) -> None:
    control = UnitMoments.of_rows(y=[level - 1, level + 1] * 10, d=[1.0] * 20)
    c = compare_ratios(control, _moments(OTHER))
    assert c.difference is not None and c.p is not None
    assert c.lift is None and c.lift_ci is None and c.lift_reason is not None


HOSTILE = [
    UnitMoments(0, ("y", "d"), (0.0, 0.0), (0.0, 0.0, 0.0)),
    UnitMoments.of_rows(y=[1.0], d=[1.0]),
    UnitMoments.of_rows(y=[0.0] * 12, d=[0.0] * 12),
    UnitMoments.of_rows(y=[0.0] * 12, d=[3.0] * 12),
    UnitMoments.of_rows(y=[-5.0, 5.0] * 12, d=[1.0, 2.0] * 12),
    UnitMoments.of_rows(y=[1e150, 0.0] * 12, d=[1e-150, 1e-150] * 12),
    UnitMoments.of_rows(y=[1.0, 0.0] * 12, d=[1e-150, 1e-150] * 12),
    UnitMoments(10**12, ("y", "d"), (1e6, 5e12), (1e6, 4e6, 3e13)),
    UnitMoments(10**12, ("y", "d"), (4e12, 5e12), (2e13, 2.2e13, 3e13)),
]


@pytest.mark.parametrize("control", HOSTILE)
@pytest.mark.parametrize("treatment", HOSTILE)
def test_ratio__hostile_totals__never_crash_and_never_fake(
    control: UnitMoments, treatment: UnitMoments
) -> None:
    c = compare_ratios(control, treatment)
    assert (c.p is None) == (c.reason is not None)
    numbers = [c.control_mean, c.treatment_mean, c.difference, c.lift, c.p, c.z, c.se, c.df]
    assert all(math.isfinite(v) for v in numbers if v is not None)
    if c.ci is not None and c.difference is not None:
        assert c.ci.low <= c.difference <= c.ci.high
    if c.lift_ci is not None and c.lift is not None:
        assert c.lift_ci.low <= c.lift <= c.lift_ci.high


def test_ratio__users_with_many_alike_requests__is_covered_as_often_as_it_says() -> None:
    """Requests of a user share the user's rate: units as trials hold the level, requests as trials
    would not.
    """
    rng = np.random.default_rng(20240607)
    covered = naive = 0
    sims, n = 600, 200
    for _ in range(sims):
        arms = []
        for _ in range(2):
            d = rng.poisson(rng.gamma(1.5, 8.0, n)) + 1
            arms.append((rng.binomial(d, rng.beta(0.5, 9.5, n)).astype(float), d.astype(float)))
        control, treatment = (UnitMoments.of_rows(y=y, d=d) for y, d in arms)
        c = compare_ratios(control, treatment)
        assert c.ci is not None and c.difference is not None
        covered += c.ci.holds(0.0)
        rates = [(y.sum() / d.sum(), d.sum()) for y, d in arms]
        naive += abs(c.difference) <= 1.96 * math.sqrt(sum(p * (1 - p) / m for p, m in rates))
    assert (
        0.95 - 3.29 * math.sqrt(0.95 * 0.05 / sims)
        <= covered / sims
        <= 0.95 + 3.29 * math.sqrt(0.95 * 0.05 / sims)
    )
    assert naive / sims < 0.85
