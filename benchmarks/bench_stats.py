"""How fast statistics are, against gbstats and tea-tasting in the same process and run.

Contenders take turns within each round, so that a busy machine slows all alike; the median of the
rounds' ratios is the result. All answer the same totals, and that they say the same is checked
before anything is timed. Exit code 1 when a floor is missed. Run with ``python -m
benchmarks.bench_stats``.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tea_tasting as tt
from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import SampleMeanStatistic
from tea_tasting.aggr import Aggregates

from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.batch import ManyTotals, many_means
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.sequential import group_sequential, score_path, spending

ROUNDS = 21
CONTROL, TREATMENT = (10_000, 51_000.0, 420_000.0), (10_200, 53_600.0, 451_000.0)
"""n, Σy, Σy² of the two arms that everybody compares."""
MANY = 1000
LOOKS = 28
SIMULATIONS, DAYS, UNITS_A_DAY = 10_000, 14, 200

Act = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Floor:
    """One measured number with what it must reach; ``least``: at least that many times faster, else
    seconds at most.
    """

    what: str
    found: float
    wanted: float
    least: bool
    note: str = ""

    @property
    def met(self) -> bool:
        return self.found >= self.wanted if self.least else self.found <= self.wanted

    def __str__(self) -> str:
        if self.least:
            found, wanted = f"{self.found:,.1f} ×", f"≥ {self.wanted:,.0f} ×"
        else:
            found, wanted = _duration(self.found), f"≤ {_duration(self.wanted)}"
        return f"{self.what:<52}{found:>12}  {wanted:>9}  {'met' if self.met else 'MISSED':<7} {self.note}".rstrip()


def ours() -> object:
    return compare_means(Totals(*CONTROL), Totals(*TREATMENT))


def gbstats() -> object:
    arms = [SampleMeanStatistic(n=n, sum=y, sum_squares=y2) for n, y, y2 in (CONTROL, TREATMENT)]
    return TwoSidedTTest(*arms, FrequentistConfig(difference_type="absolute")).compute_result()


def tea_tasting() -> object:
    arms = [
        Aggregates(count_=n, mean_={"y": y / n}, var_={"y": (y2 - y * y / n) / (n - 1)})
        for n, y, y2 in (CONTROL, TREATMENT)
    ]
    return tt.Mean("y").analyze_aggregates(*arms)


def many() -> object:
    """The same comparison for each of a thousand metric × arm pairs; totals a little apart, so that
    nothing is the same.
    """
    return many_means(_spread(CONTROL), _spread(TREATMENT))


def _spread(arm: tuple[int, float, float]) -> ManyTotals:
    n, y, y2 = arm
    scale = 1 + np.arange(MANY) / MANY
    return ManyTotals(np.full(MANY, float(n)), y * scale, y2 * scale**2)


def agree() -> None:
    """Stops when the contenders do not give the same answer: then their times mean nothing."""
    mine = compare_means(Totals(*CONTROL), Totals(*TREATMENT))
    theirs, tea = gbstats(), tea_tasting()
    together = many_means(_spread(CONTROL), _spread(TREATMENT))
    assert mine.p is not None and mine.difference is not None
    for p in (theirs.p_value, tea.pvalue, float(together.p[0])):
        assert math.isclose(p, mine.p, rel_tol=1e-8), f"p {p} and {mine.p}"
    for difference in (theirs.expected, tea.effect_size, float(together.difference[0])):
        assert math.isclose(difference, mine.difference, rel_tol=1e-9), (
            f"difference {difference} and {mine.difference}"
        )


def rounds(contenders: Mapping[str, tuple[Act, int, int]]) -> dict[str, list[float]]:
    """Seconds a comparison in each round: contender → (act, calls a round, comparisons a call),
    taken in turns.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for act, _, _ in contenders.values():
        act()
    for _ in range(ROUNDS):
        for name, (act, calls, each) in contenders.items():
            started = time.perf_counter()
            for _ in range(calls):
                act()
            seconds[name].append((time.perf_counter() - started) / (calls * each))
    return seconds


def cold_boundaries() -> float:
    """Seconds for the boundaries of 28 looks with nothing remembered: the median of some turns."""
    times = [(k + 1) / LOOKS for k in range(LOOKS)]
    found = []
    for _ in range(ROUNDS):
        for module in (group_sequential, score_path, spending):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear"):
                    kept.cache_clear()
        started = time.perf_counter()
        group_sequential.boundaries(times)
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def false_positives(simulations: int = SIMULATIONS, seed: int = 5) -> float:
    """Share of A/A experiments that cross a boundary at one of their daily looks.

    Simulated: each day 200 new users an arm whose spend is skewed (exponential); every look
    compares all users so far by Welch's t from totals, as z against Lan–DeMets boundaries.
    """
    rng = np.random.default_rng(seed)
    bounds = np.array(group_sequential.boundaries([(k + 1) / DAYS for k in range(DAYS)]).z)
    units = np.arange(1, DAYS + 1) * float(UNITS_A_DAY)
    crossed, chunk = 0, 250
    for start in range(0, simulations, chunk):
        size = (min(chunk, simulations - start), DAYS, UNITS_A_DAY)
        arms = []
        for _ in range(2):
            rows = rng.standard_exponential(size)
            daily = rows.sum(axis=2), np.einsum("ijk,ijk->ij", rows, rows)
            arms.append(ManyTotals(units, *(np.cumsum(sums, axis=1) for sums in daily)))
        crossed += int((np.abs(many_means(*arms).z) >= bounds).any(axis=1).sum())
    return crossed / simulations


def measure() -> list[Floor]:
    """Every number with its floor."""
    seconds = rounds(
        {
            "ours": (ours, 200, 1),
            "gbstats": (gbstats, 40, 1),
            "tea-tasting": (tea_tasting, 4, 1),
            "many": (many, 4, MANY),
        }
    )
    for name, taken in seconds.items():
        print(f"  {name:<12} {statistics.median(taken) * 1e6:9,.2f} µs a comparison")

    def faster(fast: str, slow: str) -> float:
        return statistics.median(b / a for a, b in zip(seconds[fast], seconds[slow], strict=True))

    bounds = cold_boundaries()
    started = time.perf_counter()
    rate = false_positives()
    simulated = time.perf_counter() - started
    return [
        Floor(
            "one mean comparison from totals, against gbstats", faster("ours", "gbstats"), 5, True
        ),
        Floor(
            "one mean comparison from totals, against tea-tasting",
            faster("ours", "tea-tasting"),
            5,
            True,
        ),
        Floor(
            "each of 1,000 mean comparisons, against gbstats", faster("many", "gbstats"), 100, True
        ),
        Floor("boundaries of 28 looks, nothing remembered", bounds, 0.05, False),
        Floor(
            "10,000 A/A experiments with 14 looks",
            simulated,
            20,
            False,
            f"false positives {rate:.4f}",
        ),
    ]


def _duration(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def main() -> int:
    """Print the table; 1 when a floor is missed."""
    agree()
    floors = measure()
    print(f"{'':<52}{'found':>12}  {'floor':>9}")
    for floor in floors:
        print(floor)
    return int(not all(floor.met for floor in floors))


if __name__ == "__main__":
    sys.exit(main())
