"""A comparison of uneven arms says when skewed values would make it too sure, and how many units
mend that.
"""

from __future__ import annotations

import numpy as np
import pytest

from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.arms.sizes import are_even, too_small_if_skewed


def arm(n: int, mean: float = 1.0, spread: float = 2.0) -> Totals:
    return Totals(n, n * mean, (n - 1) * spread**2 + n * mean**2)


@pytest.mark.parametrize(
    ("control", "treatment", "said"),
    [
        (arm(3600), arm(399), "treatment has 399 units, the other arm 3,600: if few units"),
        (arm(399), arm(3600), "control has 399 units"),
        (arm(3600), arm(400), ""),  # 100 · 2² units are enough
        (arm(20), arm(20), ""),  # even arms: skewness cancels
        (arm(3600, mean=-1.0), arm(20), ""),  # values of both signs need not be skewed
        (arm(180, spread=0.3), arm(20), ""),  # values that are nearly alike
    ],
)
def test_note__small_skewed_and_uneven__names_the_arm_and_the_units_it_needs(
    control, treatment, said
) -> None:
    notes = compare_means(control, treatment).notes
    assert [note[: len(said)] for note in notes] == ([said] if said else [])
    assert all("has about 400 units" in note for note in notes)


def test_note__at_the_size_that_it_names__the_test_errs_about_as_often_as_it_promises() -> None:
    """Against simulated p-values of gamma values (relative spread 2), and where the note would be
    needed most.
    """
    assert _errors(20) > 0.09
    assert _errors(400) < 0.06


def _errors(small: int, sims: int = 2_000) -> float:
    """How often identical gamma values differ at p < .05 in arms of this size and nine times as
    large.
    """
    draw, found = np.random.default_rng(7), 0
    for _ in range(sims):
        c, t = (draw.gamma(0.25, size=n) for n in (9 * small, small))
        p = compare_means(*(Totals(len(x), float(x.sum()), float((x * x).sum())) for x in (c, t))).p
        found += p is not None and p < 0.05
    return found / sims


def test_even__the_line_is_six_tenths() -> None:
    assert are_even(61, 100) and are_even(100, 61) and not are_even(60, 100)
    assert too_small_if_skewed(arm(100), arm(61)) == ()
