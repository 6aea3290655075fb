"""What stands behind a metric's numbers: its totals, what was asked of the store, and by which
versions. It changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from analytics.core.shown_work import WorkLine, steps
from analytics.models import AnalysisRun
from analytics.readings.measuring import covariate_of, population
from analytics.selectors.plans import AnalysisPlan, PlannedMetric, plan_of
from analytics.selectors.results import (
    ComparisonView,
    MetricArmView,
    MetricRow,
    ResultsView,
    view_of,
)
from experiments.core.errors import NotFound
from experiments.core.types import Origin
from experiments.models import Experiment


@dataclass(frozen=True)
class ArmWork:
    """One test arm against control: what was stored, and the arithmetic that leads there."""

    arm: str
    stored: ComparisonView
    steps: tuple[WorkLine, ...]


@dataclass(frozen=True)
class ShownWork:
    """A metric of the newest run with everything that it rests on; ``row`` is None while results
    are masked.
    """

    view: ResultsView
    metric: PlannedMetric
    row: MetricRow | None
    arms: tuple[MetricArmView, ...]
    work: tuple[ArmWork, ...]
    statements: tuple[str, ...]
    pauses: tuple[tuple[datetime, datetime], ...]
    left_out: bool
    cap: float | None
    covariate: str | None
    engine: str
    metric_version: int
    seed: str


def shown_work(experiment: Experiment, key: str) -> ShownWork:
    """The work behind one metric, from the stored run alone: no store is asked."""
    runs = AnalysisRun.objects.filter(experiment=experiment, latest=True).select_related(
        "iteration__layer", "experiment"
    )
    run = runs.order_by("-iteration__number").first()
    if run is None:
        raise NotFound(f"{experiment.key}: there is no analysis yet whose work could be shown")
    plan, view = plan_of(run.iteration, run.computed_at), view_of(run)
    metric = next((one for one in plan.metrics if one.definition.key == key), None)
    if metric is None:
        raise NotFound(
            f"{experiment.key}: plans no metric {key[:80]!r}; planned are {', '.join(m.definition.key for m in plan.metrics)}"
        )
    row = next((one for one in view.metrics if one.key == key and one.role == metric.role), None)
    cap = metric.definition.cap if row is None else row.cap
    return ShownWork(
        view=view,
        metric=metric,
        row=row,
        arms=() if row is None else row.arms,
        work=() if row is None else _work(plan, row),
        statements=_statements(plan, metric, run.data_cut, cap),
        pauses=plan.pauses,
        left_out=bool(plan.pauses),
        cap=cap,
        covariate=covariate_of(plan, metric),
        engine=str(run.versions.get("engine", "")),
        metric_version=metric.definition.version,
        seed="" if run.iteration.layer is None else run.iteration.layer.seed,
    )


def _work(plan: AnalysisPlan, row: MetricRow) -> tuple[ArmWork, ...]:
    sums = {arm.arm: arm.sums for arm in row.arms}
    control = sums.get(plan.control.key, {}) if plan.control is not None else {}
    return tuple(
        ArmWork(one.arm, one, steps(row.kind, control, sums.get(one.arm, {})))
        for one in row.comparisons
    )


def _statements(
    plan: AnalysisPlan, metric: PlannedMetric, cut: datetime, cap: float | None
) -> tuple[str, ...]:
    from analytics.stores.postgres import statements  # here: it loads ibis, which few pages need

    people = population(plan, cut)
    if plan.origin is Origin.LIVE:
        people = replace(people, rows_from=plan.began_at)
    definition = replace(
        metric.definition, cap=cap, winsorised=metric.definition.winsorised and cap is None
    )
    return statements(people, definition, covariate_of(plan, metric))
