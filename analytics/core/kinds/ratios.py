"""The kind of ΣY/ΣX: events per request, cost per session; the unit of randomisation is the unit of
variance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.observed import Observed, Remembered
from analytics.core.kinds.base import Better, Kind, at_least_bad, on_normal_scale, scored
from analytics.core.stats.arms.comparison import Comparison
from analytics.core.stats.arms.cuped import (
    Covaried,
    adjusted_t,
    compare_adjusted,
    linearised_with_history,
)
from analytics.core.stats.arms.mean import WelchT
from analytics.core.stats.arms.ratio import compare_ratios, ratio_t, ratio_value, uneven_ratio_t
from analytics.core.stats.arms.score import MarginScore

Test = Callable[[UnitMoments, UnitMoments, float, float], WelchT | None]
"""Two arms' ratios against factor and shift."""


@dataclass(frozen=True, slots=True)
class RatioKind(Kind[UnitMoments]):
    """Delta method over units; covariates by linearising before and after."""

    def read(self, totals: Observed) -> UnitMoments:
        if isinstance(totals, Remembered):
            return totals.whole
        if isinstance(totals, UnitMoments):
            return totals
        raise ImpossibleTotals(
            f"a ratio needs numerator and denominator a unit, found {type(totals).__name__}"
        )

    def value(self, totals: Observed) -> float | None:
        return ratio_value(self.read(totals))

    def compare(self, control: Observed, treatment: Observed, alpha: float) -> Comparison:
        return compare_ratios(self.read(control), self.read(treatment), alpha)

    def adjusted(self, control: Observed, treatment: Observed, alpha: float) -> Comparison | None:
        c, t = _covaried(control), _covaried(treatment)
        return None if c is None or t is None else compare_adjusted(c, t, alpha)

    def contrast(
        self, control: Observed, treatment: Observed, *, factor: float = 1.0, shift: float = 0.0
    ) -> MarginScore | None:
        return self._held_against(ratio_t, control, treatment, factor, shift)

    def guarded(
        self, control: Observed, treatment: Observed, *, factor: float = 1.0, shift: float = 0.0
    ) -> MarginScore | None:
        return on_normal_scale(
            self._held_against(uneven_ratio_t, control, treatment, factor, shift)
        )

    def _held_against(
        self, test: Test, control: Observed, treatment: Observed, factor: float, shift: float
    ) -> MarginScore | None:
        c, t = self.read(control), self.read(treatment)
        base = ratio_value(c)
        if factor != 1.0 and not (base is not None and base > 0):
            return None
        return scored(test(c, t, factor, shift))

    def looked(
        self, control: Observed, treatment: Observed, *, adjusted: bool = False
    ) -> MarginScore | None:
        c, t = _covaried(control), _covaried(treatment)
        if not adjusted or c is None or t is None:
            return self.contrast(control, treatment)
        return scored(adjusted_t(c, t))

    def bad_units(self, control: Observed, treatment: Observed, better: Better) -> int | None:
        """Where less is better: units that have any of what is counted above the line."""
        if better != "decrease":
            return None
        both = self.read(control) + self.read(treatment)
        return at_least_bad(both.sum("y"), both.product("y", "y"))


def _covaried(totals: Observed) -> Covaried | None:
    return (
        linearised_with_history(totals.known, totals.missing)
        if isinstance(totals, Remembered)
        else None
    )


RATIO = RatioKind("ratio", "ratio", "spread")
