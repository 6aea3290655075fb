"""A/A replays: an experiment's own control arm split anew, through the same store and the same
kinds as its results.

Whether the platform's error rates hold on this product's data is a question to the data;
simulations (``manage.py calibrate``) cannot answer it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from django.db import transaction

from analytics.core.ground.encoding import plain
from analytics.core.ground.observed import Observed, Remembered
from analytics.core.kinds import kind_of
from analytics.core.scans.replay import replay
from analytics.models import NullReplay as ReplayRow
from analytics.readings.measuring import covariate_of, population
from analytics.selectors.plans import AnalysisPlan, PlannedMetric, iteration_to_analyse, plan_of
from analytics.services.analysis.analysis import ENGINE
from analytics.stores.base import Population, Store
from analytics.stores.default import default_store
from experiments.core.errors import InvalidInput, Refused
from experiments.selectors.experiments import resolve

SPLITS = 1000
MOST_SPLITS = 100_000


def replay_control(
    experiment_id: int,
    *,
    now: datetime,
    splits: int = SPLITS,
    seed: int = 1,
    store: Store | None = None,
) -> tuple[ReplayRow, ...]:
    """Split the control arm ``splits`` times and store each metric's p-values; raw, and with
    covariates where some are known.
    """
    if not 1 <= splits <= MOST_SPLITS:
        raise InvalidInput(f"splits: expected 1 to {MOST_SPLITS:,}, found {splits}", field="splits")
    experiment = resolve(experiment_id)
    iteration = iteration_to_analyse(experiment)
    if iteration is None:
        raise Refused(f"{experiment.key}: was never launched, so there is no control arm to split")
    plan = plan_of(iteration, now)
    people = _control_by_cell(plan, now)
    known = {
        "experiment": experiment,
        "iteration": iteration,
        "seed": seed,
        "versions": {"engine": ENGINE},
        "data_cut": people.cut,
        "computed_at": now,
    }
    rows = [
        ReplayRow(**known, **of_metric)
        for metric in plan.metrics
        for of_metric in _replayed(
            metric, _cells(plan, metric, people, store or default_store()), splits, seed
        )
    ]
    with transaction.atomic():
        return tuple(ReplayRow.objects.bulk_create(rows))


def _control_by_cell(plan: AnalysisPlan, now: datetime) -> Population:
    if plan.control is None:
        raise Refused(f"{plan.key}: has no control arm to split")
    return replace(
        population(plan, plan.cut(now)),
        variants=(plan.control.variant_id,),
        grouping="cell",
        rows_from=plan.began_at,
    )


def _cells(
    plan: AnalysisPlan, metric: PlannedMetric, people: Population, store: Store
) -> Sequence[Observed]:
    """Totals of each cell that holds units, in the cells' order, so that a seed means the same
    splits.
    """
    if kind_of(metric.definition.kind.value).form not in ("unit", "ratio"):
        return ()
    with store.snapshot():
        found = store.totals(people, metric.definition, covariate=covariate_of(plan, metric))
    return tuple(found[cell].totals for cell in sorted(found))


def _replayed(
    metric: PlannedMetric, cells: Sequence[Observed], splits: int, seed: int
) -> list[dict[str, object]]:
    """The columns of one metric's rows: raw, and with covariates where the totals hold them."""
    definition = metric.definition
    kind = definition.kind.value
    ways = [False, True] if cells and isinstance(cells[0], Remembered) else [False]
    found = [
        replay(kind, cells, splits, np.random.default_rng(seed), adjusted=adjusted)
        for adjusted in ways
    ]
    units = sum(kind_of(kind).units(cell) for cell in cells)
    return [
        {
            "metric_key": definition.key,
            "metric_version": definition.version,
            "method": one.method,
            "units": units,
            "result": plain(one),
        }
        for one in found
    ]
