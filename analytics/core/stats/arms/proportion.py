"""Did a yes/no rate differ between a test arm and control?

Assumes one independent yes/no answer a unit (a unit's first window, not its requests). Test: score
z with pooled variance, which is Pearson's χ² without continuity correction. Intervals: Newcombe's
for the difference (two Wilson intervals combined, 1998 method 10), Koopman's for the ratio (1984).
When an expected cell is below 5, or fewer than 200 units answered in all, the p-value is Barnard's
(Fisher's where tables are too many to list), and the score p is kept beside it.
"""

from __future__ import annotations

import math

from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Comparison, Interval, checked_level
from analytics.core.stats.arms.exact import barnard_p, fisher_p
from analytics.core.stats.arms.normal import two_sided_p, upper_quantile
from analytics.core.stats.arms.score import difference_score, ratio_interval

EXACT_BELOW_UNITS = 200
EXACT_BELOW_EXPECTED = 5.0


def compare_proportions(control: Totals, treatment: Totals, alpha: float = 0.05) -> Comparison:
    """Treatment's rate against control's; refuses totals that are not of zeros and ones.

    Cannot say with an empty arm; p and z cannot be said when every unit answered alike.
    """
    checked_level(alpha)
    x_c, n_c, x_t, n_t = control.events, control.n, treatment.events, treatment.n
    if n_c == 0 or n_t == 0:
        empty = "control" if n_c == 0 else "treatment"
        return Comparison(
            "score", n_c, n_t, control.mean, treatment.mean, reason=f"no units in {empty}"
        )
    method, p, score_p, exact_fisher = _tests(x_c, n_c, x_t, n_t)
    lift, lift_ci, lift_reason = _lift(x_c, n_c, x_t, n_t, alpha)
    rate_c, rate_t = x_c / n_c, x_t / n_t
    return Comparison(
        method=method,
        control_n=n_c,
        treatment_n=n_t,
        control_mean=rate_c,
        treatment_mean=rate_t,
        difference=rate_t - rate_c,
        ci=newcombe(x_c, n_c, x_t, n_t, alpha),
        lift=lift,
        lift_ci=lift_ci,
        lift_reason=lift_reason,
        p=p,
        z=pooled_z(x_c, n_c, x_t, n_t),
        se=_unpooled_se(rate_c, n_c, rate_t, n_t),
        score_p=score_p,
        fisher_p=exact_fisher,
        reason=None if p is not None else "every unit answered alike: nothing to test",
    )


def pooled_z(x_c: int, n_c: int, x_t: int, n_t: int) -> float | None:
    """Score z = (p_T − p_C)/√(p̄q̄(1/n_T + 1/n_C)); None with an empty arm or without variation."""
    if n_c == 0 or n_t == 0 or not 0 < x_c + x_t < n_c + n_t:
        return None
    return difference_score(x_c, n_c, x_t, n_t, correction=False).z


def wilson(x: int, n: int, alpha: float = 0.05) -> Interval | None:
    """Wilson's interval for one rate; None without units."""
    if n == 0:
        return None
    z = upper_quantile(checked_level(alpha) / 2)
    rate, spread = x / n, z * z / n
    centre = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(rate * (1 - rate) * spread + spread * spread / 4) / (1 + spread)
    low = 0.0 if x == 0 else max(0.0, centre - half)
    high = 1.0 if x == n else min(1.0, centre + half)
    return Interval(low, high, 1 - alpha)


def newcombe(x_c: int, n_c: int, x_t: int, n_t: int, alpha: float = 0.05) -> Interval | None:
    """Newcombe's interval for p_T − p_C; None with an empty arm."""
    c, t = wilson(x_c, n_c, alpha), wilson(x_t, n_t, alpha)
    if c is None or t is None:
        return None
    rate_c, rate_t = x_c / n_c, x_t / n_t
    low = rate_t - rate_c - math.hypot(rate_t - t.low, c.high - rate_c)
    high = rate_t - rate_c + math.hypot(t.high - rate_t, rate_c - c.low)
    return Interval(low, high, 1 - alpha)


def smallest_expected(x_c: int, n_c: int, x_t: int, n_t: int) -> float:
    """The smallest cell count expected if both arms had the same rate."""
    events, n = x_c + x_t, n_c + n_t
    return min(events, n - events) * (min(n_c, n_t) / n) if n else 0.0


def _tests(
    x_c: int, n_c: int, x_t: int, n_t: int
) -> tuple[str, float | None, float | None, float | None]:
    """(method, its p, score p, Fisher p)."""
    z = pooled_z(x_c, n_c, x_t, n_t)
    if z is None:
        return "score", None, None, None
    score_p = two_sided_p(z)
    if (
        n_c + n_t >= EXACT_BELOW_UNITS
        and smallest_expected(x_c, n_c, x_t, n_t) >= EXACT_BELOW_EXPECTED
    ):
        return "score", score_p, score_p, None
    fisher = fisher_p(x_c, n_c, x_t, n_t)
    barnard = barnard_p(x_c, n_c, x_t, n_t)
    if barnard is not None:
        return "Barnard exact", barnard, score_p, fisher
    return (
        ("Fisher exact", fisher, score_p, fisher)
        if fisher is not None
        else ("score", score_p, score_p, None)
    )


def _lift(
    x_c: int, n_c: int, x_t: int, n_t: int, alpha: float
) -> tuple[float | None, Interval | None, str | None]:
    if x_c == 0:
        return None, None, "control's rate is 0: a relative change is undefined, see the difference"
    lift = (x_t / n_t) / (x_c / n_c) - 1
    ratio = ratio_interval(x_c, n_c, x_t, n_t, alpha)
    if ratio is None:
        return lift, None, "unbounded: control has too few events to limit a relative change"
    return lift, Interval(ratio.low - 1, ratio.high - 1, ratio.level), None


def _unpooled_se(rate_c: float, n_c: int, rate_t: float, n_t: int) -> float | None:
    variance = rate_c * (1 - rate_c) / n_c + rate_t * (1 - rate_t) / n_t
    return math.sqrt(variance) if variance > 0 else None
