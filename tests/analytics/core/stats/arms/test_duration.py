"""Times until something happens: the unresolved are never dropped, and what lies beyond the window
is not made up.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.stats.arms.duration import (
    METHOD,
    DurationTotals,
    compare_durations,
    compare_shares,
    compare_times,
)
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.arms.quantile import compare_quantiles, of_rows

WINDOW = 72.0


def hours(seed: int, mean: float, units: int = 2000) -> np.ndarray:
    """Hours to resolve; beyond the window nobody knows how long it took."""
    times = np.random.default_rng(seed).exponential(mean, units)
    return np.where(times <= WINDOW, times, math.inf)


def alone(times: np.ndarray) -> DurationTotals:
    return DurationTotals(of_rows(times, None, 0.5))


def bucketed(times: np.ndarray, buckets: np.ndarray) -> DurationTotals:
    y, x = np.bincount(buckets, weights=np.isfinite(times)), np.bincount(buckets)
    return DurationTotals(of_rows(times, buckets, 0.5), Totals.of_values(y, x))


def test_durations__median_inside_the_window_in_both_arms__is_compared() -> None:
    found = compare_durations(alone(hours(1, 60.0)), alone(hours(2, 45.0)))
    assert found.times.method == METHOD and found.times.reason is None
    assert found.times.ci is not None and found.times.ci.holds((45 - 60) * math.log(2))
    assert found.times.control_mean == np.quantile(hours(1, 60.0), 0.5, method="inverted_cdf")
    assert found.times.p is not None and found.times.p < 0.001


def test_durations__five_units_of_whom_two_never__have_the_median_among_all_five() -> None:
    assert of_rows([1.0, 2.0, 9.0, math.inf, math.inf], None, 0.5).value == 9.0


@pytest.mark.parametrize(("slow", "name"), [(0, "control"), (1, "treatment")])
def test_durations__median_beyond_the_window_in_one_arm__says_so_and_gives_the_share(
    slow: int, name: str
) -> None:
    arms = [alone(hours(1, 60.0)), alone(hours(2, 60.0))]
    arms[slow] = alone(hours(3, 400.0))
    resolved = arms[slow].times.n - arms[slow].times.beyond
    found = compare_durations(*arms)
    assert (
        found.times.reason
        == f"{name}: only {resolved} of 2000 within the window, so the median lies beyond it"
    )
    assert found.times.p is None and found.times.difference is None
    assert found.resolved.p is not None and found.resolved.p < 1e-9


def test_durations__median_barely_inside__has_no_error_to_show() -> None:
    times = np.array([*range(1000), *[math.inf] * 995], dtype=float)
    found = compare_durations(alone(times), alone(hours(1, 45.0)))
    assert found.times.reason is not None and "too near the edge" in found.times.reason


def test_resolved__units_on_their_own__is_the_proportion() -> None:
    control, treatment = hours(1, 60.0), hours(2, 45.0)
    found = compare_durations(alone(control), alone(treatment)).resolved
    counts = [
        Totals.of_rate(int(np.isfinite(times).sum()), len(times)) for times in (control, treatment)
    ]
    assert found == compare_proportions(*counts)


def test_resolved__units_in_buckets__has_the_error_between_buckets() -> None:
    buckets = np.arange(2000) % 100
    alike = np.where(
        buckets % 2 == 0, 10.0 + buckets, math.inf
    )  # every other bucket resolves all or nothing
    mixed = bucketed(hours(2, 45.0), buckets)
    found = compare_durations(bucketed(alike, buckets), mixed).resolved
    alone_ = compare_proportions(
        Totals.of_rate(1000, 2000), Totals.of_rate(mixed.times.n - mixed.times.beyond, 2000)
    )
    assert found.method == "share, clustered by bucket" and found.control_n == 2000
    assert found.se is not None and alone_.se is not None and found.se > 3 * alone_.se
    assert found.difference == pytest.approx(alone_.difference)


def test_resolved__clusters_of_one__agree_with_independent_units() -> None:
    control, treatment = hours(1, 60.0), hours(2, 45.0)
    clustered = compare_durations(
        bucketed(control, np.arange(2000)), bucketed(treatment, np.arange(2000))
    ).resolved
    single = compare_durations(alone(control), alone(treatment)).resolved
    assert clustered.se == pytest.approx(single.se, rel=1e-3)
    assert clustered.df == pytest.approx(3998, rel=0.05)


def test_shares__arms_swapped__turn_round() -> None:
    one, two = (
        Totals.of_values([3, 4, 1, 2] * 5, [5, 5, 4, 4] * 5),
        Totals.of_values([2, 1, 1, 2] * 5, [5, 6, 4, 4] * 5),
    )
    found, swapped = compare_shares(one, two), compare_shares(two, one)
    assert found.difference is not None
    assert (swapped.difference, swapped.p, swapped.se) == pytest.approx(
        (-found.difference, found.p, found.se)
    )


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        (Totals.of_values([1] * 9, [2] * 9), "units in 9 buckets"),
        (NOTHING, "units in 0 buckets"),
    ],
)
def test_shares__too_few_buckets__cannot_say(control: Totals, reason: str) -> None:
    found = compare_shares(control, Totals.of_values([1, 2] * 20, [2, 3] * 20))
    assert found.reason is not None and reason in found.reason and found.p is None


def test_shares__all_resolved_everywhere__have_no_spread() -> None:
    every = Totals.of_values([2] * 20, [2] * 20)
    assert (
        compare_shares(every, every).reason
        == "no spread between buckets in either arm: a standard error cannot be estimated"
    )


def test_times__nobody_at_all__cannot_say() -> None:
    nobody = of_rows([], None, 0.5)
    assert compare_times(nobody, nobody).reason == compare_quantiles(nobody, nobody).reason


def test_durations__resolved_of_other_units__are_refused() -> None:
    times = of_rows([1.0] * 30 + [math.inf] * 10, None, 0.5)
    with pytest.raises(ImpossibleTotals, match="the same units"):
        DurationTotals(times, Totals.of_values([1] * 31 + [0] * 9, [1] * 40))
    with pytest.raises(ImpossibleTotals, match="in both arms or in neither"):
        compare_durations(
            DurationTotals(times),
            DurationTotals(times, Totals.of_values([1] * 30 + [0] * 10, [1] * 40)),
        )


def test_durations__identical_arms__differ_by_chance_as_often_as_they_may() -> None:
    crossed = 0
    for k in range(500):
        p = compare_durations(
            alone(hours(2 * k, 60.0, 400)), alone(hours(2 * k + 1, 60.0, 400))
        ).times.p
        assert p is not None
        crossed += p < 0.05
    assert 0.025 <= crossed / 500 <= 0.08
