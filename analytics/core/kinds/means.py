"""Kinds with one number per unit: means, and counts as means of whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.observed import Observed, Remembered
from analytics.core.ground.totals import Totals
from analytics.core.kinds.base import Better, Kind, at_least_bad, on_normal_scale, scored
from analytics.core.stats.arms.comparison import Comparison
from analytics.core.stats.arms.cuped import Covaried, adjusted_t, compare_adjusted
from analytics.core.stats.arms.mean import WelchT, compare_means, welch_t
from analytics.core.stats.arms.score import MarginScore
from analytics.core.stats.arms.uneven import uneven_t

Test = Callable[[Totals, Totals, float, float], WelchT | None]
"""Two arms' means against factor and shift."""


def unit_totals(totals: Observed, kind: str) -> Totals:
    """Totals of one number per unit, whatever else is known of the units."""
    if isinstance(totals, Totals):
        return totals
    if isinstance(totals, Remembered):
        return totals.whole.of("y")
    raise ImpossibleTotals(f"a {kind} needs one number a unit, found {type(totals).__name__}")


def covaried(totals: Observed) -> Covaried | None:
    """The same with the value from before as a covariate; None where nothing from before was
    read.
    """
    return (
        Covaried(totals.known.of("y", "y0"), totals.missing.of("y"))
        if isinstance(totals, Remembered)
        else None
    )


@dataclass(frozen=True, slots=True)
class MeanKind(Kind[Totals]):
    """Welch's t on unit values; Fieller's interval for the lift; Lin's estimator where covariates
    are known.
    """

    def read(self, totals: Observed) -> Totals:
        return unit_totals(totals, self.name)

    def value(self, totals: Observed) -> float | None:
        return self.read(totals).mean

    def compare(self, control: Observed, treatment: Observed, alpha: float) -> Comparison:
        return compare_means(self.read(control), self.read(treatment), alpha)

    def adjusted(self, control: Observed, treatment: Observed, alpha: float) -> Comparison | None:
        c, t = covaried(control), covaried(treatment)
        return None if c is None or t is None else compare_adjusted(c, t, alpha)

    def contrast(
        self, control: Observed, treatment: Observed, *, factor: float = 1.0, shift: float = 0.0
    ) -> MarginScore | None:
        return self._held_against(welch_t, control, treatment, factor, shift)

    def guarded(
        self, control: Observed, treatment: Observed, *, factor: float = 1.0, shift: float = 0.0
    ) -> MarginScore | None:
        return on_normal_scale(self._held_against(uneven_t, control, treatment, factor, shift))

    def _held_against(
        self, test: Test, control: Observed, treatment: Observed, factor: float, shift: float
    ) -> MarginScore | None:
        c, t = self.read(control), self.read(treatment)
        if factor != 1.0 and not (c.mean is not None and c.mean > 0):
            return None
        return scored(test(c, t, factor, shift))

    def looked(
        self, control: Observed, treatment: Observed, *, adjusted: bool = False
    ) -> MarginScore | None:
        c, t = covaried(control), covaried(treatment)
        if not adjusted or c is None or t is None:
            return self.contrast(control, treatment)
        return scored(adjusted_t(c, t))

    def bad_units(self, control: Observed, treatment: Observed, better: Better) -> int | None:
        """Of counts where less is better: units that have any."""
        if self.name != "count" or better != "decrease":
            return None
        both = self.read(control) + self.read(treatment)
        return at_least_bad(both.sum_y, both.sum_y2)


MEAN = MeanKind("mean", "unit", "spread")
COUNT = MeanKind("count", "unit", "spread")
