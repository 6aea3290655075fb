"""When an experiment's numbers change although nobody sends anything: a local day ends, and so do
units' windows.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from analytics.core.deciding.windows import GRACE, day_start
from analytics.models import AnalysisRun, Assignment
from analytics.selectors.plans import AnalysisPlan, iteration_to_analyse, plan_of
from experiments.core.clock import local_day
from experiments.models import Experiment
from experiments.selectors.experiments import open_iteration, resolve

SHARE = 0.005
"""So large a part of the units may mature before they are counted."""


def next_of_analysis(experiment_id: int, now: datetime) -> datetime | None:
    """The first moment from which an analysis may find something else. Looks, alarms and planned
    ends go by local days.
    """
    iteration = iteration_to_analyse(Experiment.objects.get(pk=experiment_id))
    if iteration is None or iteration.ended_at is not None:
        return None
    plan = plan_of(iteration, now)
    midnight = day_start(local_day(now, plan.time_zone) + timedelta(days=1), plan.time_zone)
    return min([midnight, *_matured(plan, now)])


def _matured(plan: AnalysisPlan, now: datetime) -> list[datetime]:
    """By window, when so many more units have matured that it shows."""
    few = int(_units(plan) * SHARE)
    found = []
    for window in {metric.window for metric in plan.metrics if metric.window is not None}:
        open_ones = Assignment.objects.filter(
            iteration=plan.iteration_id, exposure_ts__gt=now - window - GRACE
        )
        found += [
            at + window + GRACE
            for at in open_ones.order_by("exposure_ts").values_list("exposure_ts", flat=True)[
                few : few + 1
            ]
        ]
    return found


def _units(plan: AnalysisPlan) -> int:
    arms = (
        AnalysisRun.objects.filter(iteration=plan.iteration_id, latest=True)
        .values_list("totals__arms", flat=True)
        .first()
    )
    return sum(arm["units"] for arm in arms or [])


def next_of_dark_launch(experiment_id: int, now: datetime) -> datetime | None:
    """When it has been dark for as long as its policy asks."""
    iteration = open_iteration(resolve(experiment_id))
    if iteration is None or iteration.dark_started_at is None:
        return None
    long_enough = iteration.dark_started_at + timedelta(
        hours=plan_of(iteration, now).rules.dark_min_hours
    )
    return long_enough if long_enough > now else None
