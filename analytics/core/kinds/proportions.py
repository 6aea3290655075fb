"""The kind of yes or no: each unit is one trial."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.observed import Observed
from analytics.core.ground.totals import Totals
from analytics.core.kinds.base import SMALL_ARM, Better, Kind, scored
from analytics.core.kinds.means import covaried, unit_totals
from analytics.core.stats.arms.comparison import Comparison
from analytics.core.stats.arms.cuped import adjusted_t, compare_adjusted
from analytics.core.stats.arms.exact import fisher_p
from analytics.core.stats.arms.mean import welch_t
from analytics.core.stats.arms.normal import upper_quantile
from analytics.core.stats.arms.proportion import (
    EXACT_BELOW_EXPECTED,
    compare_proportions,
    pooled_z,
    smallest_expected,
)
from analytics.core.stats.arms.score import MarginScore, difference_score, ratio_score


@dataclass(frozen=True, slots=True)
class ProportionKind(Kind[Totals]):
    """Score tests, exact ones where few units answered; margins by Miettinen–Nurminen."""

    def read(self, totals: Observed) -> Totals:
        return unit_totals(totals, self.name)

    def value(self, totals: Observed) -> float | None:
        return self.read(totals).mean

    def compare(self, control: Observed, treatment: Observed, alpha: float) -> Comparison:
        return compare_proportions(self.read(control), self.read(treatment), alpha)

    def adjusted(self, control: Observed, treatment: Observed, alpha: float) -> Comparison | None:
        c, t = covaried(control), covaried(treatment)
        return None if c is None or t is None else compare_adjusted(c, t, alpha)

    def contrast(
        self, control: Observed, treatment: Observed, *, factor: float = 1.0, shift: float = 0.0
    ) -> MarginScore | None:
        """Standard errors are taken on the edge of the margin, so no events is not no error."""
        if factor != 1.0 and shift != 0.0:
            raise ImpossiblePlan(
                f"a rate takes a margin in points or relative, found both ({shift!r} and {factor!r})"
            )
        counts = _counts(self.read(control), self.read(treatment))
        return (
            ratio_score(*counts, max(0.0, factor))
            if factor != 1.0
            else difference_score(*counts, shift)
        )

    def looked(
        self, control: Observed, treatment: Observed, *, adjusted: bool = False
    ) -> MarginScore | None:
        """Pooled score z; few units: the jackknife's t, never more than Fisher's exact test
        allows.
        """
        before_c, before_t = covaried(control), covaried(treatment)
        if adjusted and before_c is not None and before_t is not None:
            return scored(adjusted_t(before_c, before_t))
        c, t = self.read(control), self.read(treatment)
        welch = welch_t(c, t)
        if welch is None:
            return None
        small = scored(welch) if min(c.n, t.n) < SMALL_ARM else None
        z = (
            small.z
            if small is not None and small.z is not None
            else pooled_z(*_counts(c, t)) or 0.0
        )
        return MarginScore(welch.difference, welch.se, _no_more_than_exact(z, c, t))

    def bad_units(self, control: Observed, treatment: Observed, better: Better) -> int | None:
        c, t = self.read(control), self.read(treatment)
        events = c.events + t.events
        return events if better == "decrease" else c.n + t.n - events


def _counts(control: Totals, treatment: Totals) -> tuple[int, int, int, int]:
    return control.events, control.n, treatment.events, treatment.n


def _no_more_than_exact(z: float, control: Totals, treatment: Totals) -> float:
    counts = _counts(control, treatment)
    if smallest_expected(*counts) >= EXACT_BELOW_EXPECTED:
        return z
    p = fisher_p(*counts)
    return z if p is None else math.copysign(min(abs(z), upper_quantile(p / 2)), z)


PROPORTION = ProportionKind("proportion", "unit", "rate")
