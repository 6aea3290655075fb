"""Interactions: least squares with HC2 on rows as the judge, the size over a night of pairs, and
tables that cannot say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.exploring.interactions import Pair, interaction, interactions


def _pair(
    y: NDArray[np.float64], a: NDArray[np.int64], b: NDArray[np.int64], name: str = "B"
) -> Pair:
    cells = {
        (f"a{i}", f"b{j}"): Totals.of_values(y[(a == i) & (b == j)])
        for i in range(a.max() + 1)
        for j in range(b.max() + 1)
    }
    return Pair("A", name, ("a0", "b0"), cells)


def _rows(
    seed: int, n: int, arms: Sequence[int], extra: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, k, n) for k in arms)
    y = (
        2.0
        + 0.5 * a
        - 0.3 * b
        + extra * (a == 1) * (b == 1)
        + rng.normal(size=n) * (1 + 0.5 * a + 0.2 * b)
    )
    return y, a, b


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(120, 600))
def test_interaction__two_by_two__is_least_squares_with_hc2(seed: int, n: int) -> None:
    y, a, b = _rows(seed, n, (2, 2), 0.4)
    found = interaction(_pair(y, a, b))
    theirs = sm.OLS(y, np.column_stack([np.ones(n), a, b, a * b])).fit(cov_type="HC2")
    (contrast,) = found.contrasts
    assert (contrast.difference, contrast.se) == pytest.approx(
        (theirs.params[3], theirs.bse[3]), rel=1e-8, abs=1e-10
    )
    assert found.p == contrast.p
    assert contrast.p > theirs.pvalues[3] - 1e-12  # theirs takes t for z


def test_interaction__three_by_two_and_three_by_three__have_the_joint_wald_statistic_of_least_squares() -> (
    None
):
    for arms in ((3, 2), (3, 3)):
        y, a, b = _rows(4, 4_000, arms, 0.3)
        columns = (
            [np.ones(len(y))]
            + [(a == i) * 1.0 for i in range(1, arms[0])]
            + [(b == j) * 1.0 for j in range(1, arms[1])]
        )
        crossed = [
            ((a == i) & (b == j)) * 1.0 for i in range(1, arms[0]) for j in range(1, arms[1])
        ]
        theirs = sm.OLS(y, np.column_stack(columns + crossed)).fit(cov_type="HC2")
        restriction = np.eye(len(columns) + len(crossed))[len(columns) :]
        found = interaction(_pair(y, a, b))
        assert [c.difference for c in found.contrasts] == pytest.approx(
            theirs.params[len(columns) :]
        )
        assert [c.se for c in found.contrasts] == pytest.approx(theirs.bse[len(columns) :])
        assert found.p == pytest.approx(
            float(theirs.wald_test(restriction, scalar=True, use_f=False).pvalue), rel=0.1
        )


def test_interaction__four_cells_by_hand__is_the_difference_of_differences() -> None:
    # Means 1, 2, 4, 9 with s² = 12/11 in cells of 12: (9 − 4) − (2 − 1) = 4, variance 4·(12/11)/12.
    cells = {
        cell: Totals.of_values([mean - 1, mean + 1] * 6)
        for cell, mean in (
            (("a0", "b0"), 1.0),
            (("a0", "b1"), 2.0),
            (("a1", "b0"), 4.0),
            (("a1", "b1"), 9.0),
        )
    }
    (found,) = interaction(Pair("A", "B", ("a0", "b0"), cells)).contrasts
    assert (found.difference, found.se, found.df) == pytest.approx((4.0, (4 / 11) ** 0.5, 44.0))


def test_interaction__experiments_swapped__is_the_same() -> None:
    y, a, b = _rows(9, 900, (3, 2), 0.5)
    here, there = interaction(_pair(y, a, b)), interaction(_pair(y, b, a))
    assert here.p == pytest.approx(there.p)
    assert [c.difference for c in here.contrasts] == pytest.approx(
        [c.difference for c in there.contrasts]
    )


def test_night_of_pairs__one_true_interaction__is_the_one_alert() -> None:
    rng = np.random.default_rng(2)
    pairs = [
        _pair(*_rows(int(seed), 2_000, (2, 2)), name=f"E{k}")
        for k, seed in enumerate(rng.integers(0, 10**6, 20))
    ]
    pairs[7] = _pair(*_rows(1, 2_000, (2, 2), 0.8), name="E7")
    found = interactions(pairs)
    assert [i.second for i in found if i.alert] == ["E7"]
    assert all(
        i.adjusted_p is not None and i.p is not None and i.adjusted_p > i.p - 1e-12 for i in found
    )


def test_night_of_pairs__main_effects_only__rejects_as_often_as_it_may() -> None:
    # Cells simulated from their exact laws; both experiments have effects and unequal spreads, but
    # do not interact.
    rng, n = np.random.default_rng(17), np.array([[40, 60], [50, 30]])
    means, sds = np.array([[1.0, 1.5], [2.0, 2.5]]), np.array([[1.0, 2.0], [1.5, 3.0]])
    hits = 0
    for _ in range(3_000):
        mean = means + rng.normal(size=(2, 2)) * sds / np.sqrt(n)
        variance = sds**2 * rng.chisquare(n - 1) / (n - 1)
        cells = {
            (f"a{i}", f"b{j}"): Totals(
                int(n[i, j]),
                n[i, j] * mean[i, j],
                (n[i, j] - 1) * variance[i, j] + n[i, j] * mean[i, j] ** 2,
            )
            for i in (0, 1)
            for j in (0, 1)
        }
        p = interaction(Pair("A", "B", ("a0", "b0"), cells)).p
        hits += p is not None and p <= 0.05
    assert 0.0375 < hits / 3_000 < 0.0637


EMPTY, FLAT = Totals(0, 0.0, 0.0), Totals(50, 50.0, 50.0)


def test_interaction__thin_cells_flat_cells_or_no_test_arm__cannot_say() -> None:
    full = Totals.of_values(range(30))
    for cells in (
        {("a0", "b0"): full, ("a0", "b1"): full, ("a1", "b0"): full, ("a1", "b1"): EMPTY},
        dict.fromkeys([("a0", "b0"), ("a0", "b1"), ("a1", "b0"), ("a1", "b1")], FLAT),
        {("a0", "b0"): full, ("a0", "b1"): full},
    ):
        found = interaction(Pair("A", "B", ("a0", "b0"), cells))
        assert found.p is None and found.contrasts == () and found.reason is not None


def test_interactions__a_pair_that_cannot_say__still_counts_among_those_asked() -> None:
    y, a, b = _rows(3, 500, (2, 2), 0.6)
    silent = Pair("A", "C", ("a0", "b0"), dict.fromkeys(_pair(y, a, b).cells, EMPTY))
    sure, nothing = interactions([_pair(y, a, b), silent])
    assert sure.adjusted_p == pytest.approx(2 * (sure.p or 0))
    assert nothing.adjusted_p is None and not nothing.alert


def test_interaction__trillions_of_units__stays_a_number() -> None:
    n = 10**12
    cells = {
        (f"a{i}", f"b{j}"): Totals.of_rate(n // 10 + 10**6 * i * j, n)
        for i in (0, 1)
        for j in (0, 1)
    }
    (found,) = interaction(Pair("A", "B", ("a0", "b0"), cells)).contrasts
    assert found.difference == pytest.approx(1e-6, rel=1e-3)


def test_interaction__a_missing_cell__is_refused_by_name() -> None:
    with pytest.raises(ImpossibleTotals, match=r"A × B.*a1.*b1"):
        interaction(
            Pair(
                "A",
                "B",
                ("a0", "b0"),
                dict.fromkeys([("a0", "b0"), ("a0", "b1"), ("a1", "b0")], FLAT),
            )
        )
