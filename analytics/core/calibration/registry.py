"""All checks, in the order in which they are printed: STATISTICS §5, and the dangers its other
sections name.
"""

from __future__ import annotations

from collections.abc import Sequence

from analytics.core.calibration import (
    covering,
    fixed,
    guarding,
    looking,
    moving,
    promotion,
    ramping,
    regions,
    shares,
    stopping,
    wearing,
)
from analytics.core.calibration.check import Check
from analytics.core.ground.errors import ImpossiblePlan

IDEAS = (
    fixed,
    looking,
    promotion,
    guarding,
    stopping,
    shares,
    covering,
    ramping,
    moving,
    wearing,
    regions,
)
CHECKS: tuple[Check, ...] = tuple(check for idea in IDEAS for check in idea.CHECKS)


def chosen(names: Sequence[str], among: Sequence[Check] = CHECKS) -> tuple[Check, ...]:
    """The checks with these names, in the registry's order; all without names. Refuses a name that
    no check has.
    """
    known = {check.name for check in among}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ImpossiblePlan(
            f"no check is called {', '.join(unknown)}; there are {', '.join(c.name for c in among)}"
        )
    return tuple(check for check in among if not names or check.name in names)
