"""Does the platform err as often as it says? What splits of real control arms found, and what looks
of A/A tests did.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from analytics.core.deciding.look_state import LookState
from analytics.core.ground.encoding import restored
from analytics.core.scans.replay import ReplayResult
from analytics.core.stats.arms.proportion import wilson
from analytics.models import Look
from analytics.models import NullReplay as ReplayRow
from experiments.models import Experiment

MOST = 200
FEWEST_TESTS = 20
"""A/A tests; fewer say nothing of a rate of one in twenty."""


@dataclass(frozen=True)
class Replayed:
    """Of one metric of one experiment: the share of splits with p below .05, and the range that it
    should lie in.

    ``fits``: whether it does (None: cannot say, see ``reason``). ``uniform_p``: of p being uniform
    at all.
    """

    experiment: Experiment
    metric: str
    method: str
    units: int
    splits: int
    share: float | None
    low: float | None
    high: float | None
    uniform_p: float | None
    reason: str
    fits: bool | None
    computed_at: datetime


@dataclass(frozen=True)
class Crossings:
    """A/A tests with looks, and those whose boundary was ever crossed; the share's limits where the
    tests are enough to say.
    """

    tests: int
    crossed: int
    low: float | None
    high: float | None


def replays() -> list[Replayed]:
    """The newest replay of each metric and method of each iteration, newest first."""
    newest = ReplayRow.objects.order_by(
        "iteration_id", "metric_key", "method", "-computed_at", "-id"
    )
    rows = newest.distinct("iteration_id", "metric_key", "method").select_related("experiment")
    return sorted(
        (_replayed(row) for row in rows[:MOST]), key=lambda one: one.computed_at, reverse=True
    )


def _replayed(row: ReplayRow) -> Replayed:
    found = restored(row.result, ReplayResult)
    return Replayed(
        experiment=row.experiment,
        metric=row.metric_key,
        method=row.method,
        units=row.units,
        splits=found.splits,
        share=found.below,
        low=found.low,
        high=found.high,
        uniform_p=found.ks_p,
        reason=found.reason or "",
        fits=found.as_promised,
        computed_at=row.computed_at,
    )


def crossings() -> Crossings:
    """Of experiments all of whose variants serve the same: how many took looks, and how many of
    those ever crossed.
    """
    tests = _same_everywhere()
    states = Look.objects.filter(iteration__experiment_id__in=tests).values_list(
        "iteration__experiment_id", "state"
    )
    seen: dict[int, bool] = {}
    for experiment, state in states:
        crossed = any(
            one.look is not None and one.look.crossed
            for one in restored(state, LookState).hypotheses
        )
        seen[experiment] = seen.get(experiment, False) or crossed
    found = wilson(sum(seen.values()), len(seen)) if len(seen) >= FEWEST_TESTS else None
    return Crossings(
        len(seen), sum(seen.values()), *((None, None) if found is None else (found.low, found.high))
    )


def _same_everywhere() -> list[int]:
    """Experiments with two or more variants that all have one config."""
    configs: dict[int, list[object]] = {}
    rows = Experiment.objects.filter(variants__isnull=False).values_list("pk", "variants__config")
    for pk, config in rows:
        configs.setdefault(pk, []).append(config)
    return [
        pk for pk, arms in configs.items() if len(arms) > 1 and all(arm == arms[0] for arm in arms)
    ]
