"""What guarding asks beyond a metric's totals: when bad events first came, what units are worth, what they have cost.

Ibis expressions, the same for every store; nothing here touches a database.
"""

from __future__ import annotations

from dataclasses import replace

import ibis
from ibis.expr.types import Table

from analytics.stores.base import Population
from analytics.stores.expressions import ASSIGNMENTS, COSTS, EVENTS, UnitFromMap, events_of, moment, unit_id, value_per_unit
from analytics.stores.forms import Question, summed
from experiments.core.metric_definitions import REQUEST_COST, MetricDefinition
from experiments.core.types import Environment, Phase

SPENDING = (Phase.MAIN.value, Phase.DARK.value, Phase.TWIN.value)
"""Phases whose units cost the experiment something; a rollout's and a tester's do not."""


def exposed_by_hour(question: Question) -> Table:
    """Per variant and hour: units first exposed."""
    people = question.units
    return people.group_by("variant_id", hour=people.start.truncate("h")).aggregate(units=people.count())


def first_rows_by_hour(question: Question) -> Table:
    """Per variant and hour: units whose first row of the metric came in it."""
    met = question.met(question.units)
    firsts = met.group_by("assignment", "variant_id").aggregate(at=met.at.min())
    return firsts.group_by("variant_id", hour=firsts.at.truncate("h")).aggregate(units=firsts.count())


def outcome_and_cost(question: Question, cost: MetricDefinition) -> Table:
    """Per variant: units, and sums and products of outcome y and cost c of each unit within the outcome's window (silent: 0)."""
    people = question.units
    outcome = value_per_unit(question.met(people), question.metric)
    beside = replace(question, metric=replace(cost, window_hours=question.metric.window_hours, aggregation="sum"))
    costs = value_per_unit(beside.met(people), beside.metric).rename(c="y")
    every = people.left_join(outcome.drop("variant_id"), "assignment").drop("assignment_right")
    every = every.left_join(costs.drop("variant_id"), "assignment")
    every = every.mutate(y=ibis.coalesce(every.y, 0.0), c=ibis.coalesce(every.c, 0.0))
    return every.group_by("variant_id").aggregate(n=every.count(), **summed(every, ("y", "c")))


def spent(population: Population, unit_from_map: UnitFromMap) -> Table:
    """One row: the cost of the iteration's units since each was exposed, in micros.

    A request whose cost was metered counts by that, not by what its events say. Rows stamped with another
    experiment are another one's.
    """
    table = ASSIGNMENTS
    people = table.filter(
        table.iteration_id == population.iteration_id,
        table.environment == Environment.PRODUCTION.value,
        table.phase.isin(SPENDING),
        table.exposure_ts <= moment(population.cut),
    ).select(unit=table.user_id, start=table.exposure_ts)
    metered = COSTS.filter(COSTS.environment == Environment.PRODUCTION.value, COSTS.cost_micro.notnull()).select("request_id").distinct()
    own = EVENTS.filter(EVENTS.cost_micro.notnull()).anti_join(metered, "request_id")
    rows = ibis.union(*(_costly(one, population, unit_from_map) for one in (own, events_of((REQUEST_COST,)))))
    met = people.inner_join(rows, [people.unit == rows.row_unit, rows.at >= people.start])
    return met.aggregate(cost=met.cost.sum())


def _costly(rows: Table, population: Population, unit_from_map: UnitFromMap) -> Table:
    found = rows.filter(
        rows.environment == Environment.PRODUCTION.value,
        rows.ts <= moment(population.cut),
        rows.experiment_id.isnull() | (rows.experiment_id == population.experiment_id),
        rows.event_date <= ibis.literal(population.cut.date()),
    )
    if population.rows_from is not None:
        found = found.filter(found.event_date >= ibis.literal(population.rows_from.date()))
    return found.select(row_unit=unit_id(found, population.unit_type, unit_from_map), at=found.ts, cost=found.cost_micro)
