"""Reading a metric otherwise: another window, other days, another cap, one segment.

Computed when asked, stored nowhere, and never a look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from analytics.core.deciding.windows import day_start
from analytics.models import AnalysisRun
from analytics.readings.judging import compared
from analytics.readings.measuring import measured_metric, population, with_caps
from analytics.selectors.looks import look_states
from analytics.selectors.plans import AnalysisPlan, PlannedMetric, iteration_to_analyse, plan_of
from analytics.selectors.results import MetricRow, ResultsView, explored_row, view_of
from analytics.stores.base import Declared, Store
from analytics.stores.default import default_store
from experiments.core.design.breakdowns import LONGEST
from experiments.core.errors import InvalidInput, NotFound, Refused
from experiments.core.figures import counted, day, moment
from experiments.core.permissions import Action, check
from experiments.core.types import Actor
from experiments.models import Experiment

LONGEST_HOURS = 24 * 90


@dataclass(frozen=True)
class ExploringChoice:
    """What is read otherwise; ``None`` leaves it as planned. Days are of first exposure, local,
    both included.

    ``segment``: only units with this value of this covariate, frozen at their first exposure.
    """

    metric: str
    window_hours: int | None = None
    first_day: date | None = None
    last_day: date | None = None
    cap: float | None = None
    segment: tuple[str, str] | None = None

    @property
    def changes(self) -> list[str]:
        """In words, what is not as planned."""
        said = (
            [f"window of {counted(self.window_hours, 'hour')}"]
            if self.window_hours is not None
            else []
        )
        said += [f"first exposed from {day(self.first_day)}"] if self.first_day else []
        said += [f"data up to the end of {day(self.last_day)}"] if self.last_day else []
        said += [f"values above {self.cap:g} count as that"] if self.cap is not None else []
        said += (
            [f"only units with {self.segment[0]} = {self.segment[1]}"]
            if self.segment is not None
            else []
        )
        return said


@dataclass(frozen=True)
class Explored:
    """One metric read otherwise; ``view`` is the stored run's with this row alone, so that it is
    drawn as results are.
    """

    reading: ExploringChoice
    row: MetricRow
    view: ResultsView
    cut: datetime


def explore(
    actor: Actor,
    now: datetime,
    *,
    experiment: Experiment,
    reading: ExploringChoice,
    store: Store | None = None,
) -> Explored:
    """Read one planned metric of the newest iteration otherwise.

    Fixed-sample and covariate estimates at the plan's level, for exploring: choosing a window by
    its answer makes p worthless. The sequential view is left out, since its promise is about the
    plan's own reading. Refused while results are masked.
    """
    check(actor, Action.VIEW, member=False, subject=experiment.key)
    iteration = iteration_to_analyse(experiment)
    run = (
        None
        if iteration is None
        else AnalysisRun.objects.filter(iteration=iteration, latest=True)
        .select_related("iteration", "experiment")
        .first()
    )
    if iteration is None or run is None or not run.results:
        raise Refused(f"{experiment.key}: has no analysis yet; explore once the first run is there")
    if run.masked:
        raise Refused(
            f"{experiment.key}: its results are masked, and so is every other reading of them; mend what masks them first"
        )
    looks = look_states(iteration)
    plan = with_caps(plan_of(iteration, now), looks[0].caps if looks else ())
    metric = _read_otherwise(experiment, plan, reading)
    people = population(plan, _cut(plan, reading, now))
    start = None if reading.first_day is None else day_start(reading.first_day, plan.time_zone)
    people = replace(people, exposed_from=start, rows_from=plan.began_at, split=_segment(reading))
    if start is not None and start >= people.cut:
        raise InvalidInput(
            f"first day: {day(reading.first_day)} is not before the end of the data, {moment(people.cut)}",
            "first_day",
        )
    alone, chosen = replace(plan, metrics=(metric,)), store or default_store()
    with chosen.snapshot():
        measured = measured_metric(alone, chosen, people, metric)
    row = explored_row(compared(alone, [measured])[0], metric)
    return Explored(reading, row, replace(view_of(run), metrics=(row,), days=()), people.cut)


def _read_otherwise(
    experiment: Experiment, plan: AnalysisPlan, reading: ExploringChoice
) -> PlannedMetric:
    found = next((one for one in plan.metrics if one.definition.key == reading.metric), None)
    if found is None:
        planned = ", ".join(one.definition.key for one in plan.metrics)
        raise NotFound(
            f"{experiment.key}: plans no metric {reading.metric[:80]!r}; planned are {planned}",
            field="metric",
        )
    if reading.window_hours is not None and not 1 <= reading.window_hours <= LONGEST_HOURS:
        raise InvalidInput(
            f"window: wanted 1 to {LONGEST_HOURS} hours, found {reading.window_hours}",
            "window_hours",
        )
    if reading.cap is not None and not 0 < reading.cap < float("inf"):
        raise InvalidInput(f"cap: wanted a number above 0, found {reading.cap}", "cap")
    definition = found.definition
    if reading.window_hours is not None:
        definition = replace(definition, window_hours=reading.window_hours)
    if reading.cap is not None:
        definition = replace(definition, cap=reading.cap, winsorised=False)
    return replace(found, definition=definition)


def _segment(reading: ExploringChoice) -> Declared | None:
    if reading.segment is None:
        return None
    name, value = reading.segment
    if not (0 < len(name) <= LONGEST and 0 < len(value) <= LONGEST):
        raise InvalidInput(
            f"segment: a covariate's name and one of its values, each of 1 to {LONGEST} characters",
            "segment",
        )
    return Declared(name, (value,))


def _cut(plan: AnalysisPlan, reading: ExploringChoice, now: datetime) -> datetime:
    """The end of the last day asked for, but no later than what the analysis itself may read."""
    latest = plan.cut(now)
    return (
        latest
        if reading.last_day is None
        else min(latest, day_start(reading.last_day + timedelta(days=1), plan.time_zone))
    )
