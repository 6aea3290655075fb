"""Score tests against margins: the restricted rates really are the likeliest on the edge of the
null.
"""

from __future__ import annotations

import math

import pytest
from scipy.optimize import minimize_scalar

from analytics.core.stats.arms.score import difference_score, ratio_interval, ratio_score


def _likeliest(
    x_c: int, n_c: int, x_t: int, n_t: int, treatment_rate: str, value: float
) -> tuple[float, float]:
    """(p_C, p_T) of maximum likelihood on the edge, by search."""

    def rate_t(p: float) -> float:
        return p + value if treatment_rate == "shifted" else p * value

    def unlikely(p: float) -> float:
        t = rate_t(p)
        return -(
            x_t * math.log(t)
            + (n_t - x_t) * math.log(1 - t)
            + x_c * math.log(p)
            + (n_c - x_c) * math.log(1 - p)
        )

    low = max(0.0, -value) if treatment_rate == "shifted" else 0.0
    high = min(1.0, 1 - value) if treatment_rate == "shifted" else min(1.0, 1 / value)
    p = float(
        minimize_scalar(
            unlikely, bounds=(low + 1e-12, high - 1e-12), method="bounded", options={"xatol": 1e-13}
        ).x
    )
    return p, rate_t(p)


@pytest.mark.parametrize(
    "counts", [(200, 10_000, 480, 10_000), (200, 10_000, 250, 10_000), (30, 100, 50, 200)]
)
@pytest.mark.parametrize("margin", [0.02, -0.015, 0.1])
def test_difference_score__any_margin__uses_the_likeliest_rates(
    counts: tuple[int, int, int, int], margin: float
) -> None:
    # statsmodels 0.15 writes count0 where Miettinen and Nurminen's cubic has the size of group 0,
    # so its restricted rate is not the likeliest one; a search over the likelihood is the judge
    # here.
    _, n_c, _, n_t = counts
    p_c, p_t = _likeliest(*counts, "shifted", margin)
    n = n_c + n_t
    se = math.sqrt((p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c) * n / (n - 1))
    assert difference_score(*counts, margin).se == pytest.approx(se, rel=1e-6)


@pytest.mark.parametrize("factor", [1.1, 0.8, 3.0])
def test_ratio_score__any_factor__uses_the_likeliest_rates(factor: float) -> None:
    counts = (30, 100, 50, 200)
    p_c, p_t = _likeliest(*counts, "scaled", factor)
    se = math.sqrt((p_t * (1 - p_t) / 200 + factor**2 * p_c * (1 - p_c) / 100) * 300 / 299)
    assert ratio_score(*counts, factor).se == pytest.approx(se, rel=1e-6)


def test_ratio_interval__its_ends__are_the_factors_just_not_rejected() -> None:
    counts = (30, 1_000, 45, 1_200)
    found = ratio_interval(*counts, 0.05)
    assert found is not None
    for end, z in ((found.low, 1.959963984540054), (found.high, -1.959963984540054)):
        assert ratio_score(*counts, end, correction=False).z == pytest.approx(z, abs=1e-8)


def test_ratio_interval__no_events_in_treatment__starts_at_zero_and_ends() -> None:
    found = ratio_interval(20, 100, 0, 100)
    assert found is not None
    assert found.low == 0.0
    assert 0 < found.high < 1


def test_ratio_interval__no_events_in_control__cannot_say() -> None:
    assert ratio_interval(0, 100, 5, 100) is None
