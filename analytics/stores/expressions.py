"""The totals as Ibis expressions, the same for every store; only reading a unit's id out of a row's map differs.

Nothing here touches a database: a store compiles an expression to its dialect and runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import ibis
from ibis.expr.types import BooleanValue, StringValue, Table, Value

from analytics.core.windows import GRACE
from analytics.stores.base import Population
from experiments.core.metric_definitions import MetricDefinition
from experiments.core.types import Environment

UnitFromMap = Callable[[Table, str], StringValue]
"""How a store reads the id of a unit type out of the ``units`` column."""

MOMENT = "timestamp('UTC')"
ASSIGNMENTS = ibis.table(
    {
        "id": "int64",
        "user_id": "string",
        "iteration_id": "int64",
        "variant_id": "int64",
        "phase": "string",
        "exposure_ts": MOMENT,
        "exposure_count": "int64",
        "crossover": "boolean",
        "environment": "string",
    },
    name="experiment_assignments",
)
_ROW = {
    "event_date": "date",
    "event_id": "string",
    "user_id": "string",
    "unit_type": "string",
    "units": "json",
    "experiment_id": "int64",
    "variant_id": "int64",
    "value": "float64",
    "environment": "string",
}
EVENTS = ibis.table(
    {**_ROW, "ts": MOMENT, "event_type": "string", "latency_ms": "int64", "cost_micro": "int64"},
    name="ai_events",
)
OBSERVATIONS = ibis.table({**_ROW, "timestamp": MOMENT, "metric_name": "string"}, name="ai_ab_metrics")


def arms(population: Population) -> Table:
    """Per variant: units, exposures, crossovers, first and last first exposure."""
    met = _exposed(population)
    return met.group_by("variant_id").aggregate(
        units=met.count(),
        exposures=met.exposure_count.sum(),
        crossovers=met.crossover.ifelse(1, 0).sum(),
        first=met.exposure_ts.min(),
        last=met.exposure_ts.max(),
    )


def totals(population: Population, metric: MetricDefinition, unit_from_map: UnitFromMap, *, matured: bool) -> Table:
    """Per variant: units exposed, units with a row, Σy and Σy² over those."""
    units = _units(population, metric, matured=matured)
    exposed = units.group_by("variant_id").aggregate(exposed=units.count())
    values = _value_per_unit(_joined(units, _rows(population, metric, unit_from_map), metric), metric)
    sums = values.group_by("variant_id").aggregate(answered=values.count(), sum_y=values.y.sum(), sum_y2=(values.y * values.y).sum())
    return exposed.left_join(sums, "variant_id").select("variant_id", "exposed", "answered", "sum_y", "sum_y2")


def _exposed(population: Population) -> Table:
    """Production assignments of the iteration and phase, first exposed within the population's span."""
    table = ASSIGNMENTS
    found = table.filter(
        table.iteration_id == population.iteration_id,
        table.environment == Environment.PRODUCTION.value,
        table.phase == population.phase.value,
        table.exposure_ts <= _at(population.cut),
    )
    if population.exposed_from is not None:
        found = found.filter(found.exposure_ts >= _at(population.exposed_from))
    return found


def _units(population: Population, metric: MetricDefinition, *, matured: bool) -> Table:
    """The units a metric counts: everybody exposed, or the matured ones whose window overlaps no long pause."""
    met = _exposed(population)
    window = _window(metric)
    if matured and window is not None:
        met = met.filter(met.exposure_ts <= _at(population.cut - window - GRACE))
    for begins, ends in population.blackouts if matured else ():
        starts_after = met.exposure_ts >= _at(ends)
        ends_before = met.exposure_ts <= _at(begins - window) if window is not None else ibis.literal(False)
        met = met.filter(starts_after | ends_before)
    return met.select(assignment=met.id, unit=met.user_id, variant_id=met.variant_id, start=met.exposure_ts)


def _rows(population: Population, metric: MetricDefinition, unit_from_map: UnitFromMap) -> Table:
    """Production rows of the metric up to the cut: whose they are, when, and their number."""
    if metric.source == "event":
        table, at = EVENTS, EVENTS.ts
        rows = table.filter(table.event_type.isin(list(metric.event_types)))
    else:
        table, at = OBSERVATIONS, OBSERVATIONS.timestamp
        rows = table.filter(table.metric_name == metric.key)
        rows = rows.filter(rows.experiment_id.isnull() | (rows.experiment_id == population.experiment_id))
    rows = rows.filter(rows.environment == Environment.PRODUCTION.value, at <= _at(population.cut))
    if population.rows_from is not None:
        rows = rows.filter(rows.event_date >= ibis.literal(population.rows_from.date()))
    rows = rows.filter(rows.event_date <= ibis.literal(population.cut.date()))
    if metric.attribution == "stamped":
        rows = rows.filter(rows.experiment_id == population.experiment_id)
    return rows.select(
        row_unit=unit_id(rows, population.unit_type, unit_from_map),
        row_variant=rows.variant_id,
        at=rows.ts if metric.source == "event" else rows.timestamp,
        row_id=rows.event_id,
        number=_number(rows, metric),
    )


def unit_id(rows: Table, unit_type: str, unit_from_map: UnitFromMap) -> Value:
    """The id a row carries for a unit type: its own id, else the one in its map; null when it has none.

    A visitor is the user where the row knows one, else the session; as serving assigned it.
    """
    own = ibis.cases((rows.unit_type == unit_type, rows.user_id), else_=unit_from_map(rows, unit_type))
    if unit_type != "visitor":
        return own
    return ibis.coalesce(own, unit_id(rows, "user", unit_from_map), unit_id(rows, "session", unit_from_map))


def _number(rows: Table, metric: MetricDefinition) -> Value:
    """A row's number; an event that carries none happened once."""
    if metric.value_field == "latency_ms":
        return rows.latency_ms.cast("float64")
    if metric.value_field == "cost_micro":
        return rows.cost_micro.cast("float64")
    if metric.source == "event" and metric.aggregation in ("any", "count", "sum"):
        return ibis.coalesce(rows.value, 1.0)
    return rows.value


def _joined(units: Table, rows: Table, metric: MetricDefinition) -> Table:
    """Each unit's rows inside its window."""
    window = _window(metric)
    conditions: list[BooleanValue] = [units.unit == rows.row_unit, rows.at >= units.start]
    if window is not None:
        conditions.append(rows.at < units.start + ibis.interval(hours=metric.window_hours))
    if metric.attribution == "stamped":
        conditions.append(units.variant_id == rows.row_variant)
    joined = units.inner_join(rows, conditions)
    return joined.filter(joined.number > 0) if metric.aggregation == "any" else joined.filter(joined.number.notnull())


def _value_per_unit(rows: Table, metric: MetricDefinition) -> Table:
    """One y for each unit that has rows, capped where the metric is."""
    if metric.aggregation == "last":
        order = ibis.window(group_by=rows.assignment, order_by=[rows.at.desc(), rows.row_id.desc()])
        ranked = rows.mutate(place=ibis.row_number().over(order))
        values = ranked.filter(ranked.place == 0).select("assignment", "variant_id", y=ibis._.number)
    else:
        reduced = {
            "any": ibis.literal(1.0) + rows.count() * 0,
            "count": rows.count().cast("float64"),
            "sum": rows.number.sum(),
            "mean": rows.number.mean(),
            "max": rows.number.max(),
        }[metric.aggregation]
        values = rows.group_by("assignment", "variant_id").aggregate(y=reduced)
    return values if metric.cap is None else values.mutate(y=ibis.least(values.y, float(metric.cap)))


def _window(metric: MetricDefinition) -> timedelta | None:
    return None if metric.window_hours is None else timedelta(hours=metric.window_hours)


def _at(moment: datetime) -> Value:
    return ibis.literal(moment)
