"""An experiment is under way: with the error it has now, how surely would an effect be found, and
how much is missing?

From the standard error so far, whatever the metric's kind; a target lift takes the lift's standard
error, a target difference the difference's. The error falls with √n as long as units come in the
same proportions. Uses no estimate of the effect: power at the observed effect says nothing that p
does not (Hoenig and Heisey 2001).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Unpack

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.stats.power.terms import Given, Terms


@dataclass(frozen=True, slots=True)
class Midway:
    """``power`` now; ``missing`` more units as a share of those that are in (10.96: eleven times as
    many again; 0: enough).
    """

    power: float
    missing: float

    def more_units(self, units: int) -> int:
        """How many more units, of all arms together."""
        return math.ceil(units * self.missing - 1e-9)


def mid_experiment(se: float, target: float, **given: Unpack[Given]) -> Midway | None:
    """Power to find ``target`` at the standard error so far, and what is missing to reach the
    wanted power.

    A significant result in the wrong direction counts as power too, as other calculators have it.
    None without an error (se 0).
    """
    terms = Terms(**given)
    if not (math.isfinite(se) and se >= 0 and math.isfinite(target) and target != 0):
        raise ImpossiblePlan(
            f"a standard error is not negative and a target is not 0, found {se!r} and {target!r}"
        )
    if se == 0:
        return None
    worth = abs(target) / se
    wanted = terms.z_sum**2 * (terms.enlarged / terms.spread)
    return Midway(terms.chance(worth, wrong_way=True), max(0.0, wanted / worth**2 - 1))
