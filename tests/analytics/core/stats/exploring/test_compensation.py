"""Cost that a gain pays for, and cost that nothing pays for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.moments import UnitMoments
from analytics.core.stats.exploring.compensation import compensation


def arm(
    seed: int, rate: float, cost: float, n: int = 4000
) -> tuple[UnitMoments, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y, c = (rng.random(n) < rate).astype(float), rng.gamma(2.0, cost / 2, n)
    return UnitMoments.of_rows(y=y, c=c), y, c


def test_compensation__gain_worth_more_than_the_cost__is_compensated_by_welch_on_unit_worth() -> (
    None
):
    (control, y_c, c_c), (treatment, y_t, c_t) = arm(1, 0.10, 1.0), arm(2, 0.14, 1.5)
    found = compensation(control, treatment, value=50.0)
    test = ttest_ind(50 * y_t - c_t, 50 * y_c - c_c, equal_var=False)
    assert found.difference == pytest.approx(
        float((50 * y_t - c_t).mean() - (50 * y_c - c_c).mean())
    )
    assert found.lower == pytest.approx(test.confidence_interval(0.9).low)
    assert found.compensated is True


def test_compensation__same_gain_worth_little__is_not() -> None:
    control, treatment = arm(1, 0.10, 1.0)[0], arm(2, 0.14, 1.5)[0]
    assert compensation(control, treatment, value=1.0).compensated is False


def test_compensation__no_value_declared__never_compensates_and_says_why() -> None:
    control = arm(1, 0.10, 1.0)[0]
    found = compensation(control, control, None)
    assert (found.compensated, found.difference) == (False, None)
    assert "declares no money" in (found.reason or "")


def test_compensation__few_units_or_no_spread__cannot_say() -> None:
    few = UnitMoments.of_rows(y=[1.0] * 5, c=[1.0] * 5)
    same = UnitMoments.of_rows(y=[1.0] * 50, c=[1.0] * 50)
    assert compensation(few, same, 1.0).compensated is None
    assert "no spread" in (compensation(same, same, 1.0).reason or "")
    with pytest.raises(ImpossiblePlan, match="finite"):
        compensation(same, same, math.nan)
