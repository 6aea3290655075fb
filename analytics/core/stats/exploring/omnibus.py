"""Is there any difference at all between k arms? Displayed; it decides nothing (pairs against
control do).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from analytics.core.ground.totals import Totals
from experiments.core.figures import positive_p


@dataclass(frozen=True, slots=True)
class Omnibus:
    """Pearson χ² of a k × 2 table; ``reason`` says why p cannot be given."""

    chi2: float | None
    df: int
    p: float | None
    reason: str | None = None


def compare_all(arms: Sequence[Totals]) -> Omnibus:
    """χ² over yes/no arms without continuity correction; arms without units are left out.

    Cannot say with fewer than two arms, without variation, or with an expected cell below 1.
    """
    table = [(a.events, a.n) for a in arms if a.n]
    if len(table) < 2:
        return Omnibus(None, 0, None, "fewer than two arms have units")
    x, n = np.array(table, dtype=float).T
    rate = x.sum() / n.sum()
    if not 0 < rate < 1:
        return Omnibus(None, len(table) - 1, None, "every unit answered alike: nothing to test")
    if n.min() * min(rate, 1 - rate) < 1:
        return Omnibus(None, len(table) - 1, None, "an expected cell is below 1")
    chi2 = float((((x - n * rate) ** 2) / (n * rate * (1 - rate))).sum())
    return Omnibus(chi2, len(table) - 1, positive_p(float(chdtrc(len(table) - 1, chi2))))
