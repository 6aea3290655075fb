"""What came in for an experiment, arm by arm, as it came: exposures, units, conversions and unit
values of each metric.

Beside the analysis, not instead of it: nothing here is compared, and nothing decides by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from analytics.readings.measuring import population
from analytics.selectors.arriving.events import names_observed, names_told
from analytics.selectors.plans import AnalysisPlan, iteration_to_analyse, plan_of
from analytics.stores.base import Description, Store
from analytics.stores.default import default_store
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.models import Experiment, Metric
from experiments.selectors.metrics import definition_of

MOST_METRICS = 50
"""Each is a query; an application that invents names without end gets the first so many."""


@dataclass(frozen=True)
class DescribedArm:
    """One variant: impressions, the units behind them, and what each metric's rows came to, by the
    metric's key.
    """

    variant_id: int
    key: str
    name: str
    is_control: bool
    exposures: int = 0
    units: int = 0
    metrics: Mapping[str, Description] = field(default_factory=dict)


def describe_all(
    experiment: Experiment,
    now: datetime,
    store: Store | None = None,
    *,
    within: timedelta | None = None,
) -> tuple[DescribedArm, ...]:
    """Every unit exposed so far, and every metric planned, or told under this experiment's name.

    ``within``: only units that were first exposed so lately, or so shortly before the iteration
    ended.
    """
    plan = _plan(experiment, now)
    if plan is None:
        return _nobody(experiment)
    planned = {metric.definition.key: metric.definition for metric in plan.metrics}
    told = {*names_observed(experiment.pk, MOST_METRICS), *names_told(experiment.pk)}
    others = told - planned.keys()
    found = Metric.objects.filter(key__in=others, current=True).order_by("key")
    return _described(
        plan,
        [*planned.values(), *map(definition_of, found)],
        now,
        store,
        matured=False,
        within=within,
    )


def describe_metric(
    experiment: Experiment, key: str, now: datetime, store: Store | None = None
) -> tuple[DescribedArm, ...]:
    """The units that count in the analysis of one planned metric: those whose window is over."""
    plan = _plan(experiment, now)
    if plan is None:
        return _nobody(experiment)
    definitions = [metric.definition for metric in plan.metrics if metric.definition.key == key]
    return _described(plan, definitions, now, store, matured=True)


def _plan(experiment: Experiment, now: datetime) -> AnalysisPlan | None:
    iteration = iteration_to_analyse(experiment)
    return None if iteration is None else plan_of(iteration, now)


def _nobody(experiment: Experiment) -> tuple[DescribedArm, ...]:
    """Of an experiment that was never launched."""
    return tuple(
        DescribedArm(arm.pk, arm.key, arm.name, arm.is_control) for arm in experiment.variants.all()
    )


def _described(
    plan: AnalysisPlan,
    metrics: Sequence[MetricDefinition],
    now: datetime,
    store: Store | None,
    *,
    matured: bool,
    within: timedelta | None = None,
) -> tuple[DescribedArm, ...]:
    people, source = population(plan, plan.cut(now)), store or default_store()
    if within is not None:
        people = replace(people, exposed_from=people.cut - within)
    with source.snapshot():
        counted = {arm.variant_id: arm for arm in source.arms(people)}
        found = {metric.key: source.describe(people, metric, matured=matured) for metric in metrics}
    return tuple(
        DescribedArm(
            variant_id=arm.variant_id,
            key=arm.key,
            name=arm.name,
            is_control=arm.is_control,
            exposures=met.exposures if (met := counted.get(arm.variant_id)) is not None else 0,
            units=met.units if met is not None else 0,
            metrics={
                key: by_arm[arm.variant_id]
                for key, by_arm in found.items()
                if arm.variant_id in by_arm
            },
        )
        for arm in plan.arms
    )
