"""How likely is the treatment better, and what is at stake if we are wrong? For reading, not for
deciding.

Two models. Effects: the estimated lift with its standard error meets a normal prior N(0, .3²) on
the lift (lifts beyond ±60 % are rare), so that the posterior is normal; works for every metric
whose lift has a standard error. Conversions: rates with Beta(1, 1) priors, integrated exactly, for
any number of units.

The posterior is right on average over effects drawn from the prior, whenever one reads it. It does
**not** bound how often one is wrong about a treatment without effect: stopping at the first "chance
to win > 95 %" finds winners among A/A tests again and again. It is therefore never called
peeking-proof, and looks decide. The same posterior mean is the shrunken estimate shown beside a
winner's, whose plain one is too large on average. References: Stucchio 2015 (expected loss); Deng,
Lu and Chen 2016; Efron and Morris 1975 (shrinking).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, betaincinv, expit, logit, ndtr, ndtri

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Interval, checked_level
from analytics.core.stats.exploring.estimates import IndependentEstimate, delta_lift

Better = Literal["increase", "decrease"]
Floats = NDArray[np.float64]

TAILS = (1e-25, 1e-18, 1e-12, 1e-8, 1e-5, 1e-3, 0.02, 0.15, 0.5)
"""Panels of the integration end at these quantiles of either arm, from both sides."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True, slots=True)
class NormalPrior:
    """What is believed of a lift (.1 = +10 %) before the data."""

    mean: float = 0.0
    sd: float = 0.3

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sd) and self.sd > 0):
            raise ImpossiblePlan(
                f"a prior is proper: a finite mean and a standard deviation above 0, found {self}"
            )

    def in_units_of(self, control_mean: float) -> NormalPrior:
        """The same belief about the difference instead of the lift."""
        return NormalPrior(self.mean * abs(control_mean), self.sd * abs(control_mean))


LIFT_PRIOR = NormalPrior()


@dataclass(frozen=True, slots=True)
class Posterior:
    """Belief about an effect after the data: N(mean, sd²). ``mean`` is the shrunken estimate."""

    mean: float
    sd: float

    def interval(self, alpha: float = 0.05) -> Interval:
        """The central credible interval."""
        half = -float(ndtri(checked_level(alpha) / 2)) * self.sd
        return Interval(self.mean - half, self.mean + half, 1 - alpha)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Chance that treatment is better, and what is lost on average by either choice, in the
    effect's units.

    ``risk_if_shipped`` = E[harm of treatment, 0 where it does none], ``risk_if_kept`` = E[gain
    forgone].
    """

    chance_to_win: float
    risk_if_shipped: float
    risk_if_kept: float


@dataclass(frozen=True, slots=True)
class LiftBelief:
    """Belief about a lift: None with a ``reason`` where the lift has no standard error to speak
    of.
    """

    posterior: Posterior | None = None
    interval: Interval | None = None
    outlook: Outlook | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RateBelief:
    """Belief about two conversion rates, risks in points (.01 = one percentage point); intervals
    are of the rates.
    """

    outlook: Outlook | None = None
    control: Interval | None = None
    treatment: Interval | None = None
    reason: str | None = None


def update(effect: float, se: float, prior: NormalPrior | None = LIFT_PRIOR) -> Posterior:
    """Prior and estimate weighed by their precision; without a prior (flat: improper) the estimate
    itself.
    """
    if not (math.isfinite(effect) and math.isfinite(se) and se > 0):
        raise ImpossibleTotals(
            f"an estimate is finite with a standard error above 0, found {effect!r} ± {se!r}"
        )
    if prior is None:
        return Posterior(effect, se)
    # Weights as shares, so that neither variance leaves the range of floats.
    trust = 1 / (1 + (se / prior.sd) ** 2)
    return Posterior(prior.mean + trust * (effect - prior.mean), se * math.sqrt(trust))


def outlook(belief: Posterior, better: Better = "increase") -> Outlook:
    """Φ(μ/σ) and σφ(μ/σ) ∓ μΦ(∓μ/σ), turned round where a decrease is better."""
    gain = belief.mean if better == "increase" else -belief.mean
    standard = gain / belief.sd
    return Outlook(
        float(ndtr(standard)),
        belief.sd * _mean_beyond(standard),
        belief.sd * _mean_beyond(-standard),
    )


def believe_lift(
    control: IndependentEstimate,
    treatment: IndependentEstimate,
    better: Better = "increase",
    alpha: float = 0.05,
    prior: NormalPrior = LIFT_PRIOR,
) -> LiftBelief:
    """What to believe of treatment/control − 1. Cannot say unless control is over five standard
    errors above 0.
    """
    checked_level(alpha)
    found = delta_lift(control, treatment)
    if found is None:
        return LiftBelief(
            reason="control's value is not clearly above 0: its lift has no standard error to weigh against a prior"
        )
    belief = update(found.difference, found.se, prior)
    return LiftBelief(belief, belief.interval(alpha), outlook(belief, better))


def believe_rates(
    control: Totals,
    treatment: Totals,
    better: Better = "increase",
    alpha: float = 0.05,
    prior: tuple[float, float] = (1.0, 1.0),
) -> RateBelief:
    """What to believe of two conversion rates with Beta priors. Cannot say with an empty arm;
    refuses what is not 0 or 1.
    """
    checked_level(alpha)
    if not all(math.isfinite(p) and p > 0 for p in prior):
        raise ImpossiblePlan(f"a Beta prior is proper: both numbers above 0, found {prior}")
    x_c, x_t = control.events, treatment.events
    for name, totals in (("control", control), ("treatment", treatment)):
        if totals.n == 0:
            return RateBelief(reason=f"no units in {name}")
    c = _Beta(prior[0] + x_c, prior[1] + control.n - x_c)
    t = _Beta(prior[0] + x_t, prior[1] + treatment.n - x_t)
    seen = _versus(c, t) if better == "increase" else _versus(t, c)
    return RateBelief(seen, c.interval(alpha), t.interval(alpha))


def _mean_beyond(z: float) -> float:
    """E[max(Z − z, 0)] = φ(z) − z·Φ(−z) for standard normal Z."""
    return max(0.0, math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) - z * float(ndtr(-z)))


@dataclass(frozen=True, slots=True)
class _Beta:
    """A rate's posterior. Everything is computed on the logit scale, where it is smooth up to both
    ends.
    """

    a: float
    b: float

    def below(self, y: Floats) -> Floats:
        """P(rate ≤ expit(y)), from the nearer end."""
        c, d = expit(y), expit(-y)
        return np.where(y < 0, betainc(self.a, self.b, c), betaincc(self.b, self.a, d))

    def above(self, y: Floats) -> Floats:
        return _Beta(self.b, self.a).below(-y)

    def density(self, y: Floats) -> Floats:
        """Density of the logit up to a factor: (c/p)^a·(d/q)^b about its mode, so that huge counts
        cancel exactly.
        """
        p, q = self.a / (self.a + self.b), self.b / (self.a + self.b)
        c, d = expit(y), expit(-y)
        off = c - p if p < 0.5 else q - d
        return np.exp(
            np.maximum(self.a * _log_ratio(c, p, off) + self.b * _log_ratio(d, q, -off), -745.0)
        )

    def edges(self) -> Floats:
        """Where panels end: quantiles on the logit scale."""
        tails = np.array(TAILS)
        low, high = betaincinv(self.a, self.b, tails), betaincinv(self.b, self.a, tails)
        return np.concatenate(
            [logit(np.clip(low, 1e-300, 1 - 1e-16)), -logit(np.clip(high, 1e-300, 1 - 1e-16))]
        )

    def interval(self, alpha: float) -> Interval:
        low, high = betaincinv(self.a, self.b, alpha / 2), 1 - betaincinv(self.b, self.a, alpha / 2)
        return Interval(float(low), float(high), 1 - alpha)


def _log_ratio(value: Floats, about: float, off: Floats) -> Floats:
    """ln(value/about), where ``off`` = value − about is known more exactly than either."""
    near = np.log1p(np.maximum(off / about, -0.6))
    return np.where(value < 0.5 * about, np.log(value / about), near)


def _versus(c: _Beta, t: _Beta) -> Outlook:
    """Of "the larger t, the better": P(T > C) = ∫ f_C·P(T > c) dc and E[(C − T)⁺] = ∫ P(T ≤ c)·P(C
    > c) dc by quadrature panel by panel.
    """
    edges = np.unique(np.concatenate([c.edges(), t.edges()]))
    half = np.diff(edges) / 2
    y = ((edges[1:] + edges[:-1]) / 2)[:, None] + half[:, None] * NODES
    weights = half[:, None] * WEIGHTS
    mass, jacobian = c.density(y) * weights, expit(y) * expit(-y) * weights
    wins = float((mass * t.above(y)).sum() / mass.sum())
    shipped = float((t.below(y) * c.above(y) * jacobian).sum())
    kept = float((c.below(y) * t.above(y) * jacobian).sum())
    return Outlook(min(1.0, wins), shipped, kept)
