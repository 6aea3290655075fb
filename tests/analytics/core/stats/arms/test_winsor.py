"""Caps: agreement with numpy on rows, one cap for all arms, refusals, and what is stored."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.winsor import Cap, NoCap, capped, capped_totals, find_cap, percentile

HISTOGRAM = st.lists(st.tuples(st.floats(-1e4, 1e4), st.integers(1, 30)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(HISTOGRAM, st.floats(0.0, 1.0))
def test_percentile__of_a_histogram__is_numpys_of_the_rows(
    histogram: list[tuple[float, int]], q: float
) -> None:
    values, counts = zip(*histogram, strict=True)
    rows = np.repeat(values, counts)
    assert percentile(values, q, counts) == pytest.approx(
        float(np.quantile(rows, q)), rel=1e-9, abs=1e-9
    )


def test_find_cap__of_one_to_a_thousand_and_many_zeros__forgets_the_zeros() -> None:
    # The 99.9 % quantile of 1..1000 lies .001 of a step above 999·.999 + 1 = 999.001.
    found = find_cap([0.0] * 5_000 + list(range(1, 1_001)))
    assert found == Cap(pytest.approx(999.001), 0.999, 1_000)  # type: ignore[arg-type]  # an approximate float


def test_find_cap__from_values_or_histogram_in_any_order__is_the_same() -> None:
    rows = np.random.default_rng(3).geometric(0.02, 20_000)
    values, counts = np.unique(rows, return_counts=True)
    assert find_cap(rows) == find_cap(values[::-1], counts[::-1]) == find_cap(rows[::-1])


def test_find_cap__one_more_unit_below_a_thousand__is_refused_with_the_number() -> None:
    found = find_cap([5.0] * 999 + [0.0] * 10)
    assert isinstance(found, NoCap) and found.reason.startswith("999 units")
    assert find_cap([5.0] * 1_000) == Cap(5.0, 0.999, 1_000)


@pytest.mark.parametrize(
    ("kind", "cost"),
    [
        ("proportion", False),
        ("quantile", False),
        ("duration", False),
        ("mean", True),
        ("count", True),
    ],
)
def test_find_cap__of_what_may_not_be_cut__is_refused(kind: str, cost: bool) -> None:
    found = find_cap(np.arange(1, 10_000), kind=kind, is_cost=cost)
    assert isinstance(found, NoCap) and found.reason


def test_cap__stored_and_read_again__is_the_same_and_cannot_be_changed() -> None:
    cap = find_cap(np.arange(1, 5_001))
    assert isinstance(cap, Cap)
    assert Cap(**json.loads(json.dumps(asdict(cap)))) == cap
    with pytest.raises(FrozenInstanceError):
        cap.value = 1.0  # type: ignore[misc]  # what the test is about


def test_capped_totals__second_pass__are_totals_of_the_capped_rows() -> None:
    values, counts, cap = [0.0, 3.0, 50.0, 900.0], [4, 3, 2, 1], Cap(60.0, 0.999, 1_000)
    rows = np.repeat(values, counts).tolist()
    assert (
        capped_totals(values, cap, counts)
        == Totals.of_values(capped(rows, cap))
        == Totals(10, 169.0, 27 + 5_000 + 3_600)
    )
    assert capped_totals(values, NoCap("few"), counts) == Totals.of_values(rows)


def test_capping__one_extreme_player__takes_the_noise_and_leaves_the_rest() -> None:
    rng = np.random.default_rng(7)
    rows = np.append(rng.geometric(0.02, 30_000), 49_854)
    cap = find_cap(rows)
    whole, cut = Totals.of_values(rows), capped_totals(rows, cap)
    assert cut.variance is not None and whole.variance is not None
    assert cut.variance < whole.variance / 10
    assert cut.mean == pytest.approx(whole.mean, rel=0.05)


def test_percentile__of_trillions_of_units__counts_them() -> None:
    assert percentile([1.0, 2.0], 0.5, [10**12, 10**12 - 2]) == 1.0
    assert percentile([1.0, 2.0], 0.51, [10**12, 10**12]) == 2.0


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([1.0, np.nan], None),
        ([np.inf], None),
        ([1.0], [-1]),
        ([1.0], [0.5]),
        ([1.0, 2.0], [1]),
        ([1.0], [np.nan]),
    ],
)
def test_cap__of_rows_that_cannot_be__is_refused(
    values: list[float], counts: list[float] | None
) -> None:
    with pytest.raises(ImpossibleTotals):
        find_cap(values, counts)


def test_percentile__of_nothing_or_beyond_one__is_refused() -> None:
    with pytest.raises(ImpossibleTotals):
        percentile([], 0.5)
    with pytest.raises(ImpossiblePlan):
        percentile([1.0], 1.5)
