"""Did the rate of rare events differ between a test arm and control, per unit, session or hour?

Assumes that events fall independently at a constant rate per exposure: then their number is
Poisson. Events that come in clumps (one unit, many complaints) are more uncertain than that, and
``Rate.dispersion`` shows it: clumped counts belong to unit-level means or ratios. Test: score z of
the ratio of rates against a factor; interval: the same test inverted, in closed form. With few
expected events the p-value is the E-test's. Cannot say without exposure or without any event.
References: Gu, Ng, Tang and Schucany 2008; Krishnamoorthy and Thomson 2004; Zhu 2017 (power).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals, checked_count
from analytics.core.stats.arms.comparison import Comparison, Interval, checked_level
from analytics.core.stats.arms.normal import two_sided_p, upper_quantile
from analytics.core.stats.arms.one_sided import EdgeTest, normal_edge

E_TEST_BELOW_EXPECTED = 5.0
"""With fewer events expected in an arm the score's normal tail is replaced by the E-test."""
E_TEST_SPREAD = 9.0
"""The E-test sums over counts this many standard deviations around their means: what is outside
weighs 10⁻¹⁸.
"""
MOST_E_TEST_CELLS = 4_000_000
NO_EVENTS = "no events in either arm: nothing to test"


@dataclass(frozen=True, slots=True)
class Rate:
    """Events over exposure (units, sessions or hours) of ``units`` units; the index of dispersion
    where it is known.
    """

    events: int
    exposure: float
    units: int
    dispersion: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", checked_count(self.events))
        object.__setattr__(self, "units", checked_count(self.units))
        if not (math.isfinite(self.exposure) and self.exposure >= 0):
            raise ImpossibleTotals(f"exposure is a finite number ≥ 0, found {self.exposure!r}")
        if self.events and not self.exposure:
            raise ImpossibleTotals(f"{self.events} events without any exposure")

    @classmethod
    def of_totals(cls, totals: Totals) -> Rate:
        """Counts per unit; over Σx where units bring an exposure of their own, else over the
        units.
        """
        events = round(totals.sum_y)
        if abs(events - totals.sum_y) > 1e-6 or events < 0:
            raise ImpossibleTotals(f"a rate counts whole events, found Σy={totals.sum_y!r}")
        exposure = float(totals.n) if totals.sum_x is None else totals.sum_x
        spread = totals.variance
        return cls(
            events,
            exposure,
            totals.n,
            None if spread is None or not totals.mean else spread / totals.mean,
        )

    @property
    def value(self) -> float | None:
        """Events per exposure; None without exposure."""
        return self.events / self.exposure if self.exposure else None

    @property
    def clumped(self) -> bool:
        """Whether counts vary more than three standard errors beyond Poisson's (index of
        dispersion, Fisher 1950).
        """
        return (
            self.dispersion is not None
            and self.units > 1
            and self.dispersion > 1 + 3 * math.sqrt(2 / (self.units - 1))
        )


def compare_rates(control: Rate, treatment: Rate, alpha: float = 0.05) -> Comparison:
    """Treatment's rate against control's, per exposure. Cannot say without exposure; no p without
    events.
    """
    checked_level(alpha)
    bare = Comparison(
        "Poisson score", control.units, treatment.units, control.value, treatment.value
    )
    if control.value is None or treatment.value is None:
        return replace(
            bare, reason=f"no exposure in {'control' if control.value is None else 'treatment'}"
        )
    method, p, z, score_p = _tests(control, treatment)
    ratio = score_interval(control, treatment, alpha)
    lift_ci = None if ratio is None else Interval(ratio.low - 1, ratio.high - 1, ratio.level)
    se = math.hypot(
        math.sqrt(control.events) / control.exposure,
        math.sqrt(treatment.events) / treatment.exposure,
    )
    return replace(
        bare,
        method=method,
        difference=treatment.value - control.value,
        ci=difference_interval(control, treatment, alpha),
        lift=treatment.value / control.value - 1 if control.events else None,
        lift_ci=lift_ci,
        lift_reason=None
        if lift_ci is not None
        else "control has no events: a relative change has no upper limit",
        p=p,
        z=z,
        se=se if se > 0 else None,
        score_p=score_p,
        reason=None if p is not None else NO_EVENTS,
        notes=_notes(control, treatment),
    )


def score_edge(control: Rate, treatment: Rate, factor: float = 1.0) -> EdgeTest:
    """Is treatment's rate above or below factor × control's? Variance taken on that edge, so no
    events is not no error.
    """
    return normal_edge("Poisson score", score_z(control, treatment, factor), NO_EVENTS)


def wald_log_edge(control: Rate, treatment: Rate, factor: float = 1.0) -> EdgeTest:
    """The same on the log scale with the observed variance; needs events in both arms."""
    method = "Poisson log-ratio"
    if not (control.events and treatment.events):
        return EdgeTest(method, reason="an arm without events has no log rate")
    log_ratio = math.log(treatment.events / control.events) - math.log(
        _odds(control, treatment, factor)
    )
    return normal_edge(
        method, log_ratio / math.sqrt(1 / control.events + 1 / treatment.events), NO_EVENTS
    )


def e_test(control: Rate, treatment: Rate, factor: float = 1.0) -> EdgeTest:
    """The score statistic's tails under Poisson counts with the likeliest rates on the edge,
    instead of normal ones.

    The two p-values overlap in the observed table. Cannot say without events, or with more tables
    than it may list.
    """
    method = "Poisson E-test"
    z, tables = score_z(control, treatment, factor), _tables(control, treatment, factor)
    if z is None or tables is None:
        return EdgeTest(
            method,
            reason=NO_EVENTS
            if z is None
            else "too many tables for an exact sum: the score test will do",
        )
    statistics, weights = tables
    slack = 1e-9 * (1 + abs(z))
    return EdgeTest(
        method, z, _mass(weights, statistics >= z - slack), _mass(weights, statistics <= z + slack)
    )


def score_z(control: Rate, treatment: Rate, factor: float = 1.0) -> float | None:
    """(x_T − d·x_C)/√(d·(x_T + x_C)), d = factor × the ratio of exposures; None without exposure or
    events.
    """
    if not (control.exposure and treatment.exposure and control.events + treatment.events):
        return None
    d = _odds(control, treatment, factor)
    return (treatment.events - control.events * d) / math.sqrt(
        d * (control.events + treatment.events)
    )


def score_interval(control: Rate, treatment: Rate, alpha: float = 0.05) -> Interval | None:
    """All ratios of rates that the score test does not reject; None where control has no events (no
    upper limit).

    The edge solves (x_T − d·x_C)² = z²·d·(x_T + x_C), a quadratic in d.
    """
    z = upper_quantile(checked_level(alpha) / 2)
    if not (control.events and control.exposure and treatment.exposure):
        return None
    x_c, x_t, scale = (
        float(control.events),
        float(treatment.events),
        control.exposure / treatment.exposure,
    )
    product, spread = x_t * x_c, z * z * (x_t + x_c) / 2
    high = (product + spread + math.sqrt(spread * (2 * product + spread))) / x_c**2
    low = (x_t / x_c) ** 2 / high  # the product of the roots: nothing cancels
    return Interval(low * scale, high * scale, 1 - alpha)


def wald_log_interval(
    control: Rate, treatment: Rate, alpha: float = 0.05, *, added: float = 0.0
) -> Interval | None:
    """The ratio of rates on the log scale; ``added`` events in each arm (.5) let it stand empty
    arms.
    """
    x_c, x_t = control.events + added, treatment.events + added
    if not (x_c > 0 and x_t > 0 and control.exposure and treatment.exposure):
        return None
    half = upper_quantile(checked_level(alpha) / 2) * math.sqrt(1 / x_c + 1 / x_t)
    centre = math.log(x_t / x_c) + math.log(control.exposure / treatment.exposure)
    return Interval(math.exp(centre - half), math.exp(centre + half), 1 - alpha)


def rate_interval(rate: Rate, alpha: float = 0.05) -> Interval | None:
    """The score interval of one rate: x + z²/2 ± z√(x + z²/4), per exposure; None without
    exposure.
    """
    if not rate.exposure:
        return None
    z = upper_quantile(checked_level(alpha) / 2)
    centre, half = rate.events + z * z / 2, z * math.sqrt(rate.events + z * z / 4)
    low = rate.events**2 / (centre + half)  # = centre − half, without cancelling
    return Interval(low / rate.exposure, (centre + half) / rate.exposure, 1 - alpha)


def difference_interval(control: Rate, treatment: Rate, alpha: float = 0.05) -> Interval | None:
    """Treatment's rate − control's: the two score intervals combined as Newcombe combines
    Wilson's.
    """
    c, t = rate_interval(control, alpha), rate_interval(treatment, alpha)
    if c is None or t is None or control.value is None or treatment.value is None:
        return None
    difference = treatment.value - control.value
    low = difference - math.hypot(treatment.value - t.low, c.high - control.value)
    high = difference + math.hypot(t.high - treatment.value, control.value - c.low)
    return Interval(low, high, 1 - alpha)


def rate_ratio_power(
    rate: float,
    ratio: float,
    n_control: float,
    *,
    exposure_per_unit: float = 1.0,
    alpha: float = 0.05,
    size_ratio: float = 1.0,
    edge: float = 1.0,
    dispersion: float = 1.0,
) -> float:
    """Chance that a two-sided test of this size finds treatment's rate to be ``ratio`` × control's
    and not ``edge`` × it.

    ``rate`` is control's per exposure, ``size_ratio`` treatment's units over control's. On the log
    scale, with the variance of the expected rates times the dispersion of counts.
    """
    for name, value in (
        ("rate", rate),
        ("ratio", ratio),
        ("n", n_control),
        ("exposure", exposure_per_unit),
        ("edge", edge),
    ):
        if not (math.isfinite(value) and value > 0):
            raise ImpossiblePlan(f"power of a ratio of rates: {name} is above 0, found {value!r}")
    if not (size_ratio > 0 and dispersion > 0):
        raise ImpossiblePlan(
            f"power of a ratio of rates: size ratio and dispersion are above 0, found {size_ratio!r} and {dispersion!r}"
        )
    events = rate * exposure_per_unit * n_control
    shift = math.log(ratio / edge) / math.sqrt(
        dispersion * (1 / events + 1 / (events * ratio * size_ratio))
    )
    limit = upper_quantile(checked_level(alpha) / 2)
    return float(ndtr(shift - limit) + ndtr(-shift - limit))


def _tests(control: Rate, treatment: Rate) -> tuple[str, float | None, float | None, float | None]:
    """(method, its p, z, score p)."""
    z = score_z(control, treatment)
    if z is None:
        return "Poisson score", None, None, None
    events, share = (
        control.events + treatment.events,
        treatment.exposure / (control.exposure + treatment.exposure),
    )
    if events * min(share, 1 - share) >= E_TEST_BELOW_EXPECTED:
        return "Poisson score", two_sided_p(z), z, two_sided_p(z)
    tables = _tables(control, treatment, 1.0)
    if tables is None:
        return "Poisson score", two_sided_p(z), z, two_sided_p(z)
    statistics, weights = tables
    return (
        "Poisson E-test",
        _mass(weights, np.abs(statistics) >= abs(z) * (1 - 1e-9)),
        z,
        two_sided_p(z),
    )


def _tables(
    control: Rate, treatment: Rate, factor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(score statistics, probabilities) of all likely pairs of counts on the edge; None when there
    are too many.
    """
    if score_z(control, treatment, factor) is None:
        return None
    d, events = _odds(control, treatment, factor), control.events + treatment.events
    means = events / (1 + d), events * d / (1 + d)
    if math.prod(2 * _reach(m) for m in means) > MOST_E_TEST_CELLS:
        return None
    counts = [
        np.arange(max(0, math.floor(m - _reach(m))), math.ceil(m + _reach(m)) + 1, dtype=float)
        for m in means
    ]
    p_c, p_t = (
        np.exp(k * math.log(m) - m - gammaln(k + 1)) for k, m in zip(counts, means, strict=True)
    )
    x_c, x_t = counts[0][None, :], counts[1][:, None]
    statistics = (x_t - d * x_c) / np.sqrt(d * np.maximum(x_t + x_c, 1.0))
    return statistics, p_t[:, None] * p_c[None, :]


def _reach(mean: float) -> float:
    return E_TEST_SPREAD * (math.sqrt(mean) + E_TEST_SPREAD / 2)


def _mass(weights: NDArray[np.float64], chosen: NDArray[np.bool_]) -> float:
    return min(1.0, float(weights[chosen].sum()))


def _odds(control: Rate, treatment: Rate, factor: float) -> float:
    """Treatment's events expected for one of control's on the edge."""
    if not (math.isfinite(factor) and factor > 0):
        raise ImpossiblePlan(f"a factor between rates is above 0, found {factor!r}")
    return factor * treatment.exposure / control.exposure


def _notes(control: Rate, treatment: Rate) -> tuple[str, ...]:
    return tuple(
        f"{name}: events come in clumps (variance {rate.dispersion:.2f} times Poisson's): compare unit-level means instead"
        for name, rate in (("control", control), ("treatment", treatment))
        if rate.clumped
    )
