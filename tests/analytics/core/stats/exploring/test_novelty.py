"""Novelty: contrasts by hand, error rates when days of a unit resemble each other, and who is
followed.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.mean import welch_t
from analytics.core.stats.exploring.novelty import contrasts, draw, find_novelty, is_followed

SIMS, UNITS, DAYS = 2_000, 60, 14


def _autocorrelated(
    rng: np.random.Generator, shape: tuple[int, ...], rho: float = 0.7
) -> NDArray[np.float64]:
    """AR(1) over the last axis, with a level per unit."""
    y = rng.normal(size=shape)
    for day in range(1, shape[-1]):
        y[..., day] = rho * y[..., day - 1] + np.sqrt(1 - rho**2) * y[..., day]
    return y + rng.normal(size=(*shape[:-1], 1))


def _size(effect_by_day: NDArray[np.float64]) -> float:
    """How often a change of the effect over time is claimed."""
    rng, found = np.random.default_rng(90_189), 0
    for _ in range(SIMS):
        control, treatment = _autocorrelated(rng, (2, UNITS, DAYS))
        found += (
            find_novelty(contrasts(control), contrasts(treatment + effect_by_day)).says is not None
        )
    return found / SIMS


def test_novelty__days_that_resemble_each_other_and_a_lasting_effect__is_claimed_one_time_in_twenty() -> (
    None
):
    assert 0.0345 < _size(np.full(DAYS, 0.8)) < 0.0665


def test_unit_days_taken_for_independent__would_claim_novelty_far_too_often() -> None:
    rng, found = np.random.default_rng(90_189), 0
    for _ in range(300):
        control, treatment = _autocorrelated(rng, (2, UNITS, DAYS))
        halves = [
            Totals.of_values(arm[:, days].ravel())
            for arm in (control, treatment)
            for days in (slice(0, 7), slice(7, 14))
        ]
        first, later = welch_t(halves[0], halves[2]), welch_t(halves[1], halves[3])
        assert first is not None and later is not None
        z = (first.difference - later.difference) / np.hypot(first.se, later.se)
        found += abs(z) > 1.96
    assert found / 300 > 0.1


def test_novelty__an_effect_gone_after_a_week__is_seen_and_named() -> None:
    assert _size(np.where(np.arange(DAYS) < 7, 0.8, 0.0)) > 0.9
    rng = np.random.default_rng(1)
    control, treatment = _autocorrelated(rng, (2, 500, DAYS))
    fading, growing = (
        np.where(np.arange(DAYS) < 7, 1.0, 0.0),
        np.where(np.arange(DAYS) < 7, 0.0, 1.0),
    )
    assert find_novelty(contrasts(control), contrasts(treatment + fading)).says == "wears off"
    assert find_novelty(contrasts(control), contrasts(treatment + growing)).says == "grows"


def test_contrasts__by_hand__leave_out_whoever_was_not_followed() -> None:
    rows = [[4.0, 2.0, 1.0, 1.0], [0.0, 2.0, 1.0, 3.0], [9.0, 9.0, 0.0, np.nan]]
    assert contrasts(rows, first_days=2) == Totals.of_values([2.0, -1.0])


@pytest.mark.parametrize(("days", "followed"), [(13, False), (14, True), (30, True)])
def test_is_followed__both_weeks_complete__is_yes(days: int, followed: bool) -> None:
    assert is_followed(days) is followed


def test_draw__an_effect_falling_by_a_tenth_a_day__has_that_line_and_no_p() -> None:
    spread = np.array([-1.0, 1.0] * 10)
    control = [Totals.of_values(spread) for _ in range(5)]
    treatment = [Totals.of_values(spread + 1 - 0.1 * day) for day in range(5)]
    drawing = draw(control, treatment)
    assert (drawing.intercept, drawing.slope) == pytest.approx((1.0, -0.1))
    assert [p.difference for p in drawing.points] == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6])
    assert not hasattr(drawing, "p")


def test_draw__days_without_units__are_gaps() -> None:
    full, empty = Totals.of_values(range(20)), Totals(0, 0.0, 0.0)
    drawing = draw([full, empty], [full, full])
    assert drawing.points[1].difference is None and drawing.points[1].ci is None
    assert drawing.slope is None


@pytest.mark.parametrize("arm", [Totals(0, 0.0, 0.0), Totals(9, 1.0, 1.0)])
def test_novelty__hardly_anybody_followed__cannot_say(arm: Totals) -> None:
    found = find_novelty(arm, Totals.of_values(range(40)))
    assert found.says is None and found.comparison.p is None and found.comparison.reason is not None


def test_contrasts__without_a_later_period__are_refused() -> None:
    with pytest.raises(ImpossiblePlan):
        contrasts(np.zeros((5, 7)))
    with pytest.raises(ImpossibleTotals):
        contrasts(np.full((5, 9), np.inf))
    with pytest.raises(ImpossibleTotals):
        draw([Totals(0, 0.0, 0.0)], [])
