"""Where a function crosses zero, by Brent's method.

``scipy.optimize`` comes with the first root that somebody wants: it takes 15 MB, and pages that
show stored results want none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

FINEST = 4 * sys.float_info.epsilon
"""The smallest relative tolerance that Brent's method takes."""


def brentq(
    function: Callable[[float], float],
    low: float,
    high: float,
    *,
    xtol: float = 2e-12,
    rtol: float = FINEST,
    maxiter: int = 100,
) -> float:
    """The root between ``low`` and ``high``, where the signs differ, as ``scipy.optimize.brentq``
    finds it.
    """
    from scipy.optimize import brentq as find

    return float(find(function, low, high, xtol=xtol, rtol=rtol, maxiter=maxiter))
