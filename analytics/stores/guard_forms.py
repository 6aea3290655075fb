"""What guarding asks beyond a metric's totals: when bad events first came, what units are worth,
what they have cost.

Ibis expressions, the same for every store; nothing here touches a database.
"""

from __future__ import annotations

from dataclasses import replace

import ibis
from ibis.expr.types import Table

from analytics.stores.base import Population
from analytics.stores.cost_forms import costly
from analytics.stores.expressions import ASSIGNMENTS, UnitFromMap, moment, row_since, value_per_unit
from analytics.stores.forms import Question
from analytics.stores.origins import Origins, totalled
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.types import Environment, Phase

SPENDING = (Phase.MAIN.value, Phase.DARK.value, Phase.TWIN.value)
"""Phases whose units cost the experiment something; a rollout's and a tester's do not."""


def exposed_by_hour(question: Question) -> Table:
    """Per variant and hour: units first exposed."""
    people = question.units
    return people.group_by("variant_id", hour=people.start.truncate("h")).aggregate(
        units=people.count()
    )


def first_rows_by_hour(question: Question) -> Table:
    """Per variant and hour: units whose first row of the metric came in it."""
    met = question.met(question.units)
    if question.metric.kind == "proportion":
        met = met.filter(met.number > 0)
    firsts = met.group_by("assignment", "variant_id").aggregate(at=met.at.min())
    return firsts.group_by("variant_id", hour=firsts.at.truncate("h")).aggregate(
        units=firsts.count()
    )


def outcome_and_cost(
    question: Question, cost: MetricDefinition, origins: Origins | None = None
) -> Table:
    """Per variant: totals of outcome y and cost c of each unit within the outcome's window (silent:
    0).
    """
    people = question.units
    outcome = value_per_unit(question.met(people), question.metric)
    beside = replace(
        question, metric=replace(cost, window_hours=question.metric.window_hours, aggregation="sum")
    )
    costs = value_per_unit(beside.met(people), beside.metric).rename(c="y")
    every = people.left_join(outcome.drop("variant_id"), "assignment").drop("assignment_right")
    every = every.left_join(costs.drop("variant_id"), "assignment")
    every = every.mutate(y=ibis.coalesce(every.y, 0.0), c=ibis.coalesce(every.c, 0.0))
    return totalled(every, ("variant_id",), ("y", "c"), origins)


def spent(population: Population, unit_from_map: UnitFromMap) -> Table:
    """One row: the cost of the iteration's units since each was exposed, in micros.

    A request whose cost was metered counts by that, not by what its events say. Rows stamped with
    another experiment are another one's.
    """
    table = ASSIGNMENTS
    people = table.filter(
        table.iteration_id == population.iteration_id,
        table.environment == Environment.PRODUCTION.value,
        table.phase.isin(SPENDING),
        table.exposure_ts <= moment(population.cut),
    ).select(unit=table.user_id, start=row_since(table, population))
    rows = costly(population, unit_from_map)
    met = people.inner_join(rows, [people.unit == rows.row_unit, rows.at >= people.start])
    return met.aggregate(cost=met.cost_micro.sum())
