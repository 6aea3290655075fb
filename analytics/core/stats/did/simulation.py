"""How often difference-in-differences finds an effect where there is none, with lasting shocks.

Panels of regions with a level of their own and AR(1) shocks, treatment starting half-way, and no
effect: the share of decision p-values ≤ α is the method's false-positive rate. Calibration and
tests hold it against its bounds.
"""

from __future__ import annotations

import numpy as np

from analytics.core.stats.did import effects
from analytics.core.stats.did.inference import decision_p
from analytics.core.stats.did.panel import Floats, Panel

LEVEL_SPREAD = 2.0
"""Standard deviation of regions' levels, against shocks of standard deviation 1."""


def false_positives(
    sims: int,
    seed: int,
    *,
    regions: int = 10,
    treated: int = 5,
    periods: int = 8,
    rho: float = 0.7,
    alpha: float = 0.05,
) -> int:
    """How many of ``sims`` panels without an effect have a decision p ≤ α (three or more regions in
    each group).
    """
    values = shocks(np.random.default_rng(seed), (sims, regions, periods), rho)
    model = effects.two_way(_template(regions, treated, periods))
    ps = (decision_p(model.design, model.swept(panel)) for panel in values)
    return sum(p is not None and p <= alpha for p in ps)


def shocks(generator: np.random.Generator, shape: tuple[int, int, int], rho: float) -> Floats:
    """sims × regions × periods: a level per region plus stationary AR(1) shocks of variance 1."""
    noise = generator.normal(size=shape)
    for t in range(1, shape[2]):
        noise[..., t] = rho * noise[..., t - 1] + np.sqrt(1 - rho**2) * noise[..., t]
    out: Floats = noise + LEVEL_SPREAD * generator.normal(size=(*shape[:2], 1))
    return out


def _template(regions: int, treated: int, periods: int) -> Panel:
    names = tuple(f"r{g}" for g in range(regions))
    moments = tuple(f"t{t}" for t in range(periods))
    return Panel(
        names,
        moments,
        np.arange(regions) < treated,
        np.arange(periods) >= periods // 2,
        np.zeros((regions, periods)),
    )
