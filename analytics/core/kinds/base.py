"""What every kind of metric answers: which totals it needs, and how two arms are held against each
other.

A kind is one file with one object of a class below, registered once in ``kinds/__init__``. Looks,
guardrails, results, the store and the planner ask the object; none of them knows kinds by name.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from analytics.core.ground.observed import Observed
from analytics.core.stats.arms.comparison import Comparison
from analytics.core.stats.arms.mean import FEWEST_UNITS, WelchT
from analytics.core.stats.arms.normal import t_as_z
from analytics.core.stats.arms.score import MarginScore
from experiments.core.design.margins import MARGIN_KINDS
from experiments.core.figures import counted

Better = Literal["increase", "decrease"]
MarginKind = Literal["points", "relative", "ms", "money"]
Form = Literal["unit", "ratio", "rows", "time"]
"""What a store totals: a number per unit, numerator and denominator per unit, single rows, or a
time per unit (or never).
"""
Sizing = Literal["rate", "spread"]
"""What a plan must know to size an experiment: today's rate, or the standard deviation per unit."""

SMALL_ARM = 200
"""Below this many units an arm looks at a rate take the jackknife's t instead of the normal."""

T = TypeVar("T", bound=Observed)


@dataclass(frozen=True, slots=True)
class Kind(ABC, Generic[T]):
    """A metric kind on totals of type T."""

    name: str
    form: Form
    sizing: Sizing
    level: float | None = None
    """The quantile asked for, where a metric does not name its own."""

    @property
    def margins(self) -> frozenset[MarginKind]:
        """The margin kinds that a guardrail of this kind may have; the rule is
        ``experiments.core.design.margins``.
        """
        return frozenset(margin.value for margin in MARGIN_KINDS[self.name])

    @property
    def takes_covariates(self) -> bool:
        """Whether what was known of a unit beforehand can be taken out of its value (CUPED)."""
        return self.form in ("unit", "ratio")

    @abstractmethod
    def read(self, totals: Observed) -> T:
        """The totals in the form this kind computes with; refuses another kind's."""

    def units(self, totals: Observed) -> int:
        """How many units stand behind the totals."""
        return totals.n

    @abstractmethod
    def value(self, totals: Observed) -> float | None:
        """The arm's result: a mean, a rate, a ratio, a quantile; None when it cannot be said."""

    @abstractmethod
    def compare(self, control: Observed, treatment: Observed, alpha: float) -> Comparison:
        """The fixed-sample comparison at level alpha; says why where it cannot."""

    def adjusted(self, control: Observed, treatment: Observed, alpha: float) -> Comparison | None:
        """The comparison with covariates from before (CUPED); None where the totals hold none."""
        return None

    @abstractmethod
    def contrast(
        self, control: Observed, treatment: Observed, *, factor: float = 1.0, shift: float = 0.0
    ) -> MarginScore | None:
        """T − factor·C − shift with its standard error and z on that edge; None where it cannot be
        estimated.
        """

    def guarded(
        self, control: Observed, treatment: Observed, *, factor: float = 1.0, shift: float = 0.0
    ) -> MarginScore | None:
        """The contrast as guardrails and holdbacks read it: right for skewed values in uneven arms
        too.
        """
        return on_normal_scale(self.contrast(control, treatment, factor=factor, shift=shift))

    def looked(
        self, control: Observed, treatment: Observed, *, adjusted: bool = False
    ) -> MarginScore | None:
        """T − C as a look reads it; ``adjusted``: with covariates, where the plan lets those
        decide.
        """
        return self.contrast(control, treatment)

    def bad_units(self, control: Observed, treatment: Observed, better: Better) -> int | None:
        """At least how many units in the two arms had the bad answer; None where units are not bad
        or good.
        """
        return None

    def why_not(self, control: Observed, treatment: Observed) -> str | None:
        """Why two arms cannot be compared, or None when they can."""
        for name, totals in (("control", control), ("treatment", treatment)):
            if self.units(totals) < FEWEST_UNITS:
                return f"{name} has {counted(self.units(totals), 'unit')}; below {FEWEST_UNITS} an arm nothing can be said"
        return None


def scored(welch: WelchT | None) -> MarginScore | None:
    """A t on the normal scale, by the degrees of freedom that it came with."""
    return (
        None
        if welch is None
        else MarginScore(welch.difference, welch.se, t_as_z(welch.t, welch.df))
    )


def on_normal_scale(score: MarginScore | None) -> MarginScore | None:
    """The same with the standard error that gives z, so that what counts in standard errors counts
    as z does.
    """
    if score is None or not score.z or not score.estimate / score.z > 0:
        return score
    return MarginScore(score.estimate, score.estimate / score.z, score.z)


def at_least_bad(total: float, squares: float) -> int:
    """At least how many units have a count above 0, of Σ and Σ² alone: (Σy)²/Σy², by
    Cauchy–Schwarz.
    """
    return math.ceil(total * (total / squares) - 1e-9) if squares > 0 else 0
