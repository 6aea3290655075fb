"""What an experiment costs: tokens, money and caches by variant and model, money per unit and per
outcome, and what is left of a budget.

Money is in whole millionths of the currency. Costs are facts, not results: where results are masked
only what would tell an outcome is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.core.figures import counted


@dataclass(frozen=True, slots=True)
class CostLine:
    """Calls of one model (or of all), and what they took.

    ``priced_micro`` is the part of ``cost_micro`` that comes of the price table; ``unpriced`` calls
    have neither money nor a price: their cost is missing. Of ``cache_known`` calls ``cache_hits``
    were answered by a cache.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_micro: int = 0
    priced_micro: int = 0
    unpriced: int = 0
    cache_known: int = 0
    cache_hits: int = 0

    @property
    def cache_hit_rate(self) -> float | None:
        """None where no call said whether a cache answered it."""
        return self.cache_hits / self.cache_known if self.cache_known else None

    def __add__(self, other: CostLine) -> CostLine:
        return CostLine(
            *(getattr(self, name) + getattr(other, name) for name in CostLine.__slots__)
        )


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How often the primary metric's event happened in an arm; None: why its value is no number of
    events.
    """

    many: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ArmCosts:
    """One arm's costs, all and by model; per unit and per outcome in micros, None where that cannot
    be said (``why_not``).
    """

    arm: str
    name: str
    is_control: bool
    units: int
    whole: CostLine
    models: Mapping[str, CostLine]
    per_unit_micro: float | None
    outcomes: float | None
    per_outcome_micro: float | None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Costs:
    """An iteration's costs by arm and model, and the experiment's over all its iterations against
    its cap.
    """

    arms: tuple[ArmCosts, ...]
    models: Mapping[str, CostLine]
    whole: CostLine
    outcome: str
    spent_micro: int
    budget_micro: int | None

    @property
    def left_micro(self) -> int | None:
        """What is left of the budget, below 0 when it is overspent; None without a cap."""
        return None if self.budget_micro is None else self.budget_micro - self.spent_micro


def summed(lines: Iterable[CostLine]) -> CostLine:
    """All of them together."""
    return sum(lines, CostLine())


def arm_costs(
    arm: str,
    name: str,
    *,
    is_control: bool,
    units: int,
    models: Mapping[str, CostLine],
    outcomes: Outcomes,
) -> ArmCosts:
    """What an arm costs, per unit that met it and per outcome; money that is missing makes both
    cannot-say.
    """
    whole = summed(models.values())
    missing = (
        f"{whole.unpriced:,} of {counted(whole.calls, 'call')} have neither a cost nor a price"
        if whole.unpriced
        else ""
    )
    known = not missing
    per_unit = whole.cost_micro / units if known and units else None
    many = outcomes.many
    per_outcome = whole.cost_micro / many if known and many else None
    why_not = missing or outcomes.reason or ("" if many else "no outcome yet")
    return ArmCosts(
        arm, name, is_control, units, whole, models, per_unit, many, per_outcome, why_not
    )


def by_model(arms: Sequence[ArmCosts]) -> dict[str, CostLine]:
    """All arms' lines by model, the dearest first."""
    found: dict[str, CostLine] = {}
    for arm in arms:
        for model, line in arm.models.items():
            found[model] = found.get(model, CostLine()) + line
    return dict(sorted(found.items(), key=lambda one: -one[1].cost_micro))
