"""Guardrails: how often is harm at the margin called safe, how often an alarm false, and how fast
is a true one?
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analytics.core.calibration import simulate
from analytics.core.calibration.check import Check, Sums
from analytics.core.calibration.limits import Binomial, Stated, Within, at_most, rate
from analytics.core.calibration.simulate import Requests, Rng
from analytics.core.calibration.walk import Trial, Walk
from analytics.core.deciding.guardrails import (
    ALPHA,
    SERIES_ALPHA,
    GuardrailPlan,
    GuardrailReading,
    Harm,
    Margin,
    SafetyLook,
    harm,
    judge,
    safe_upper,
)
from analytics.core.ground.observed import Observed
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.normal import upper_quantile
from analytics.core.stats.arms.score import difference_score
from analytics.core.stats.intervals import anytime
from analytics.core.stats.power import Guard, safe_sample

MARGIN = 0.02
RATE = 0.05
ERRORS = GuardrailPlan("errors", "proportion", "decrease", Margin("points", MARGIN))
PER_REQUEST = GuardrailPlan("errors_per_request", "ratio", "decrease", Margin("points", MARGIN))
COST = GuardrailPlan("cost", "mean", "decrease", Margin("relative", 0.2))
SKEWED = 1.5 * SERIES_ALPHA
"""What an alarm at .025 may be for a log-normal cost with σ = 1.5 in arms as uneven as 1:19."""
PLAIN = upper_quantile(ALPHA)
"""The boundary of one look at the one-sided level."""
FIRST_LOOK, HOURS = 7, 24
NINETY = (0.89, 0.91)
"""What a promised power of .9 may be: counts of rare events are whole numbers, so it cannot be met
exactly.
"""


def called_safe(looks: Sequence[Harm], first: int = 1) -> bool:
    """Whether a guardrail's upper bound of harm fell below the margin at one of these daily looks,
    the last of which is final.
    """
    days, seen = len(looks), []
    for day in range(first, days + 1):
        found = looks[day - 1]
        seen.append(SafetyLook(day / days, found.z, day == days))
        upper = safe_upper(found, seen)
        if upper is not None and upper < 0:
            return True
    return False


def harms(
    plan: GuardrailPlan, control: Sequence[Observed], treatment: Sequence[Observed]
) -> list[Harm]:
    """Harm at the end of each day."""
    return [harm(plan, c, t) for c, t in zip(control, treatment, strict=True)]


def daily_harms(events: NDArray[np.int64], per_day: int) -> list[Harm]:
    """Harm of a rate at the end of each day (days × control and treatment)."""
    arms = [
        [Totals.of_rate(x, day * per_day) for day, x in enumerate(column, 1)]
        for column in events.T.tolist()
    ]
    return harms(ERRORS, *arms)


def safe_rates(rng: Rng, sims: int, days: int, per_day: int, excess: float = MARGIN) -> int:
    """Experiments whose error rate rose by ``excess`` that are called safe at one of daily
    looks.
    """
    drawn = simulate.events(rng, sims, days, per_day, (RATE, RATE + excess))
    return sum(called_safe(daily_harms(experiment, per_day)) for experiment in drawn)


def safe_requests(rng: Rng, sims: int, days: int, per_day: int) -> int:
    """The same for errors per request, users being the units."""
    return sum(called_safe(harms(PER_REQUEST, *_requests(rng, days, per_day))) for _ in range(sims))


def safe_by_request(rng: Rng, sims: int, users: int) -> int:
    """Experiments called safe at their end by a test that takes requests for independent trials."""
    found = 0
    for _ in range(sims):
        (y_c, d_c), (y_t, d_t) = (Requests().drawn(rng, (users,), r) for r in (RATE, RATE + MARGIN))
        z = difference_score(
            int(y_c.sum()), int(d_c.sum()), int(y_t.sum()), int(d_t.sum()), MARGIN
        ).z
        found += z is not None and z <= -PLAIN
    return found


def safe_by_plain_bound(rng: Rng, sims: int, days: int, per_day: int) -> int:
    """Experiments called safe by the plain 95 % bound on some day, once a week is over."""
    drawn = simulate.events(rng, sims, days, per_day, (RATE, RATE + MARGIN))
    return sum(
        any((h.z or 0.0) <= -PLAIN for h in daily_harms(x, per_day)[FIRST_LOOK - 1 :])
        for x in drawn
    )


def safe_on_path(rng: Rng, sims: int, trial: Trial) -> int:
    """Experiments whose guardrail verdict at the last look is SAFE, through the whole path."""
    drawn = simulate.events(rng, sims, trial.days, trial.arrivals[0], (RATE, RATE + MARGIN))
    return sum(_verdict(trial, experiment.tolist()) == "safe" for experiment in drawn)


def _verdict(trial: Trial, counts: list[list[int]]) -> str:
    def errors(days: int) -> Sequence[Totals]:
        return [Totals.of_rate(x, trial.units(days)) for x in counts[days - 1]]

    *_, last = Walk(trial, lambda days: unmoved(trial.units(days)), {ERRORS.key: errors})
    return last.verdicts[0].verdict


@lru_cache(maxsize=256)
def unmoved(units: int) -> tuple[Totals, ...]:
    """A primary metric on which nothing happens."""
    return (Totals.of_rate(round(0.3 * units), units),) * 2


def skewed_costs(
    rng: Rng, days: int, per_day: tuple[int, int], sigma: float, factor: float
) -> list[Harm]:
    """Harm of a log-normal cost at the end of each day; treatment's is ``factor`` times
    control's.
    """
    arms = []
    for units, scale in zip(per_day, (1.0, factor), strict=True):
        drawn = scale * rng.lognormal(0.0, sigma, size=(days, units))
        sums, squares = (
            drawn.sum(axis=1).cumsum().tolist(),
            (drawn**2).sum(axis=1).cumsum().tolist(),
        )
        arms.append(
            [
                Totals(units * day, y, y2)
                for day, (y, y2) in enumerate(zip(sums, squares, strict=True), 1)
            ]
        )
    return harms(COST, *arms)


def false_alarms(
    rng: Rng,
    sims: int,
    days: int,
    per_day: tuple[int, int],
    sigma: float,
    *,
    factor: float,
    sign: Literal["breach", "worsening"],
) -> int:
    """Experiments with a skewed cost that show this sign on some day, by one series at its level of
    .025.
    """
    found = 0
    for _ in range(sims):
        verdicts = (
            judge([GuardrailReading(COST, "arm1", seen)])[0]
            for seen in skewed_costs(rng, days, per_day, sigma, factor)
        )
        found += any(v.breach if sign == "breach" else v.worsening for v in verdicts)
    return found


def falsely_safe(rng: Rng, sims: int, days: int, per_day: tuple[int, int], sigma: float) -> int:
    """Experiments with a skewed cost raised by exactly the margin that are called safe at their
    last look alone.
    """
    seen = (skewed_costs(rng, days, per_day, sigma, 1 + COST.margin.value)[-1] for _ in range(sims))
    return sum(called_safe([one]) for one in seen)


def found_safe(rng: Rng, sims: int, looks: int) -> int:
    """Harmless experiments of the size computed for SAFE that are called safe at some look."""
    size = safe_sample(Guard(baseline=RATE), MARGIN, looks=looks).control
    return safe_rates(rng, sims, looks, -(-size // looks), excess=0.0)


def found_safe_at_once(rng: Rng, sims: int, base: float, margin: Margin, ratio: float = 1.0) -> int:
    """The same with a single look, for any base rate, margin and ratio of the arms."""
    plan = GuardrailPlan("errors", "proportion", "decrease", margin)
    size = safe_sample(
        Guard(baseline=base, relative=margin.kind == "relative"), margin.value, ratio=ratio
    )
    arms = (size.control, size.treatment)
    drawn = rng.binomial(arms, base, size=(sims, 2)).tolist()
    found = (
        harm(plan, *(Totals.of_rate(x, n) for x, n in zip(events, arms, strict=True)))
        for events in drawn
    )
    return sum(called_safe([one]) for one in found)


def alarmed(rng: Rng, sims: int, days: int, per_day: int) -> int:
    """Experiments whose harm is at the margin all along and that are called a breach on some
    day.
    """
    drawn = simulate.events(rng, sims, days, per_day, (RATE, RATE + MARGIN))
    return sum(
        any(_breach(start, days=days) for start in daily_harms(experiment, per_day))
        for experiment in drawn
    )


def missed_some_day(
    rng: Rng, sims: int, days: int, per_day: int, n_star: float = anytime.ALARM_N_STAR
) -> int:
    """Identical rates whose always-on interval excludes 0 on some day."""
    drawn = simulate.events(rng, sims, days, per_day, (RATE, RATE)).tolist()
    return sum(
        any(_excludes(c, t, day * per_day, n_star) for day, (c, t) in enumerate(experiment, 1))
        for experiment in drawn
    )


def _excludes(x_c: int, x_t: int, n: int, n_star: float) -> bool:
    scored = difference_score(x_c, n, x_t, n)
    shown = anytime.interval(scored.estimate, scored.se, 2 * n, ALPHA, n_star)
    return shown is not None and not shown.holds(0.0)


def hours_to_alarm(rng: Rng, sims: int, per_day: int, recent: bool) -> Sums:
    """From the start of day 14 on errors rise by five points: how many experiments alarm in each
    hour after it.

    The last place counts those that did not within ``LONGEST`` days. ``recent``: the second series
    is read too.
    """
    delays = np.zeros(LONGEST * HOURS + 1)
    for _ in range(sims):
        delays[_delay(_hourly(rng, per_day // HOURS), per_day // HOURS, recent)] += 1
    return delays


CHANGE, JUMP, BEFORE, LONGEST, PLANNED = 13, 0.05, 0.02, 15, 28
"""Complete days before the change, the rise, the rate before it, days followed after it, and days
planned.
"""


def _hourly(rng: Rng, per_hour: int) -> NDArray[np.int64]:
    """Events so far at the end of each hour (hours × arms)."""
    rates = np.full(((CHANGE + LONGEST) * HOURS, 2), BEFORE)
    rates[CHANGE * HOURS :, 1] += JUMP
    return rng.binomial(per_hour, rates).cumsum(axis=0)


def _delay(events: NDArray[np.int64], per_hour: int, recent: bool) -> int:
    so_far = events.tolist()
    for hour in range(CHANGE * HOURS + 1, len(so_far) + 1):
        yesterday = (hour // HOURS - 1) * HOURS
        start = _harm_between(so_far, 0, hour, per_hour)
        if _breach(
            start, _harm_between(so_far, yesterday, hour, per_hour) if recent else None, PLANNED
        ):
            return hour - CHANGE * HOURS - 1
    return LONGEST * HOURS


def _harm_between(so_far: list[list[int]], first: int, last: int, per_hour: int) -> Harm:
    before = so_far[first - 1] if first else [0, 0]
    control, treatment = (
        Totals.of_rate(b - a, (last - first) * per_hour)
        for a, b in zip(before, so_far[last - 1], strict=True)
    )
    return harm(ERRORS, control, treatment)


def _breach(start: Harm, recent: Harm | None = None, days: int = PLANNED) -> bool:
    return judge([GuardrailReading(ERRORS, "arm1", start, recent, days)])[0].breach


def days_at(delays: Sums, sims: int, share: float) -> float:
    """Days by which this share of the experiments had alarmed."""
    return float((np.searchsorted(delays.cumsum(), share * sims) + 1) / HOURS)


def _requests(rng: Rng, days: int, per_day: int) -> list[Sequence[Observed]]:
    return [
        simulate.moments_so_far(*Requests().drawn(rng, (days, per_day), r))
        for r in (RATE, RATE + MARGIN)
    ]


ON_PATH = Trial(arrivals=(200,) * 10, n_planned=100 * 8, guardrails=(ERRORS,))
"""Four looks, on days 7 to 10."""

CHECKS = (
    Check(
        "safe-rate", "an error rate raised by exactly the margin is called SAFE at one of 14 looks", "≤ 5 %", rate(ALPHA),
        partial(safe_rates, days=14, per_day=200), sims=10_000, quick=500, piece=500,
    ),
    Check(
        "safe-path", "the same through the whole path", "≤ 5 %", at_most(ALPHA),
        partial(safe_on_path, trial=ON_PATH), sims=2_000, quick=100, piece=100,
    ),
    Check(
        "safe-requests", "the same for errors per request, users with many requests each", "≤ 5 %", at_most(ALPHA),
        partial(safe_requests, days=14, per_day=100), sims=10_000, quick=500, piece=500,
    ),
    Check(
        "safe-by-request", "danger: that margin tested as if requests were independent", "9–30 %", Within(0.09, 0.30),
        partial(safe_by_request, users=1_400), sims=10_000, quick=1_000, piece=1_000,
    ),
    Check(
        "safe-plain-14", "danger: the plain 95 % bound read on each of days 7 to 14", "11–16 %", Binomial(0.11, 0.16),
        partial(safe_by_plain_bound, days=14, per_day=200), sims=10_000, quick=500, piece=500,
    ),
    Check(
        "safe-plain-28", "danger: the same on days 7 to 28", "11–16 %", Binomial(0.11, 0.16),
        partial(safe_by_plain_bound, days=28, per_day=200), sims=10_000, quick=300, piece=300,
    ),
    Check(
        "power-safe", "no harm is called SAFE in 14 looks at the computed size (one of two required: β = .1)", "90 %", rate(0.9),
        partial(found_safe, looks=14), sims=5_000, quick=500, piece=500,
    ),
    Check(
        "power-safe-rare", "no harm at a rate of .001 within .005 points, arms 4:1, is called SAFE at the computed size", "90 %",
        Binomial(*NINETY), partial(found_safe_at_once, base=0.001, margin=Margin("points", 0.005), ratio=0.25),
        sims=10_000, quick=1_000, piece=2_500,
    ),
    Check(
        "power-safe-points", "no harm at a rate of .02 within 2 points, arms 1:1, is called SAFE at the computed size", "90 %",
        Binomial(*NINETY), partial(found_safe_at_once, base=0.02, margin=Margin("points", 0.02)),
        sims=10_000, quick=1_000, piece=2_500,
    ),
    Check(
        "power-safe-uneven", "the same with arms 9:1", "90 %", Binomial(*NINETY),
        partial(found_safe_at_once, base=0.02, margin=Margin("points", 0.02), ratio=1 / 9), sims=10_000, quick=1_000, piece=2_500,
    ),
    Check(
        "power-safe-relative", "no harm at a rate of .1 within +15 %, arms 4:1, is called SAFE at the computed size", "90 %",
        Binomial(*NINETY), partial(found_safe_at_once, base=0.1, margin=Margin("relative", 0.15), ratio=0.25),
        sims=10_000, quick=1_000, piece=2_500,
    ),
    Check(
        "anytime", "identical rates excluded by the always-on interval on one of 28 days", "≤ 5 %", Stated(0.003, 0.0573, 10_000, ALPHA),
        partial(missed_some_day, days=28, per_day=200), sims=10_000, quick=500, piece=1_000,
    ),
    Check(
        "breach-at-margin", "harm at the margin is called a breach on one of 28 days", "≤ 5 %", at_most(ALPHA),
        partial(alarmed, days=28, per_day=200), sims=5_000, quick=200, piece=200,
    ),
    Check(
        "skew-worsening", "no harm, log-normal cost (σ 1.5), control a tenth: \"worse\" on one of 14 days", "≤ 3.75 %", at_most(SKEWED),
        partial(false_alarms, days=14, per_day=(20, 180), sigma=1.5, factor=1.0, sign="worsening"), sims=2_000, quick=200, piece=250,
    ),
    Check(
        "skew-breach", "such a cost raised by the margin, control a twentieth: a breach on one of 14 days", "≤ 3.75 %", at_most(SKEWED),
        partial(false_alarms, days=14, per_day=(10, 190), sigma=1.5, factor=1.2, sign="breach"), sims=2_000, quick=200, piece=250,
    ),
    Check(
        "skew-breach-arm", "the same, the test arm being a twentieth", "≤ 3.75 %", at_most(SKEWED),
        partial(false_alarms, days=14, per_day=(190, 10), sigma=1.5, factor=1.2, sign="breach"), sims=2_000, quick=200, piece=250,
    ),
    Check(
        "skew-safe", "such a cost raised by the margin, the test arm a twentieth: called SAFE at the end", "≤ 7.5 %", at_most(1.5 * ALPHA),
        partial(falsely_safe, days=14, per_day=(190, 10), sigma=1.5), sims=4_000, quick=500, piece=1_000,
    ),
    Check(
        "mid-run", "days until 95 % alarm after errors rise by 5 p.p. on day 14 (2,400 units a day and arm)", "≤ 2 days", Within(0, 2),
        partial(hours_to_alarm, per_day=2_400, recent=True), sims=1_000, quick=100, piece=50, read=partial(days_at, share=0.95),
    ),
    Check(
        "mid-run-start-alone", "danger: median days to alarm of that without the series of the last 24–48 h", "10 days", Within(8, 12),
        partial(hours_to_alarm, per_day=2_400, recent=False), sims=200, quick=20, piece=10, read=partial(days_at, share=0.5),
    ),
)  # fmt: skip
