"""What a plan is computed from: the metrics as they are today, who comes, and by which rules it is
decided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.kinds import kind_of
from analytics.core.kinds.base import Better, MarginKind
from experiments.core.design.margins import margin_problem

Role = Literal["primary", "secondary", "guardrail"]
EffectKind = Literal["absolute", "relative"]
MOST_WEEKS = 8
"""Longer than this is out of reach when nobody said how long it may take: people change devices,
products and seasons.
"""
MOST_ARMS = 20
LARGEST, SMALLEST = 1e15, 1e-9
"""Numbers beyond these are mistakes, and what is computed from them would be rounding."""
MOST_LOOKS = 60
"""More looks cost next to nothing beyond these: 57 enlarge a sample by 5.3 %, 365 by 5.7 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInputs:
    """One metric of a plan.

    ``baseline`` is today's rate, mean, ratio or quantile; ``sd`` one unit's standard deviation,
    such that an arm of n units has the standard error sd/√n: of a ratio that of linearised unit
    values, of a quantile se·√n (``stats.power.spread``); a rate has its own. ``effect`` is the
    smallest worth finding: its size in the better direction; with a minus it is a fall, which
    contradicts "increase" and is refused. ``margin`` the harm allowed to a guardrail, which sizes
    the plan when it is ``required`` to be SAFE. ``correlation`` with a covariate that the decision
    uses (CUPED), ``design_effect`` of clustered units.
    """

    key: str
    role: Role = "primary"
    kind: str = "proportion"
    better: Better = "increase"
    baseline: float | None = None
    sd: float | None = None
    effect: float | None = None
    effect_kind: EffectKind = "relative"
    margin: float | None = None
    margin_kind: MarginKind = "points"
    required: bool = True
    correlation: float = 0.0
    design_effect: float = 1.0
    window_days: float = 0.0

    def __post_init__(self) -> None:
        kind_of(self.kind)
        for name in (
            "baseline",
            "sd",
            "effect",
            "margin",
            "correlation",
            "design_effect",
            "window_days",
        ):
            value = getattr(self, name)
            if value is not None and not abs(value) <= LARGEST:
                raise ImpossiblePlan(
                    f"{self.key}: {name} is a number up to {LARGEST:.0e}, found {value!r}"
                )
        if self.role != "guardrail" and self.better == "increase" and (self.effect or 0.0) < 0:
            raise ImpossiblePlan(
                f"{self.key}: an effect of {self.effect:g} is a fall, but the direction is increase (more is better): "
                "give the effect without its minus, or say that the direction is decrease"
            )
        if self.role == "guardrail" and self.margin is not None:
            fault = margin_problem(self.kind, self.better, self.margin, self.margin_kind)
            if fault is not None:
                raise ImpossiblePlan(f"{self.key}: {fault.message}")

    @property
    def is_rate(self) -> bool:
        """Whether the rate says the variance too."""
        return kind_of(self.kind).sizing == "rate"

    @property
    def target(self) -> float | None:
        """What is asked for: a guardrail's margin, else the effect."""
        return self.margin if self.role == "guardrail" else self.effect

    @property
    def relative(self) -> bool:
        """Whether the target is a share of the baseline."""
        return (self.margin_kind if self.role == "guardrail" else self.effect_kind) == "relative"

    @property
    def change(self) -> float:
        """The effect in the metric's units with its sign; a relative one is a share of the
        baseline's size.
        """
        size = abs(self.effect or 0.0) * (abs(self.baseline or 0.0) if self.relative else 1.0)
        return size if self.better == "increase" else -size

    @property
    def lacking(self) -> tuple[str, ...]:
        """The names of what must be known before a size can be computed."""
        found = ["margin" if self.role == "guardrail" else "effect"] if self.target is None else []
        if self.baseline is None and (self.is_rate or self.relative):
            found.append("baseline")
        return (*found, "sd") if self.sd is None and not self.is_rate else tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Who comes: new units a day (None: not known), the experiment's share of them, and the arms'
    weights in it.

    ``guessed``: read off the past; good for weeks, but no promise that a horizon may rest on.
    """

    units_per_day: float | None = None
    guessed: bool = False
    share: float = 1.0
    control: float = 1.0
    tests: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not self.tests or len(self.tests) >= MOST_ARMS:
            raise ImpossiblePlan(
                f"a plan has a control and 1 to {MOST_ARMS - 1} test arms, found {len(self.tests)} test arms"
            )
        if not all(SMALLEST <= w <= LARGEST for w in (self.control, *self.tests)):
            raise ImpossiblePlan(
                f"every arm has a share above 0, found {(self.control, *self.tests)}"
            )
        if not SMALLEST <= self.share <= 1:
            raise ImpossiblePlan(
                f"the experiment's share of the units lies above 0 and up to 1, found {self.share!r}"
            )
        if self.units_per_day is not None and not 0 <= self.units_per_day <= LARGEST:
            raise ImpossiblePlan(
                f"units a day are 0 to {LARGEST:.0e}, found {self.units_per_day!r}"
            )

    @property
    def ratio(self) -> float:
        """The smallest test arm over control: the comparison that has least."""
        return min(self.tests) / self.control

    @property
    def control_per_day(self) -> float:
        """New units of control a day; 0 when not known."""
        return (
            (self.units_per_day or 0.0)
            * self.share
            * self.control
            / (self.control + sum(self.tests))
        )

    def arms(self, exact_control: float) -> tuple[int, ...]:
        """Whole units of every arm, control first, when control has so many."""
        return tuple(
            math.ceil(exact_control * weight / self.control - 1e-9)
            for weight in (self.control, *self.tests)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How it is decided: two-sided ``alpha`` over all primary hypotheses, ``looks`` that may
    decide, the clock's weeks, the floor per arm, and how many ``weeks`` are planned (None: up to
    ``MOST_WEEKS``)."""

    alpha: float = 0.05
    power: float = 0.8
    looks: int = 1
    clock_weeks: int = 1
    weeks: int | None = None
    floor: int = 0
    grace_days: float = 1.0

    def __post_init__(self) -> None:
        if self.weeks is not None and not 1 <= self.weeks <= 520:
            raise ImpossiblePlan(f"a plan takes 1 to 520 weeks, found {self.weeks!r}")
        if not 0 <= self.clock_weeks <= 520 or not 1 <= self.looks <= MOST_LOOKS or self.floor < 0:
            raise ImpossiblePlan(
                f"the clock has 0 to 520 weeks, looks are 1 to {MOST_LOOKS} and the floor is not negative,"
                f" found {self.clock_weeks!r}, {self.looks!r} and {self.floor!r}"
            )

    @property
    def horizon(self) -> int:
        """The weeks that there are: planned, or the most that is allowed; never below the clock."""
        return max(self.weeks or MOST_WEEKS, self.clock_weeks)
