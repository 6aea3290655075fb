"""The kinds of quantiles: of single rows (p95 latency), and of the time until something happens to
a unit, or never does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.observed import Observed
from analytics.core.kinds.base import Kind
from analytics.core.stats.arms.comparison import Comparison
from analytics.core.stats.arms.duration import DurationTotals, compare_durations
from analytics.core.stats.arms.normal import t_as_z
from analytics.core.stats.arms.quantile import QuantileTotals, compare_quantiles, quantile_t
from analytics.core.stats.arms.score import MarginScore
from experiments.core.figures import p_is


@dataclass(frozen=True, slots=True)
class QuantileKind(Kind[QuantileTotals]):
    """Quantiles with variance between buckets; t with buckets − arms degrees of freedom. No
    covariates.
    """

    def read(self, totals: Observed) -> QuantileTotals:
        if isinstance(totals, QuantileTotals):
            return totals
        raise ImpossibleTotals(
            f"a {self.name} needs totals of a quantile, found {type(totals).__name__}"
        )

    def units(self, totals: Observed) -> int:
        return self.read(totals).units

    def value(self, totals: Observed) -> float | None:
        return self.read(totals).value

    def compare(self, control: Observed, treatment: Observed, alpha: float) -> Comparison:
        return compare_quantiles(self.read(control), self.read(treatment), alpha)

    def contrast(
        self, control: Observed, treatment: Observed, *, factor: float = 1.0, shift: float = 0.0
    ) -> MarginScore | None:
        c, t = self.read(control), self.read(treatment)
        if factor != 1.0 and not (c.value is not None and c.value > 0):
            return None
        found = quantile_t(c, t, factor=factor, shift=shift)
        return (
            None
            if found is None
            else MarginScore(found.difference, found.se, t_as_z(found.t, found.df))
        )


@dataclass(frozen=True, slots=True)
class DurationKind(QuantileKind):
    """Times of units; a unit to which it never happened within the window counts as infinitely
    late.
    """

    def compare(self, control: Observed, treatment: Observed, alpha: float) -> Comparison:
        """The quantile of the times; the share it happened to within the window stands in a
        note.
        """
        found = compare_durations(
            DurationTotals(self.read(control)), DurationTotals(self.read(treatment)), alpha
        )
        return replace(found.times, notes=(*found.times.notes, _within(found.resolved)))


def _within(shares: Comparison) -> str:
    if (
        shares.control_mean is None
        or shares.treatment_mean is None
        or shares.difference is None
        or shares.p is None
    ):
        return f"within the window: cannot say, {shares.reason}"
    both = f"{shares.control_mean:.1%} of control and {shares.treatment_mean:.1%} of treatment"
    return f"it happened within the window to {both} (difference {100 * shares.difference:+.1f} p.p., {p_is(shares.p)})"


QUANTILE = QuantileKind("quantile", "rows", "spread", level=0.95)
DURATION = DurationKind("duration", "time", "spread", level=0.5)
