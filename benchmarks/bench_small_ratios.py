"""How often a ratio metric of small, identical arms differs at p < .05: the delta method against
the jackknife.

Run it with `.venv/bin/python -m benchmarks small_ratios`. The jackknife leaves each unit's row out
once, so it needs rows; the delta method is what the product computes from totals. Both have
Satterthwaite's degrees of freedom. `--sims N` says how many experiments each line has. ADR 0036 has
the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.special import stdtr

from analytics.core.calibration.simulate import Requests
from analytics.core.ground.moments import UnitMoments
from analytics.core.kinds import kind_of
from analytics.core.stats.arms.mean import satterthwaite

ALPHA = 0.05
SIZES = ((10, 10), (20, 20), (50, 50), (100, 100), (20, 180), (50, 150), (199, 199))
Pair = tuple[np.ndarray, np.ndarray]
Draw = Callable[[np.random.Generator, int], Pair]


def errors(rng: np.random.Generator, n: int) -> Pair:
    """Errors and requests of n users."""
    return Requests().drawn(rng, (n,), 0.1)


def costs(rng: np.random.Generator, n: int) -> Pair:
    """Skewed costs and requests of n users."""
    requests = Requests().counts(rng, (n,)).astype(float)
    return requests * rng.lognormal(0.0, 0.8, size=n), requests


def orders(rng: np.random.Generator, n: int) -> Pair:
    """Normal revenue and orders, both far from 0."""
    size = rng.poisson(20, size=n) + 1.0
    return size * (30 + 8 * rng.standard_normal(n)), size


def delta_p(control: Pair, treatment: Pair) -> float | None:
    """The product's p."""
    arms = [UnitMoments.of_rows(y=y, d=d) for y, d in (control, treatment)]
    return kind_of("ratio").compare(*arms, ALPHA).p


def jackknife(y: np.ndarray, d: np.ndarray) -> tuple[float, float]:
    """(ratio, its jackknife variance) of rows."""
    n, rest = len(y), (y.sum() - y) / (d.sum() - d)
    return float(y.sum() / d.sum()), float((n - 1) / n * np.square(rest - rest.mean()).sum())


def jackknife_p(control: Pair, treatment: Pair) -> float | None:
    """The p of the jackknife's t."""
    (r_c, v_c), (r_t, v_t) = jackknife(*control), jackknife(*treatment)
    if not v_c + v_t > 0:
        return None
    df = satterthwaite(v_c, len(control[0]) - 1, v_t, len(treatment[0]) - 1)
    return float(2 * stdtr(df, -abs(r_t - r_c) / np.sqrt(v_c + v_t)))


def rates(draw: Draw, sizes: tuple[int, int], sims: int) -> tuple[float, float]:
    """Shares of identical experiments with p < .05: (delta, jackknife)."""
    rng, found = np.random.default_rng(14), np.zeros(2)
    for _ in range(sims):
        arms = draw(rng, sizes[0]), draw(rng, sizes[1])
        found += [p is not None and p < ALPHA for p in (delta_p(*arms), jackknife_p(*arms))]
    delta, leave_one_out = (found / sims).tolist()
    return delta, leave_one_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=10_000)
    sims = parser.parse_args().sims
    print(
        f"{'data':<10}{'control':>9}{'test':>7}{'delta':>9}{'jackknife':>11}   (p < .05, {sims:,} experiments each)"
    )
    for draw in (errors, costs, orders):
        for sizes in SIZES:
            delta, leave_one_out = rates(draw, sizes, sims)
            print(
                f"{draw.__name__:<10}{sizes[0]:>9}{sizes[1]:>7}{delta:>9.4f}{leave_one_out:>11.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
