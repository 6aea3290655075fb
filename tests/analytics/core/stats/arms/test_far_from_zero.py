"""Totals of values far from 0: whatever is done with them, the spread of the rows stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analytics.core.ground.moments import UnitMoments, raised
from analytics.core.ground.observed import Observed
from analytics.core.ground.totals import Totals
from analytics.core.scans.replay import halves
from analytics.core.stats.arms.batch import ManyTotals, many_means
from analytics.core.stats.arms.cuped import Covaried, compare_adjusted
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.arms.ratio import compare_ratios
from analytics.core.stats.exploring.poststratification import Stratum, post_stratify
from analytics.core.stats.power.spread import correlation

RNG = np.random.default_rng(3)
LEVELS = pytest.mark.parametrize("level", [0.0, 1.77e9, -1.77e9, 1e-12, 4e14])
"""Beside a spread of about 1, but for 10⁻¹² and 4·10¹⁴ (see ``rows``)."""


def rows(level: float, many: int = 60, effect: float = 0.0) -> np.ndarray:
    scale = {1e-12: 1e-19, 4e14: 8e3}.get(level, 1.0)
    return level + scale * (effect + RNG.standard_normal(many))


def welch_p(control: np.ndarray, treatment: np.ndarray) -> float:
    return float(stats.ttest_ind(treatment, control, equal_var=False).pvalue)


@LEVELS
def test_totals__added_and_taken_out_again__have_the_variance_of_the_rows(level: float) -> None:
    one, other = rows(level), rows(level, 35, 0.7)
    both = Totals.of_values(one) + Totals.of_values(other)
    assert both.variance == pytest.approx(np.concatenate([one, other]).var(ddof=1), rel=1e-6)
    assert (both - Totals.of_values(other)).variance == pytest.approx(one.var(ddof=1), rel=1e-4)
    assert both.negated.variance == both.variance == both.alone.variance


@LEVELS
def test_means__by_arm_in_bulk_by_strata_and_as_a_ratio__have_welchs_p(level: float) -> None:
    control, treatment = rows(level), rows(level, 50, 0.5)
    c, t = Totals.of_values(control), Totals.of_values(treatment)
    expected = pytest.approx(welch_p(control, treatment), rel=1e-4)
    assert compare_means(c, t).p == expected
    assert float(many_means(ManyTotals.of([c]), ManyTotals.of([t])).p[0]) == expected
    assert post_stratify([Stratum("all", c, t)]).comparison.p == expected
    ones = [np.ones(len(values)) for values in (control, treatment)]
    halved = [
        UnitMoments.of_rows(y=y, d=d) for y, d in zip((control, treatment), ones, strict=True)
    ]
    assert compare_ratios(*halved).p == expected


@LEVELS
def test_covariate__moved_by_a_constant__changes_nothing(level: float) -> None:
    y, x = RNG.standard_normal((2, 80)), RNG.standard_normal((2, 80))
    y += x

    def compared(shift: float) -> float:
        arms = [Covaried(Totals.of_values(y[a] + shift, x[a] + shift)) for a in (0, 1)]
        return compare_adjusted(*arms).se or 0.0

    shift = level if level < 1e12 else 1e10
    assert compared(shift) == pytest.approx(compared(0.0), rel=1e-4)
    whole = Totals.of_values(y[0] + shift, x[0] + shift)
    assert correlation(whole) == pytest.approx(np.corrcoef(y[0], x[0])[0, 1], rel=1e-5)
    assert raised(whole, 5.0, 7.0).variance == whole.variance


@LEVELS
def test_halves__of_cells_far_from_zero__keep_the_spread(level: float) -> None:
    values = [rows(level, 8) for _ in range(30)]
    cells: list[Observed] = [Totals.of_values(v) for v in values]
    one, other = next(halves(cells, 1, np.random.default_rng(1)))
    assert isinstance(one, Totals) and isinstance(other, Totals)
    assert (one + other).variance == pytest.approx(np.concatenate(values).var(ddof=1), rel=1e-5)


def test_values__that_differ_by_rounding_alone__have_no_spread() -> None:
    thirds = [sum([9.99] * k) / k for k in range(1, 40)]
    assert np.var(thirds) > 0 and Totals.of_values(thirds).variance == 0.0
