"""Units that counted more than a person would, found in an experiment's own metrics, and what they
change.

Nothing is left out of results by it: a person reads it, looks at the units, and excludes what is no
person before hashing (exclusions) or caps the metric. Names leave the store for these few units
only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.kinds import kind_of
from analytics.core.stats.exploring.outliers import (
    Fence,
    NoFence,
    WithAndWithout,
    fence_of,
    with_and_without,
)
from analytics.readings.measuring import population
from analytics.selectors.plans import AnalysisPlan, PlannedMetric, iteration_to_analyse, plan_of
from analytics.stores.base import MetricTotals, Population, Store, UnitValue
from analytics.stores.default import default_store
from experiments.core.errors import Refused
from experiments.core.types import MetricKind
from experiments.selectors.experiments import resolve

MOST_NAMED = 1000
"""More units than this beyond a fence are a heavy tail, not a list to read."""


@dataclass(frozen=True)
class NamedUnit:
    """A unit beyond the fence: its arm's key and its value."""

    unit: str
    arm: str
    value: float


@dataclass(frozen=True)
class MetricOutliers:
    """One metric: its fence, the units beyond it (largest first), and each test arm compared with
    and without them.
    """

    key: str
    name: str
    fence: Fence | None
    units: tuple[NamedUnit, ...] = ()
    compared: tuple[tuple[str, WithAndWithout], ...] = ()
    reason: str | None = None


def find_outliers(
    experiment_id: int, *, now: datetime, store: Store | None = None
) -> tuple[MetricOutliers, ...]:
    """Every planned metric whose unit values are counts or sums that cannot be negative."""
    experiment = resolve(experiment_id)
    iteration = iteration_to_analyse(experiment)
    if iteration is None:
        raise Refused(f"{experiment.key}: was never launched, so there are no units to look at")
    plan = plan_of(iteration, now)
    people = population(plan, plan.cut(now))
    asked = {m.definition.key: m for m in plan.metrics if _counts(m)}
    return tuple(
        _of_metric(plan, metric, people, store or default_store()) for metric in asked.values()
    )


def _counts(metric: PlannedMetric) -> bool:
    definition = metric.definition
    return definition.kind is MetricKind.COUNT or (
        definition.kind is MetricKind.MEAN and definition.aggregation in ("count", "sum")
    )


def _of_metric(
    plan: AnalysisPlan, metric: PlannedMetric, people: Population, store: Store
) -> MetricOutliers:
    definition = metric.definition
    with store.snapshot():
        spread = store.spread(people, definition)
        try:
            fence = fence_of(list(spread), list(spread.values()))
        except ImpossibleTotals:
            fence = NoFence("some values are negative: a count cannot be")
        if isinstance(fence, NoFence):
            return MetricOutliers(definition.key, definition.name, None, reason=fence.reason)
        named = store.beyond(people, definition, fence.value, MOST_NAMED + 1)
        totals = store.totals(people, definition)
    if len(named) > MOST_NAMED:
        reason = f"more than {MOST_NAMED:,} units lie beyond {fence.value:,.0f}: a heavy tail; a cap is better than a list"
        return MetricOutliers(definition.key, definition.name, fence, reason=reason)
    keys = {arm.variant_id: arm.key for arm in plan.arms}
    units = tuple(NamedUnit(one.unit, keys.get(one.variant_id, ""), one.value) for one in named)
    return MetricOutliers(
        definition.key,
        definition.name,
        fence,
        units,
        _compared(plan, definition.kind.value, totals, named) if named else (),
    )


def _compared(
    plan: AnalysisPlan, kind: str, totals: Mapping[int, MetricTotals], named: Sequence[UnitValue]
) -> tuple[tuple[str, WithAndWithout], ...]:
    control = plan.control
    if control is None:
        return ()

    def arm(variant_id: int) -> Totals:
        found = totals.get(variant_id)
        return NOTHING if found is None else kind_of(kind).read(found.totals)

    def values(variant_id: int) -> list[float]:
        return [one.value for one in named if one.variant_id == variant_id]

    return tuple(
        (
            test.key,
            with_and_without(
                arm(control.variant_id),
                arm(test.variant_id),
                {"control": values(control.variant_id), "treatment": values(test.variant_id)},
                plan.alpha,
            ),
        )
        for test in plan.test_arms
    )
