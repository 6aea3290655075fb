"""Looks: the analyses that may decide, and what they have decided so far.

A look spends error, is stored and never taken back; a boundary once crossed stays crossed; after
the last look nothing is confirmatory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from analytics.core.deciding.verdicts import Crossing
from analytics.core.deciding.windows import day_is_used
from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.observed import Observed
from analytics.core.kinds import kind_of
from analytics.core.kinds.base import Better
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.multiplicity import holm
from analytics.core.stats.sequential import group_sequential


@dataclass(frozen=True, slots=True)
class LookPlan:
    """What the looks of one hypothesis (one test arm, one primary metric) may spend.

    ``n_planned`` is information: 1/(1/n_T + 1/n_C) at the planned sizes. ``alpha`` is two-sided,
    for all ``hypotheses`` together.
    """

    n_planned: float
    alpha: float = 0.05
    hypotheses: int = 1
    better: Better = "increase"

    def __post_init__(self) -> None:
        if not (
            math.isfinite(self.n_planned)
            and self.n_planned > 0
            and 0 < self.alpha < 1
            and self.hypotheses >= 1
        ):
            raise ImpossiblePlan(
                f"a plan of looks needs n_planned > 0, alpha in (0, 1) and a hypothesis, found {self}"
            )

    @property
    def level(self) -> float:
        """The two-sided level of boundaries and intervals of one hypothesis: α/m."""
        return self.alpha / self.hypotheses


@dataclass(frozen=True, slots=True)
class Observation:
    """Matured totals of one moment as a look reads them: z on the normal scale, estimate T − C in
    the metric's units.
    """

    n_control: int
    n_treatment: int
    estimate: float | None = None
    se: float | None = None
    z: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One look as stored. ``p`` and ``crossed`` are of all looks so far, at the level α/m of one
    hypothesis.

    ``boundary`` (for |z|) and ``interval`` are None when this look had nothing to spend: no new
    information.
    """

    number: int
    day: date
    t: float
    z: float
    estimate: float
    se: float
    n_control: int
    n_treatment: int
    boundary: float | None
    alpha_spent: float
    interval: Interval | None
    p: float
    side: group_sequential.Side | None
    crossed: Crossing | None
    last: bool


@dataclass(frozen=True, slots=True)
class LookHistory:
    """All looks of one hypothesis."""

    plan: LookPlan
    looks: tuple[Look, ...] = ()

    @property
    def over(self) -> bool:
        """The last look was taken."""
        return bool(self.looks) and self.looks[-1].last

    @property
    def latest(self) -> Look | None:
        return self.looks[-1] if self.looks else None

    @property
    def p(self) -> float | None:
        """Repeated p so far; None before the first look."""
        return self.looks[-1].p if self.looks else None

    @property
    def crossed(self) -> Crossing | None:
        """The boundary at level α/m crossed so far."""
        return self.looks[-1].crossed if self.looks else None


@dataclass(frozen=True, slots=True)
class Taken:
    """The history after trying to look; ``look`` None means it was not taken, for this reason."""

    history: LookHistory
    look: Look | None
    reason: str | None = None


def information(n_control: float, n_treatment: float) -> float:
    """n = 1/(1/n_T + 1/n_C); 0 with an empty arm."""
    return 1 / (1 / n_control + 1 / n_treatment) if n_control > 0 and n_treatment > 0 else 0.0


def planned_information(
    primary: float, guardrails: Sequence[float] = (), by_first_look: float = 0.0
) -> float:
    """The horizon: the largest of what the primary metric needs, each required guardrail needs, and
    what the first legal look will have.
    """
    return max(primary, by_first_look, *guardrails)


def observe(
    kind: str, control: Observed, treatment: Observed, *, adjusted: bool = False
) -> Observation:
    """What a look would see of a metric of this kind. Cannot say below 10 units an arm or without
    spread.

    ``adjusted``: the plan lets the estimate with covariates decide; it is the raw one where no
    covariate is known.
    """
    rules = kind_of(kind)
    bare = Observation(rules.units(control), rules.units(treatment))
    reason = rules.why_not(control, treatment)
    found = None if reason else rules.looked(control, treatment, adjusted=adjusted)
    if found is None:
        return replace(
            bare, reason=reason or "no spread in either arm: a standard error cannot be estimated"
        )
    return replace(bare, estimate=found.estimate, se=found.se, z=found.z)


def take_look(
    history: LookHistory, seen: Observation, day: date, *, closing: bool = False
) -> Taken:
    """Append a look. It is the last one when t reaches 1, or when it closes the experiment (planned
    end, only look).

    Not taken (and nothing spent) after the last look, twice on a day, or when the data cannot say.
    Whether the day and the clock allow a look is asked of ``windows.legal_look`` first.
    """
    reason = _refusal(history, seen, day)
    if reason is not None or seen.z is None or seen.estimate is None or seen.se is None:
        return Taken(history, None, reason or "nothing to look at")
    t = time_of(history, seen)
    last = t >= 1 or closing
    times = [*(k.t for k in history.looks), t]
    zs = [*(k.z for k in history.looks), seen.z]
    bounds = group_sequential.boundaries(times, history.plan.level, final=last)
    p, side = _repeated(history, times, zs, last)
    look = Look(
        number=len(times),
        day=day,
        t=t,
        z=seen.z,
        estimate=seen.estimate,
        se=seen.se,
        n_control=seen.n_control,
        n_treatment=seen.n_treatment,
        boundary=bounds.z[-1] if math.isfinite(bounds.z[-1]) else None,
        alpha_spent=bounds.spent[-1],
        interval=group_sequential.repeated_interval(
            seen.estimate, seen.se, times, history.plan.level, final=last
        ),
        p=p,
        side=side,
        crossed=_crossed_so_far(history, seen.z, bounds.z[-1]),
        last=last,
    )
    return Taken(replace(history, looks=(*history.looks, look)), look)


def time_of(history: LookHistory, seen: Observation) -> float:
    """The information time a look would have: n_k/n_planned, at most 1, never below the look
    before.
    """
    t = min(1.0, information(seen.n_control, seen.n_treatment) / history.plan.n_planned)
    return max(t, history.looks[-1].t) if history.looks else t


def crossed_together(
    histories: Sequence[LookHistory], alpha: float | None = None
) -> list[Crossing | None]:
    """Which of m hypotheses have crossed, Holm over their repeated p-values; never fewer than at
    α/m each.

    Since p only falls, a crossing stays.
    """
    if not histories:
        return []
    level = histories[0].plan.alpha if alpha is None else alpha
    asked = max(len(histories), *(h.plan.hypotheses for h in histories))
    adjusted = holm([h.p for h in histories] + [None] * (asked - len(histories)))[: len(histories)]
    return [
        _together(h, q is not None and q <= level) for h, q in zip(histories, adjusted, strict=True)
    ]


def _together(history: LookHistory, passed: bool) -> Crossing | None:
    if history.crossed is None and passed and history.latest is not None:
        return _way(history.plan, history.latest.side)
    return history.crossed


def _refusal(history: LookHistory, seen: Observation, day: date) -> str | None:
    if history.over:
        return "the last look was taken: everything after it is exploratory"
    if history.looks and day <= history.looks[-1].day:
        return day_is_used(history.looks[-1].day)
    return seen.reason


def _repeated(
    history: LookHistory, times: list[float], zs: list[float], last: bool
) -> tuple[float, group_sequential.Side | None]:
    before = history.latest
    if before is not None and not group_sequential.crosses(times, zs[-1], before.p, final=last):
        return before.p, before.side
    found = group_sequential.repeated_p(times, zs, final=last)
    return (
        (before.p, before.side)
        if before is not None and before.p <= found.p
        else (found.p, found.side)
    )


def _crossed_so_far(history: LookHistory, z: float, boundary: float) -> Crossing | None:
    if history.crossed is not None or abs(z) < boundary:
        return history.crossed
    return _way(history.plan, "up" if z > 0 else "down")


def _way(plan: LookPlan, side: group_sequential.Side | None) -> Crossing | None:
    if side is None:
        return None
    return "better" if (side == "up") == (plan.better == "increase") else "worse"
