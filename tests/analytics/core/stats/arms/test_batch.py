"""Many comparisons at once say what single ones say, and stay silent where those do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.stats.arms.batch import ManyTotals, NoNumber, many_means, many_rates
from analytics.core.stats.arms.comparison import Comparison
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.arms.proportion import compare_proportions, pooled_z

VALUE = st.floats(-1e3, 1e3).map(lambda v: round(v, 3))
MEANS = st.lists(VALUE, min_size=0, max_size=30).map(Totals.of_values) | st.builds(
    lambda n: Totals(n, 3.0 * n, 9.0 * n), st.integers(0, 10**12)
)
RATES = st.integers(0, 3000).flatmap(
    lambda n: st.builds(Totals.of_rate, st.integers(0, n), st.just(n))
)
ALPHA = st.sampled_from([0.001, 0.05, 0.3])


def _same(found: float, single: float | None) -> None:
    assert (
        math.isnan(found)
        if single is None
        else found == pytest.approx(single, rel=1e-12, abs=1e-300)
    )


def _ends(interval: object) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.low, interval.high)  # type: ignore[attr-defined]  # an Interval


@given(st.lists(st.tuples(MEANS, MEANS), min_size=1, max_size=6), ALPHA)
@settings(max_examples=150)
def test_many_means__any_totals__say_what_compare_means_says(
    pairs: list[tuple[Totals, Totals]], alpha: float
) -> None:
    many = many_means(ManyTotals.of(c for c, _ in pairs), ManyTotals.of(t for _, t in pairs), alpha)
    for k, (control, treatment) in enumerate(pairs):
        single = compare_means(control, treatment, alpha)
        for name in ("difference", "se", "df", "z", "p", "lift"):
            _same(getattr(many, name)[k], getattr(single, name))
        for name, interval in (("ci", single.ci), ("lift", single.lift_ci)):
            for end, value in zip(("low", "high"), _ends(interval), strict=True):
                _same(getattr(many, f"{name}_{end}")[k], value)
        _same_reasons(int(many.reason[k]), int(many.lift_reason[k]), single)


def _same_reasons(code: int, lift_code: int, single: Comparison) -> None:
    assert (code == NoNumber.SAID) == (single.reason is None)
    assert (
        single.reason is not None
        or NoNumber(lift_code).text is None
        or single.lift_reason is not None
    )
    assert (lift_code == NoNumber.SAID) == (single.reason is None and single.lift_reason is None)


@given(st.lists(st.tuples(RATES, RATES), min_size=1, max_size=6), ALPHA)
@settings(max_examples=60, deadline=None)
def test_many_rates__any_totals__say_what_compare_proportions_says(
    pairs: list[tuple[Totals, Totals]], alpha: float
) -> None:
    many = many_rates(ManyTotals.of(c for c, _ in pairs), ManyTotals.of(t for _, t in pairs), alpha)
    for k, (control, treatment) in enumerate(pairs):
        single = compare_proportions(control, treatment, alpha)
        for name in ("difference", "se", "z", "lift"):
            _same(getattr(many, name)[k], getattr(single, name))
        _same(many.p[k], single.score_p)
        for end, value in zip(("low", "high"), _ends(single.ci), strict=True):
            assert (
                math.isnan(getattr(many, f"ci_{end}")[k])
                if value is None
                else getattr(many, f"ci_{end}")[k] == pytest.approx(value, abs=1e-14)
            )
        assert bool(many.exact[k]) == ("exact" in single.method)
        assert (many.reason[k] == NoNumber.SAID) == (single.reason is None)


def test_many_means__control_of_each_metric_against_several_arms__broadcast() -> None:
    control = ManyTotals(
        np.full((3, 1), 100.0), np.array([[500.0], [600.0], [700.0]]), np.full((3, 1), 6000.0)
    )
    arms = ManyTotals(np.full((3, 2), 120.0), np.full((3, 2), 700.0), np.full((3, 2), 5000.0))
    many = many_means(control, arms)
    assert many.p.shape == many.reason.shape == (3, 2)
    single = compare_means(Totals(100, 600.0, 6000.0), Totals(120, 700.0, 5000.0))
    assert many.p[1, 1] == pytest.approx(single.p, rel=1e-12)


def test_many_means__each_silence__has_its_own_reason() -> None:
    small, flat, wild = Totals(9, 9.0, 30.0), Totals(50, 100.0, 200.0), Totals(50, 1.0, 400.0)
    good, negative = Totals(50, 100.0, 260.0), Totals(50, -100.0, 260.0)
    pairs = [
        (small, good),
        (good, small),
        (flat, flat),
        (negative, good),
        (wild, good),
        (good, good),
    ]
    many = many_means(ManyTotals.of(c for c, _ in pairs), ManyTotals.of(t for _, t in pairs))
    silent = [
        NoNumber.CONTROL_TOO_SMALL,
        NoNumber.TREATMENT_TOO_SMALL,
        NoNumber.NO_SPREAD,
        NoNumber.SAID,
        NoNumber.SAID,
        NoNumber.SAID,
    ]
    assert many.reason.tolist() == silent
    assert many.lift_reason.tolist() == [
        *silent[:3],
        NoNumber.CONTROL_NOT_ABOVE_0,
        NoNumber.LIFT_UNBOUNDED,
        NoNumber.SAID,
    ]
    assert np.isnan(many.p[:3]).all() and not np.isnan(many.p[3:]).any()


def test_many_rates__empty_arms_and_answers_all_alike__are_not_tested() -> None:
    pairs = [
        (NOTHING, Totals.of_rate(1, 5)),
        (Totals.of_rate(1, 5), NOTHING),
        (Totals.of_rate(0, 300), Totals.of_rate(0, 400)),
    ]
    many = many_rates(ManyTotals.of(c for c, _ in pairs), ManyTotals.of(t for _, t in pairs))
    assert many.reason.tolist() == [
        NoNumber.CONTROL_EMPTY,
        NoNumber.TREATMENT_EMPTY,
        NoNumber.ALL_ALIKE,
    ]
    assert np.isnan(many.p).all() and not many.exact.any()
    assert many.ci_high[2] > 0


def test_many_rates__a_trillion_units__keep_their_digits() -> None:
    many = many_rates(
        ManyTotals.of_rates([10**6], [10**12]), ManyTotals.of_rates([10**6 + 5000], [10**12])
    )
    assert many.z[0] == pytest.approx(pooled_z(10**6, 10**12, 10**6 + 5000, 10**12), rel=1e-12)


def test_many_means__a_difference_beyond_the_tails_of_floats__still_has_a_z() -> None:
    control, treatment = Totals(10**6, 0.0, 1.0), Totals(10**6, 10.0**6, 10.0**6 + 1)
    many = many_means(ManyTotals.of([control]), ManyTotals.of([treatment]))
    assert many.z[0] == compare_means(control, treatment).z > 38


@pytest.mark.parametrize(
    ("n", "y", "y2"),
    [(-1, 0, 0), (2.5, 1, 1), (10, math.nan, 1), (10, 10, 5), (0, 1, 1), (10, 1, math.inf)],
)
def test_many_totals__impossible_somewhere__are_refused_with_the_place(
    n: float, y: float, y2: float
) -> None:
    with pytest.raises(ImpossibleTotals, match=r"totals at \(1,\)"):
        ManyTotals(
            np.array([10, n], dtype=float),
            np.array([1, y], dtype=float),
            np.array([4, y2], dtype=float),
        )


def test_many_rates__values_beside_0_and_1__are_refused() -> None:
    with pytest.raises(ImpossibleTotals, match="0 or 1"):
        many_rates(ManyTotals.of([Totals(10, 5.0, 6.0)]), ManyTotals.of_rates([1], [10]))


def test_many_means__impossible_alpha__is_refused() -> None:
    with pytest.raises(ImpossiblePlan, match="alpha"):
        many_means(ManyTotals.of([]), ManyTotals.of([]), 1.0)


def test_many_means__of_nothing__are_no_answers() -> None:
    assert many_means(ManyTotals.of([]), ManyTotals.of([])).p.shape == (0,)
