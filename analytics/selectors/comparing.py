"""Two stored runs of an experiment beside each other: what the same comparison came to in each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from analytics.models import AnalysisRun, Look
from analytics.selectors.results import ComparisonView, ResultsView, view_of
from experiments.models import Experiment

MOST = 100


@dataclass(frozen=True)
class RunName:
    """A stored run as one chooses it. ``look``: the last look that it or an earlier run of its
    iteration took.
    """

    pk: int
    iteration: int
    data_cut: datetime
    latest: bool
    masked: bool
    look: int | None


@dataclass(frozen=True)
class ComparedPair:
    """One comparison in both runs; ``None`` where a run has none. ``changed`` is the second
    difference less the first.
    """

    metric: str
    role: str
    arm: str
    kind: str
    first: ComparisonView | None
    second: ComparisonView | None

    @property
    def share(self) -> bool:
        """Whether its numbers are shares of units."""
        return self.kind == "proportion"

    @property
    def changed(self) -> float | None:
        one, two = (side.difference if side else None for side in (self.first, self.second))
        return None if one is None or two is None else two - one


def runs_of(experiment: Experiment) -> list[RunName]:
    """The runs that are kept: the newest of each iteration, and every one that took a look; newest
    first.
    """
    rows = AnalysisRun.objects.filter(experiment=experiment).order_by("-data_cut", "-pk")
    found = list(
        rows.values_list("pk", "iteration__number", "data_cut", "latest", "masked", "iteration_id")[
            :MOST
        ]
    )
    looks: dict[int, list[tuple[datetime, int]]] = {}
    for iteration, taken, number in Look.objects.filter(
        iteration__experiment=experiment
    ).values_list("iteration_id", "taken_at", "number"):
        looks.setdefault(iteration, []).append((taken, number))
    return [
        RunName(pk, number, cut, latest, masked, _look(looks.get(it, []), cut))
        for pk, number, cut, latest, masked, it in found
    ]


def run_view(experiment: Experiment, pk: int) -> ResultsView | None:
    """A stored run's results, masked as ever; None when the experiment has no such run."""
    run = (
        AnalysisRun.objects.filter(experiment=experiment, pk=pk)
        .select_related("iteration", "experiment")
        .first()
    )
    return None if run is None else view_of(run)


def side_by_side(first: ResultsView, second: ResultsView) -> list[ComparedPair]:
    """Every comparison that either run made, in the second's order."""
    one, two = _by_metric_and_arm(first), _by_metric_and_arm(second)
    keys = [*two, *(key for key in one if key not in two)]
    rows = {row.key: row for row in (*first.metrics, *second.metrics)}
    return [
        ComparedPair(
            rows[m].name, rows[m].role, arm, rows[m].kind, one.get((m, arm)), two.get((m, arm))
        )
        for m, arm in keys
    ]


def _by_metric_and_arm(view: ResultsView) -> dict[tuple[str, str], ComparisonView]:
    return {(row.key, one.arm): one for row in view.metrics for one in row.comparisons}


def _look(taken: list[tuple[datetime, int]], cut: datetime) -> int | None:
    return max((number for at, number in taken if at <= cut), default=None)
