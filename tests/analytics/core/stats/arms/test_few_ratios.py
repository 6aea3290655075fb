"""Ratios of few units have the jackknife's spread, computed here from the rows."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.core.calibration.simulate import Requests
from analytics.core.ground.moments import UnitMoments
from analytics.core.stats.arms.ratio import linearised, of_few, ratio_t


def jackknife(y: np.ndarray, d: np.ndarray) -> float:
    """The variance of Σy/Σd, from leaving out each unit once."""
    rest = (y.sum() - y) / (d.sum() - d)
    return float((len(y) - 1) / len(y) * np.square(rest - rest.mean()).sum())


def variances(n: int, sims: int = 600) -> np.ndarray:
    """Mean variance of the ratio: (ours, the plain delta method, the jackknife)."""
    rng, found = np.random.default_rng(2), np.zeros(3)
    for _ in range(sims):
        y, d = Requests().drawn(rng, (n,), 0.2)
        arm = UnitMoments.of_rows(y=y, d=d)
        ours, plain = of_few(arm), linearised(arm)
        assert ours is not None and plain is not None
        found += [(ours.variance or 0.0) / n, (plain.variance or 0.0) / n, jackknife(y, d)]
    return found / sims


@pytest.mark.parametrize(("n", "within"), [(20, 0.05), (60, 0.03), (199, 0.02)])
def test_ratio__of_few_units__has_the_variance_of_the_jackknife(n: int, within: float) -> None:
    ours, _, rows = variances(n)
    assert ours == pytest.approx(rows, rel=within)


def test_ratio__of_200_units__has_the_delta_methods_variance() -> None:
    y, d = Requests().drawn(np.random.default_rng(3), (200,), 0.2)
    arm = UnitMoments.of_rows(y=y, d=d)
    assert of_few(arm) == linearised(arm)
    found = ratio_t(arm, arm)
    line = linearised(arm)
    assert found is not None and line is not None and line.variance is not None
    assert found.se == pytest.approx((2 * line.variance / 200) ** 0.5)
