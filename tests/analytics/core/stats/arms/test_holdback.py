"""A promotion watched against its holdback."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.core.ground.totals import Totals
from analytics.core.kinds import kind_of
from analytics.core.stats.arms.score import MarginScore
from analytics.core.stats.exploring.holdback import read_holdback


def read(held: Totals, promoted: Totals, *, more_is_better: bool = True) -> object:
    return read_holdback(
        kind_of("proportion").contrast(held, promoted),
        held.n + promoted.n,
        more_is_better=more_is_better,
    )


def test_holdback__promoted_variant_turned_harmful__the_gain_is_lost() -> None:
    found = read(Totals.of_rate(200, 1000), Totals.of_rate(2400, 20_000))
    assert found.lost is True
    assert found.upper < 0
    assert (
        read(Totals.of_rate(200, 1000), Totals.of_rate(2400, 20_000), more_is_better=False).lost
        is False
    )


def test_holdback__same_rates__is_not_lost_and_says_how_little_it_can_see() -> None:
    found = read(Totals.of_rate(200, 1000), Totals.of_rate(4000, 20_000))
    assert found.lost is False
    assert found.lower < 0 < found.upper
    assert found.mde == pytest.approx(2.8016 * 0.01296, rel=0.01)


def test_holdback__watched_daily_with_no_difference__hardly_ever_takes_back() -> None:
    rng, lost = np.random.default_rng(4), 0
    for _ in range(300):
        held, promoted = rng.binomial(100, 0.2, 28).cumsum(), rng.binomial(1900, 0.2, 28).cumsum()
        days = range(1, 29)
        lost += any(
            read(Totals.of_rate(int(h), 100 * d), Totals.of_rate(int(p), 1900 * d)).lost
            for d, h, p in zip(days, held, promoted, strict=True)
        )
    assert lost <= 300 * 0.025 + 3.3 * (300 * 0.025) ** 0.5


def test_holdback__few_units_or_no_spread__cannot_say() -> None:
    assert read(Totals.of_rate(2, 20), Totals.of_rate(3, 30)).lost is None
    assert read_holdback(None, 1000).reason is not None
    assert read_holdback(MarginScore(0.0, 0.0, None), 1000).lost is None
