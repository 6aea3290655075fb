"""Is a test arm doing clear harm, so that it must stop now? Wald's sequential test, which only ever
stops.

Watches units that had at least one bad event (an error, a complaint, an opt-out): θ is the rate
ratio of such units, treatment over control; H0 θ = 1 against H1 θ = 1.25. Given that a unit had its
first bad event while r times as many units were exposed to treatment as to control, it is
treatment's with chance π(θ) = θr/(1 + θr), so each such unit moves the log likelihood ratio by ln
π1/π0 or ln (1 − π1)/(1 − π0). Harm is proven when that reaches ln(1/α) **and** the observed ratio
is at least 1.25: without the second condition harmless increases of a tenth are stopped more often
than not, since H0 is as wrong for them as H1.

Assumes that units come and fail independently, each counted once. By Wald's inequality the chance
of a stop at any time is at most α when θ ≤ 1, however the batches are cut. It never ships anything:
there is no lower bound and no "accept". Reference: Wald 1945; conditional binomial form of a
Poisson rate ratio.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.totals import checked_count
from analytics.core.stats.arms.comparison import checked_level

HARMFUL_RATIO = 1.25
ALPHA = 0.05
"""Of all these tests of one experiment together."""

WITH_BAD_EVENTS = frozenset({"proportion", "count", "ratio"})
"""Kinds whose units either had the event or had not."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SprtPlan:
    """``alpha`` for the experiment, shared evenly among ``guardrails`` × ``test_arms``; θ under H1
    is ``harmful_ratio``.
    """

    guardrails: int = 1
    test_arms: int = 1
    alpha: float = ALPHA
    harmful_ratio: float = HARMFUL_RATIO

    def __post_init__(self) -> None:
        checked_level(self.alpha)
        if self.guardrails < 1 or self.test_arms < 1:
            raise ImpossiblePlan(
                f"an SPRT watches at least one guardrail on one test arm, found {self}"
            )
        if not (math.isfinite(self.harmful_ratio) and self.harmful_ratio > 1):
            raise ImpossiblePlan(
                f"an SPRT stops for harm: its ratio is above 1, found {self.harmful_ratio!r}"
            )

    @property
    def level(self) -> float:
        """α of one guardrail on one arm."""
        return self.alpha / (self.guardrails * self.test_arms)

    @property
    def threshold(self) -> float:
        """ln(1/α): the log likelihood ratio that proves harm."""
        return -math.log(self.level)


@dataclass(frozen=True, slots=True)
class HarmBatch:
    """Units whose first bad event fell into one stretch of time, and the exposed units' ratio T/C
    at that time.
    """

    x_t: int
    x_c: int
    exposure_ratio: float

    def __post_init__(self) -> None:
        checked_count(self.x_t), checked_count(self.x_c)
        if not (math.isfinite(self.exposure_ratio) and self.exposure_ratio > 0):
            raise ImpossibleTotals(
                f"units were exposed in both arms at a ratio above 0, found {self.exposure_ratio!r}"
            )


@dataclass(frozen=True, slots=True)
class SprtState:
    """Where the test stands. Once harm is proven the state stays as it was then.

    ``expected_t`` is the treatment's units with a bad event that control's would lead to expect at
    θ = 1.
    """

    llr: float = 0.0
    x_t: int = 0
    x_c: int = 0
    expected_t: float = 0.0
    crossed: bool = False

    @property
    def observed_ratio(self) -> float | None:
        """θ as observed: treatment's units over those expected; infinite with none in control, None
        before any event.
        """
        if self.x_c == 0:
            return math.inf if self.x_t else None
        return self.x_t / self.expected_t

    @property
    def message(self) -> str | None:
        """What to tell when the arm is stopped; None while nothing is proven."""
        if not self.crossed or self.observed_ratio is None:
            return None
        if math.isinf(self.observed_ratio):
            return f"harm proven, observed {self.x_t} units with the bad event and none in control"
        return f"harm proven, observed {100 * (self.observed_ratio - 1):+.1f} %"


@dataclass(frozen=True, slots=True)
class SprtPaths:
    """Many tests at once: the state after each batch (last axis), and the first batch that proves
    harm (−1: none).
    """

    llr: Floats
    observed_ratio: Floats
    """NaN before any event, infinite with none in control."""
    first_crossing: NDArray[np.intp]

    @property
    def crossed(self) -> NDArray[np.bool_]:
        """Which tests stopped."""
        return self.first_crossing >= 0


def why_not_watched(
    direction: Literal["increase", "decrease"], kind: str, *, adds_values: bool = False
) -> str | None:
    """Why this metric has no bad events to count, or None when it has.

    ``direction`` is where the metric should move; ``adds_values``: it adds up a value (money,
    milliseconds) instead of counting events.
    """
    if direction != "decrease":
        return "an event that should become more frequent is not a bad one: a falling metric is left to looks and guardrails"
    if kind not in WITH_BAD_EVENTS:
        return f"a {kind} has no units with and without a bad event (only {', '.join(sorted(WITH_BAD_EVENTS))} have)"
    return "it adds up a value and does not count bad events" if adds_values else None


def steps(plan: SprtPlan, exposure_ratio: float) -> tuple[float, float]:
    """By how much one unit of treatment, and one of control, moves the log likelihood ratio."""
    theta, r = plan.harmful_ratio, exposure_ratio
    shrink = math.log1p(r) - math.log1p(theta * r)
    return math.log(theta) + shrink, shrink


def fold(plan: SprtPlan, state: SprtState, batch: HarmBatch) -> SprtState:
    """The state after one more batch (or one event: a batch of one unit)."""
    if state.crossed:
        return state
    of_t, of_c = steps(plan, batch.exposure_ratio)
    after = SprtState(
        llr=state.llr + batch.x_t * of_t + batch.x_c * of_c,
        x_t=state.x_t + batch.x_t,
        x_c=state.x_c + batch.x_c,
        expected_t=state.expected_t + batch.x_c * batch.exposure_ratio,
    )
    ratio = after.observed_ratio
    proven = ratio is not None and ratio >= plan.harmful_ratio and after.llr >= plan.threshold
    return SprtState(after.llr, after.x_t, after.x_c, after.expected_t, proven)


def watch(plan: SprtPlan, batches: Iterable[HarmBatch]) -> SprtState:
    """All batches in their order, from nothing."""
    state = SprtState()
    for batch in batches:
        state = fold(plan, state, batch)
    return state


def watch_many(
    plan: SprtPlan, x_t: ArrayLike, x_c: ArrayLike, exposure_ratio: ArrayLike = 1.0
) -> SprtPaths:
    """``watch`` for arrays: tests along the leading axes, batches along the last; arguments
    broadcast.
    """
    t, c, r = np.broadcast_arrays(
        np.asarray(x_t, dtype=float),
        np.asarray(x_c, dtype=float),
        np.asarray(exposure_ratio, dtype=float),
    )
    if not (np.all(t >= 0) and np.all(c >= 0) and np.all(r > 0) and np.all(np.isfinite(t + c + r))):
        raise ImpossibleTotals(
            "batches hold counts that are not negative and exposure ratios above 0; found others"
        )
    shrink = np.log1p(r) - np.log1p(plan.harmful_ratio * r)
    llr = np.cumsum(t * (math.log(plan.harmful_ratio) + shrink) + c * shrink, axis=-1)
    seen, expected = np.cumsum(t, axis=-1), np.cumsum(c * r, axis=-1)
    nothing = np.where(seen > 0, np.inf, np.nan)
    ratio = np.divide(seen, expected, out=nothing, where=expected > 0)
    proven = (llr >= plan.threshold) & (ratio >= plan.harmful_ratio)
    first = np.where(proven.any(axis=-1), proven.argmax(axis=-1), -1)
    return SprtPaths(llr, ratio, first)
