"""Splitting one arm anew: nothing is found as often as promised, and a broken engine is seen."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.observed import Observed, Remembered
from analytics.core.ground.totals import Totals
from analytics.core.scans.replay import halves, replay
from analytics.core.stats.arms.quantile import of_rows


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def cells(count: int = 200, units: int = 50) -> list[Observed]:
    """Cells of units with heavy-tailed spending."""
    return [Totals.of_values(np.random.default_rng(k).lognormal(0, 1, units)) for k in range(count)]


def test_halves__of_any_form__add_up_to_the_whole_arm() -> None:
    with_past: list[Observed] = [
        Remembered(
            UnitMoments.of_rows(y=[1.0 * k, 2.0], y0=[3.0, 1.0]), UnitMoments.of_rows(y=[4.0])
        )
        for k in range(30)
    ]
    ratios: list[Observed] = [UnitMoments.of_rows(y=[1.0, k], d=[2.0, 3.0]) for k in range(30)]
    for arm in (cells(30), ratios, with_past):
        whole = arm[0]
        for cell in arm[1:]:
            whole = whole + cell  # type: ignore[operator]  # all of one form
        for one, other in halves(arm, 5, rng()):
            both = one + other  # type: ignore[operator]  # all of one form
            assert both.n == whole.n
            assert type(both) is type(whole)
            assert one != other


def test_replay__nothing_to_find__finds_it_as_often_as_promised_and_p_is_uniform() -> None:
    found = replay("mean", cells(), 2000, rng())
    assert found.as_promised is True
    assert len(found.p) == 2000
    assert (found.ks_p or 0.0) > 0.001


def test_replay__same_seed__gives_the_same_splits() -> None:
    assert replay("mean", cells(40), 20, rng()) == replay("mean", cells(40), 20, rng())


def test_replay__units_alike_within_cells_taken_for_independent__is_seen() -> None:
    alike: list[Observed] = [
        Totals.of_values(np.full(50, v) + np.random.default_rng(k).normal(0, 0.1, 50))
        for k, v in enumerate(rng().normal(5, 1, 200))
    ]
    found = replay("mean", alike, 1000, rng())
    assert found.as_promised is False
    assert (found.below or 0.0) > 0.5
    assert found.ks_p == pytest.approx(0.0, abs=1e-6)


def test_replay__few_cells_or_a_quantile__says_why_not() -> None:
    assert "20 are needed" in (replay("mean", cells(5), 10, rng()).reason or "")
    quantiles: list[Observed] = [of_rows([1.0, 2.0], None, 0.5)] * 30
    assert "do not add up" in (replay("quantile", quantiles, 10, rng()).reason or "")
    with pytest.raises(ImpossibleTotals):
        list(halves(quantiles, 1, rng()))
