"""The forms in which a store's totals of one arm and one metric reach statistics.

Which form a metric needs its kind says (``analytics.core.kinds``): one number per unit, a numerator
and a denominator, either of them with the same from before the first exposure, or a quantile of
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.quantile import QuantileTotals


@dataclass(frozen=True, slots=True)
class Remembered:
    """Units with a value from before their first exposure (y, y0; for a ratio y, d, y0, d0), and
    units without (y; y, d).
    """

    known: UnitMoments
    missing: UnitMoments

    @property
    def n(self) -> int:
        """All units."""
        return self.known.n + self.missing.n

    @property
    def whole(self) -> UnitMoments:
        """What was measured since exposure, over all units: y, or y and d."""
        return self.known.only(self.missing.names) + self.missing

    def __add__(self, other: Remembered) -> Remembered:
        return Remembered(self.known + other.known, self.missing + other.missing)


Observed: TypeAlias = Totals | UnitMoments | Remembered | QuantileTotals
"""One arm's totals of one metric. All but quantiles add up over disjoint units."""
