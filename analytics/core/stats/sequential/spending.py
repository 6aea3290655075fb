"""How much error may repeated looks have spent by information time t?

A family says which share of one side's level may be spent when the share t of the planned
information is in. Launches use Lan and DeMets' O'Brien–Fleming form alone (``OBRIEN_FLEMING``):
next to nothing early, nearly the whole level at the end. The others are for reconciling with
designs made elsewhere. References: Lan and DeMets 1983; Kim and DeMets 1987.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtr, ndtri

from analytics.core.ground.errors import ImpossiblePlan

Family = Literal["obrien_fleming", "pocock", "power"]


@dataclass(frozen=True, slots=True)
class SpendingFamily:
    """A spending family; ``exponent`` is the power family's (1: evenly over information; larger:
    later).
    """

    family: Family = "obrien_fleming"
    exponent: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.exponent) and self.exponent > 0):
            raise ImpossiblePlan(
                f"spending: the power family's exponent is finite and above 0, found {self.exponent!r}"
            )

    def spent_by(self, t: float, level: float) -> float:
        """What one side with this level may have spent by information time t; all of it from t = 1
        on.

        O'Brien–Fleming type 2(1 − Φ(z_{1−a/2}/√t)), Pocock type a·ln(1 + (e − 1)t), power
        a·t^exponent.
        """
        if t >= 1:
            return level
        if t <= 0:
            return 0.0
        if self.family == "obrien_fleming":
            return float(2 * ndtr(ndtri(level / 2) / math.sqrt(t)))
        return level * (
            math.log1p(math.expm1(1) * t) if self.family == "pocock" else t**self.exponent
        )


OBRIEN_FLEMING = SpendingFamily()
"""What looks of a launch spend by."""
POCOCK = SpendingFamily("pocock")


def power_family(exponent: float) -> SpendingFamily:
    """Kim and DeMets' a·t^exponent."""
    return SpendingFamily("power", exponent)
