"""How often does the whole path promote an arm that is no better?

A launch promotes the better side only, so identical arms should be promoted in α/2 of experiments:
not more, and (a machine that never promotes is no use) hardly less. Guardrails are there, required,
and trivially safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from analytics.core.calibration import simulate
from analytics.core.calibration.check import Check
from analytics.core.calibration.limits import Stated, rate
from analytics.core.calibration.simulate import Rng, totals_of
from analytics.core.calibration.walk import ByDays, Trial, Walk, ending
from analytics.core.deciding.guardrails import GuardrailPlan, Margin
from analytics.core.ground.totals import Totals

RATE, PROMOTES = 0.3, 0.025
HARMLESS = GuardrailPlan("harmless", "proportion", "decrease", Margin("points", 0.5))
"""A margin so wide that every look says SAFE."""
LONG = Trial(arrivals=(100,) * 14, n_planned=50 * 12, guardrails=(HARMLESS,))
"""A clock of one week; the horizon is reached on the last of 14 days, so looks are taken on days 7
to 14.
"""
EARLY = Trial(arrivals=(250,) * 14, n_planned=125 * 4, guardrails=(HARMLESS,))
"""The planned units are there after four days."""


def promoted(rng: Rng, sims: int, trial: Trial) -> int:
    """Experiments with identical rates that end with a promotion."""
    rates = (RATE,) * (trial.test_arms + 1)
    drawn = rng.binomial(
        np.array(trial.arrivals)[:, None], rates, size=(sims, trial.days, len(rates))
    ).cumsum(axis=1)
    return sum(_promotes(trial, experiment) for experiment in drawn)


def _promotes(trial: Trial, events: NDArray[np.int64]) -> bool:
    counts = events.tolist()

    def primary(days: int) -> Sequence[Totals]:
        return [Totals.of_rate(x, trial.units(days)) for x in counts[days - 1]]

    return _promotion(trial, primary)


def promoted_within_window(rng: Rng, sims: int, trial: Trial) -> int:
    """The same for counts per unit, all units there from the first day, each with exactly its first
    window.
    """
    days = trial.window // timedelta(days=1)
    grown = simulate.growing(
        rng, sims, trial.arrivals[0], days, per_day=0.5, arms=trial.test_arms + 1
    )[:, -1]
    return sum(
        _promotes_at_once(trial, [totals_of(arm) for arm in experiment]) for experiment in grown
    )


def _promotes_at_once(trial: Trial, arms: Sequence[Totals]) -> bool:
    return _promotion(trial, lambda days: arms)


def _promotion(trial: Trial, primary: ByDays) -> bool:
    end = ending(
        Walk(
            trial,
            primary,
            {HARMLESS.key: lambda days: quiet(trial.units(days), trial.test_arms + 1)},
        )
    )
    return end is not None and end.kind == "promote"


@lru_cache(maxsize=1024)
def quiet(units: int, arms: int) -> tuple[Totals, ...]:
    """A guardrail on which nothing happens: the same rate of 5 % everywhere."""
    return (Totals.of_rate(round(0.05 * units), units),) * arms


ONE_DAY = Trial(
    arrivals=(500, *(0,) * 13),
    n_planned=250,
    window=timedelta(days=3),
    kind="mean",
    guardrails=(HARMLESS,),
)
"""Everybody comes on the first day, and no unit matures before the fourth."""
PLANNED = Stated(0.0145, 0.037, 2_000, PROMOTES)


def _check(name: str, shows: str, trial: Trial, quick: int) -> Check:
    return Check(
        name,
        shows,
        "2.5 %",
        PLANNED,
        partial(promoted, trial=trial),
        sims=2_000,
        quick=quick,
        piece=50,
    )


CHECKS = (
    _check("promote-1", "the whole path promotes one of two identical arms, 8 looks", LONG, 100),
    _check("promote-2", "the same with 2 test arms", replace(LONG, test_arms=2), 30),
    _check("promote-4", "the same with 4 test arms", replace(LONG, test_arms=4), 20),
    _check("promote-day-4", "the same, planned units there on day 4, a clock of one week", EARLY, 500),
    _check("promote-day-4-weeks", "the same under a clock of two weeks", replace(EARLY, arrivals=(250,) * 21, weeks=2), 200),
    Check(
        "promote-window", "the same for a windowed count per unit, all units there on day 1", "≤ 2.5 %", rate(PROMOTES),
        partial(promoted_within_window, trial=ONE_DAY), sims=10_000, quick=500, piece=500,
    ),
    Check(
        "promote-window-short", "the same when the planned units never come and the planned end closes", "≤ 2.5 %", rate(PROMOTES),
        partial(promoted_within_window, trial=replace(ONE_DAY, n_planned=500)), sims=10_000, quick=100, piece=250,
    ),
)  # fmt: skip
