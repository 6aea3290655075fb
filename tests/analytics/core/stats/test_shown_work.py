"""The arithmetic that is shown gives the numbers that are stored."""

from __future__ import annotations

import pytest

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.results import sums_of
from analytics.core.shown_work import steps
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.arms.ratio import compare_ratios

RATIOS = [
    UnitMoments(40, ("y", "d"), (y, 80.0), (yy, 130.0, 200.0))
    for y, yy in ((60.0, 120.0), (72.0, 160.0))
]
MEANS = [Totals(120, 540.0, 3420.0), Totals(130, 741.0, 5100.0)]
RATES = [Totals(400, 60.0, 60.0), Totals(410, 81.0, 81.0)]


@pytest.mark.parametrize(
    ("kind", "pair", "compare"),
    [
        ("proportion", RATES, compare_proportions),
        ("mean", MEANS, compare_means),
        ("ratio", RATIOS, compare_ratios),
    ],
)
def test_steps__give_the_difference_and_the_error_that_the_comparison_stores(kind, pair, compare):
    stored = compare(*pair)
    found = {step.what: step.value for step in steps(kind, *map(sums_of, pair))}
    assert found["difference"] == pytest.approx(stored.difference, rel=1e-12)
    assert found["standard error"] == pytest.approx(stored.se, rel=1e-12)


def test_steps__are_filled_with_the_numbers_that_were_used():
    first = steps("proportion", {"n": 400, "y": 60.0}, {"n": 410, "y": 82.0})
    assert (first[0].filled, first[0].value) == ("60 / 400", 0.15)
    assert first[4].filled == "0.2 − 0.15"


def test_steps__of_a_quantile_or_an_empty_arm__are_none():
    assert steps("quantile", {"rows": 9}, {"rows": 9}) == ()
    assert steps("mean", {}, {"n": 5, "y": 1.0, "y·y": 1.0}) == ()
