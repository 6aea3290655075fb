"""Is an effect as good as none, or not worse than allowed?

Equivalence: two one-sided tests (TOST), each against one edge; both must reject, and p is the
larger of the two. At level α it says the same as a 1 − 2α interval inside the edges (.05: the 90 %
interval of "no effect"). Non-inferiority: one of the two. Rates assume one independent yes/no trial
a unit and take the variance on the edge (score); means are Welch's. "Not significant" is never
equivalence: a small sample fails both ways. References: Schuirmann 1987; Miettinen and Nurminen
1985; Agresti and Caffo 2000; Katz et al. 1978 (log ratio).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Interval, checked_level
from analytics.core.stats.arms.mean import welch_t, why_not
from analytics.core.stats.arms.normal import upper_quantile
from analytics.core.stats.arms.one_sided import EdgeTest, normal_edge, t_edge
from analytics.core.stats.arms.score import difference_score, ratio_score

DifferenceMethod = Literal["score", "wald", "agresti-caffo"]
RatioMethod = Literal["score", "log", "log-adjusted"]
Better = Literal["increase", "decrease"]

NO_SPREAD = "no spread: a standard error cannot be estimated"


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether an effect lies between two edges: ``p`` = the larger of ``p_over_low`` and
    ``p_under_high``.

    ``equivalent`` is None, with a ``reason``, where nothing can be said.
    """

    low: float
    high: float
    p: float | None = None
    p_over_low: float | None = None
    p_under_high: float | None = None
    equivalent: bool | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether treatment is not worse than ``margin`` allows, with the one-sided bound of the
    difference on the side of harm.

    ``low`` and ``high`` limit treatment − control; the side that harm does not come from is
    infinite.
    """

    difference: float | None
    margin: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    reason: str | None = None


def difference_edge(
    control: Totals, treatment: Totals, edge: float, method: DifferenceMethod = "score"
) -> EdgeTest:
    """p_T − p_C against an edge (points: .02). ``score`` has the variance on the edge, the others
    the observed one.

    Agresti–Caffo adds a yes and a no to each arm.
    """
    x_c, n_c, x_t, n_t = control.events, control.n, treatment.events, treatment.n
    _checked_edge(edge)
    if not (n_c and n_t):
        return EdgeTest(method, reason=_empty(n_c))
    if method == "score":
        return normal_edge(method, difference_score(x_c, n_c, x_t, n_t, edge).z, NO_SPREAD)
    added = 1 if method == "agresti-caffo" else 0
    n_c, n_t = n_c + 2 * added, n_t + 2 * added
    rate_c, rate_t = (x_c + added) / n_c, (x_t + added) / n_t
    return normal_edge(
        method, _over(rate_t - rate_c - edge, _wald_se(rate_c, n_c, rate_t, n_t)), NO_SPREAD
    )


def ratio_edge(
    control: Totals, treatment: Totals, factor: float, method: RatioMethod = "score"
) -> EdgeTest:
    """p_T / p_C against a factor (1.10). ``log`` needs events in both arms; ``log-adjusted`` adds
    half an event to each.
    """
    x_c, n_c, x_t, n_t = control.events, control.n, treatment.events, treatment.n
    if not (math.isfinite(factor) and factor > 0):
        raise ImpossiblePlan(f"a factor between rates is above 0, found {factor!r}")
    if not (n_c and n_t):
        return EdgeTest(method, reason=_empty(n_c))
    if method == "score":
        return normal_edge(method, ratio_score(x_c, n_c, x_t, n_t, factor).z, NO_SPREAD)
    added = 0.5 if method == "log-adjusted" else 0.0
    if not (x_c + added and x_t + added):
        return EdgeTest(method, reason="an arm without events has no log rate")
    variance = sum((n - x) / ((x + added) * (n + added)) for x, n in ((x_c, n_c), (x_t, n_t)))
    log_ratio = math.log((x_t + added) / (n_t + added)) - math.log((x_c + added) / (n_c + added))
    return normal_edge(method, _over(log_ratio - math.log(factor), math.sqrt(variance)), NO_SPREAD)


def mean_edge(
    control: Totals, treatment: Totals, edge: float = 0.0, *, factor: float = 1.0
) -> EdgeTest:
    """ȳ_T − factor·ȳ_C against an edge in the metric's units. Cannot say below 10 units an arm or
    without spread.
    """
    _checked_edge(edge)
    reason = why_not(control, treatment)
    if reason is not None:
        return EdgeTest("Welch", reason=reason)
    welch = welch_t(control, treatment, factor=factor, shift=edge)
    return (
        EdgeTest("Welch", reason=NO_SPREAD) if welch is None else t_edge("Welch", welch.t, welch.df)
    )


def equivalent_rates(
    control: Totals, treatment: Totals, low: float, high: float, alpha: float = 0.05
) -> Equivalence:
    """Is p_T − p_C between two edges (points)?"""
    return _tost(lambda edge: difference_edge(control, treatment, edge), low, high, alpha)


def equivalent_rate_ratio(
    control: Totals, treatment: Totals, low: float, high: float, alpha: float = 0.05
) -> Equivalence:
    """Is p_T / p_C between two factors?"""
    return _tost(lambda factor: ratio_edge(control, treatment, factor), low, high, alpha)


def equivalent_means(
    control: Totals, treatment: Totals, low: float, high: float, alpha: float = 0.05
) -> Equivalence:
    """Is ȳ_T − ȳ_C between two edges, in the metric's units?"""
    return _tost(lambda edge: mean_edge(control, treatment, edge), low, high, alpha)


def equivalent_mean_ratio(
    control: Totals, treatment: Totals, low: float, high: float, alpha: float = 0.05
) -> Equivalence:
    """Is ȳ_T / ȳ_C between two factors? Control's mean must be above 0."""
    if not (control.mean or 0) > 0:
        _checked_order(low, high)
        return Equivalence(
            low, high, reason="control's mean is not above 0: a relative change is undefined"
        )
    return _tost(lambda factor: mean_edge(control, treatment, factor=factor), low, high, alpha)


def mean_ci_within(interval: Interval, low: float, high: float) -> bool:
    """Whether a whole interval lies strictly between two edges: what TOST says of a 1 − 2α
    interval.
    """
    return low < interval.low and interval.high < high


def non_inferior_rates(
    control: Totals,
    treatment: Totals,
    margin: float,
    better: Better,
    *,
    relative: bool = False,
    alpha: float = 0.05,
) -> NonInferiority:
    """Is treatment's rate not worse than control's by the margin (points, or a share of control's
    observed rate)?

    A relative margin is fixed at the observed rate, as if that were known; ``ratio_edge`` counts
    its uncertainty too. Observed variance, one-sided at ``alpha``.
    """
    checked_level(alpha)
    if not (math.isfinite(margin) and margin > 0):
        raise ImpossiblePlan(f"a margin is above 0, found {margin!r}")
    n_c, n_t, rate_c, rate_t = control.n, treatment.n, control.mean, treatment.mean
    if rate_c is None or rate_t is None:
        return NonInferiority(None, None, reason=_empty(n_c))
    allowed = margin * rate_c if relative else margin
    if not allowed > 0:
        return NonInferiority(
            rate_t - rate_c, None, reason="control's rate is 0: a share of it allows nothing"
        )
    se, sign = (
        _wald_se(control.events / n_c, n_c, treatment.events / n_t, n_t),
        -1 if better == "increase" else 1,
    )
    difference = rate_t - rate_c
    edge = normal_edge("wald", _over(sign * difference - allowed, se), NO_SPREAD)
    if edge.p_below is None:
        return NonInferiority(difference, allowed, reason=edge.reason)
    worst = difference + sign * upper_quantile(alpha) * se
    low, high = (worst, math.inf) if better == "increase" else (-math.inf, worst)
    return NonInferiority(difference, allowed, low, high, edge.p_below)


def _tost(test: Callable[[float], EdgeTest], low: float, high: float, alpha: float) -> Equivalence:
    checked_level(alpha)
    _checked_order(low, high)
    over, under = test(low), test(high)
    if over.p_above is None or under.p_below is None:
        return Equivalence(low, high, reason=over.reason or under.reason)
    p = max(over.p_above, under.p_below)
    return Equivalence(low, high, p, over.p_above, under.p_below, p <= alpha)


def _checked_order(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ImpossiblePlan(
            f"equivalence needs a lower edge below a higher one, found {low!r} and {high!r}"
        )


def _checked_edge(edge: float) -> None:
    if not math.isfinite(edge):
        raise ImpossiblePlan(f"an edge is a finite number, found {edge!r}")


def _wald_se(rate_c: float, n_c: int, rate_t: float, n_t: int) -> float:
    return math.sqrt(rate_c * (1 - rate_c) / n_c + rate_t * (1 - rate_t) / n_t)


def _over(estimate: float, se: float) -> float | None:
    return estimate / se if se > 0 else None


def _empty(n_control: int) -> str:
    return f"no units in {'treatment' if n_control else 'control'}"
