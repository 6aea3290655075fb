"""Did the time until something happens (median time to resolve) differ, when for some it never
happens?

A unit to which it had not happened by its window's end is infinitely late: it counts among the rows
and lies beyond the last bin, so nobody is dropped and nothing is extrapolated. Every unit must have
been followed for the whole window; then the quantile is exact wherever it lies inside the window.
It is reported only if it does so in both arms; the share resolved within the window stands beside
it always. Units are independent, or come in clusters. Reference: the quantile as in ``quantile``;
leaving out the unresolved instead is the textbook's survivors' bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scipy.special import stdtrit

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Comparison, Interval, checked_level
from analytics.core.stats.arms.normal import t_as_z, two_sided_t_p
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.arms.quantile import (
    FEWEST_CLUSTERS,
    QuantileTotals,
    clustered_sd,
    compare_quantiles,
)
from analytics.core.stats.exploring.estimates import IndependentEstimate, contrast, lift_of

METHOD = "quantile, unresolved counted as never"
SHARE_METHOD = "share, clustered by bucket"


@dataclass(frozen=True, slots=True)
class DurationTotals:
    """An arm's times: the quantile with the unresolved in ``beyond``, and the resolved ones.

    ``resolved``: one cluster per bucket, y = units resolved within the window, x = units. None
    where each row is a unit of randomisation of its own: then n and ``beyond`` say it all.
    """

    times: QuantileTotals
    resolved: Totals | None = None

    def __post_init__(self) -> None:
        known = self.resolved
        if known is None:
            return
        rows, inside = known.sum_x or 0.0, self.times.n - self.times.beyond
        if round(rows) != self.times.n or round(known.sum_y) != inside:
            raise ImpossibleTotals(
                f"times and resolved count the same units: {self.times.n} with {inside} in time, found {rows:g} with {known.sum_y:g}"
            )


@dataclass(frozen=True, slots=True)
class DurationComparison:
    """The quantile of the times, and beside it the share resolved within the window."""

    times: Comparison
    resolved: Comparison


def compare_durations(
    control: DurationTotals, treatment: DurationTotals, alpha: float = 0.05
) -> DurationComparison:
    """Treatment's times against control's; ``times`` cannot say when either arm's quantile lies
    beyond the window.
    """
    return DurationComparison(
        compare_times(control.times, treatment.times, alpha),
        compare_resolved(control, treatment, alpha),
    )


def compare_times(
    control: QuantileTotals, treatment: QuantileTotals, alpha: float = 0.05
) -> Comparison:
    """The quantile of the times; the reason says in which arm too few were resolved."""
    found = replace(compare_quantiles(control, treatment, alpha), method=METHOD)
    for name, arm in (("control", control), ("treatment", treatment)):
        if arm.n and arm.value is None:
            inside = f"only {arm.n - arm.beyond} of {arm.n} within the window"
            return replace(
                found, reason=f"{name}: {inside}, so {_quantile(arm.level)} lies beyond it"
            )
    return found


def compare_resolved(
    control: DurationTotals, treatment: DurationTotals, alpha: float = 0.05
) -> Comparison:
    """The shares resolved within the window: score z for independent units, t between buckets for
    clustered ones.
    """
    c, t = control.resolved, treatment.resolved
    if c is None and t is None:
        return compare_proportions(_resolved(control.times), _resolved(treatment.times), alpha)
    if c is None or t is None:
        raise ImpossibleTotals(
            "units are clustered in both arms or in neither; one arm has no totals of the resolved"
        )
    return compare_shares(c, t, alpha)


def compare_shares(control: Totals, treatment: Totals, alpha: float = 0.05) -> Comparison:
    """Shares Σy/Σx over clusters (y of x units said yes); cannot say below 10 clusters an arm or
    without spread.
    """
    checked_level(alpha)
    share_c, share_t = (
        arm.sum_y / arm.sum_x if arm.sum_x else None for arm in (control, treatment)
    )
    bare = Comparison(
        SHARE_METHOD, round(control.sum_x or 0), round(treatment.sum_x or 0), share_c, share_t
    )
    for name, arm in (("control", control), ("treatment", treatment)):
        if arm.n < FEWEST_CLUSTERS:
            return replace(
                bare,
                reason=f"{name} has units in {arm.n} buckets; below {FEWEST_CLUSTERS} an arm nothing can be said",
            )
    c, t = _share(control), _share(treatment)
    found = contrast(c, t) if c is not None and t is not None else None
    if c is None or t is None or found is None:
        return replace(
            bare,
            reason="no spread between buckets in either arm: a standard error cannot be estimated",
        )
    lift, lift_ci, lift_reason = lift_of(c, t, alpha)
    half = float(-stdtrit(found.df, alpha / 2)) * found.se
    return replace(
        bare,
        difference=found.difference,
        ci=Interval(found.difference - half, found.difference + half, 1 - alpha),
        lift=lift,
        lift_ci=lift_ci,
        lift_reason=lift_reason,
        p=two_sided_t_p(found.t, found.df),
        z=t_as_z(found.t, found.df),
        se=found.se,
        df=found.df,
    )


def _resolved(times: QuantileTotals) -> Totals:
    return Totals.of_rate(times.n - times.beyond, times.n)


def _share(clusters: Totals) -> IndependentEstimate | None:
    sd = clustered_sd(clusters)
    return (
        None
        if sd is None or not clusters.sum_x
        else IndependentEstimate(clusters.sum_y / clusters.sum_x, sd**2, clusters.n - 1)
    )


def _quantile(level: float) -> str:
    return "the median" if level == 0.5 else f"the {level:g} quantile"
