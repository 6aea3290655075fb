"""What a metric has been like lately, as totals over units that met no experiment: the ground that
a plan stands on.

A unit begins at its first exposure or its first row of any kind in the span, as it would at its
first exposure, and its value is that of its rows in the metric's window after that; only units
whose window is over count. A unit that was only exposed counts too, as one of which nothing came:
an application whose events are successes would otherwise look as if everybody succeeded. So a
baseline means what the experiment will measure, not what a month of rows adds up to. Only
production rows of applications count: what was imported or sent by tests is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ibis
from django.db import connection
from ibis.expr.types import StringValue, Table, Value

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.stores.compiled import compiled
from analytics.stores.expressions import MOMENT, events_of, unit_id
from analytics.stores.origins import Origins, asked, moments_of, totalled
from analytics.stores.postgres import jsonb_extract_path_text
from analytics.stores.spans import PastSpan
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.types import Environment, Origin

NEIGHBOURS = {0.5: (0.25, 0.75)}
"""Quantiles between which the density at a quantile is read; others: half-way to the nearer end on
both sides.
"""
_COLUMNS = {
    "event_date": "date",
    "event_id": "string",
    "user_id": "string",
    "unit_type": "string",
    "units": "json",
    "value": "float64",
    "environment": "string",
    "origin": "string",
}
_EVENTS = ibis.table(
    {
        **_COLUMNS,
        "ts": MOMENT,
        "event_type": "string",
        "latency_ms": "int64",
        "cost_micro": "int64",
    },
    name="ai_events",
)
_EXPOSURES = ibis.table(
    {
        "user_id": "string",
        "unit_type": "string",
        "exposure_ts": MOMENT,
        "environment": "string",
        "origin": "string",
    },
    name="experiment_assignments",
)
_OBSERVATIONS = ibis.table(
    {**_COLUMNS, "timestamp": MOMENT, "metric_name": "string"}, name="ai_ab_metrics"
)


@dataclass(frozen=True)
class Visits:
    """Units seen in a span: how many in all, on how many days, day by day on average, and how many
    of them were exposed.
    """

    units: int
    days: int
    daily: float
    exposed: int


@dataclass(frozen=True)
class QuantilePast:
    """A quantile of all rows and its two neighbours, and per unit the rows at or below it (y) of
    all its rows (d).
    """

    level: float
    value: float
    low: float
    high: float
    mass: float
    per_unit: UnitMoments


def visits(span: PastSpan) -> Visits:
    """Who came."""
    rows = _everything(span)
    per_day = rows.group_by("day").aggregate(units=rows.unit.nunique())
    (days,) = _run(per_day.aggregate(days=per_day.count(), daily=per_day.units.mean()))
    (whole,) = _run(
        rows.aggregate(units=rows.unit.nunique(), exposed=rows.unit.nunique(where=rows.exposed))
    )
    return Visits(
        int(whole["units"] or 0),
        int(days["days"] or 0),
        float(days["daily"] or 0.0),
        int(whole["exposed"] or 0),
    )


@dataclass(frozen=True)
class UnitPast:
    """Totals of one value per unit, and how many units had rows of the metric; where silence is
    zero, the others count as 0.
    """

    totals: Totals
    answered: int


def unit_past(span: PastSpan, metric: MetricDefinition) -> UnitPast:
    """n, Σy and Σy² of one value per unit (proportions, means, counts)."""
    units = _beginning(span, metric)
    values = _value_per_unit(_inside(units, _rows(span, metric), metric), metric)
    every = units.left_join(values, "unit").select("unit", "y")
    found = _totals(every, ("y",), lambda rows: {"units": rows.unit.count()})
    n = int(found["units"]) if metric.silent_unit_is_zero else None
    return UnitPast(moments_of(found, ("y",), n).of("y"), int(found["answered"]))


def ratio_moments(span: PastSpan, metric: MetricDefinition) -> UnitMoments:
    """Moments of numerator and denominator per unit; a unit without rows of one kind has 0
    there.
    """
    units = _beginning(span, metric)
    above = _value_per_unit(_inside(units, _rows(span, metric), metric), metric)
    below_rows = _inside(units, _rows(span, metric, below=True), metric)
    summed = metric.source == "observation" and metric.denominator_event_types
    below = below_rows.group_by("unit").aggregate(
        d=below_rows.number.sum() if summed else below_rows.count().cast("float64")
    )
    both = units.left_join(above, "unit").select("unit", y=ibis.coalesce(above.y, 0.0))
    both = both.left_join(below, "unit").select(y=both.y, d=ibis.coalesce(below.d, 0.0))
    return _moments(both)


def quantile_past(span: PastSpan, metric: MetricDefinition, level: float) -> QuantilePast | None:
    """The quantile of the metric's rows, its neighbours, and how its share of rows varies between
    units; None without rows.
    """
    rows = _inside(_beginning(span, metric), _rows(span, metric), metric)
    low, high = NEIGHBOURS.get(level) or _around(level)
    (found,) = _run(
        rows.aggregate(
            value=rows.number.quantile(level),
            low=rows.number.quantile(low),
            high=rows.number.quantile(high),
        )
    )
    if found["value"] is None:
        return None
    below = rows.number <= found["value"]
    per_unit = rows.group_by("unit").aggregate(
        y=below.ifelse(1.0, 0.0).sum(), d=rows.count().cast("float64")
    )
    return QuantilePast(
        level,
        found["value"],
        found["low"],
        found["high"],
        high - low,
        _moments(per_unit.select("y", "d")),
    )


def _around(level: float) -> tuple[float, float]:
    reach = min(level, 1 - level) / 2
    return level - reach, level + reach


def _moments(table: Table) -> UnitMoments:
    """Moments of y and d."""
    return moments_of(_totals(table, ("y", "d")), ("y", "d"))


def _totals(
    table: Table,
    names: tuple[str, ...],
    beside: Callable[[Table], Mapping[str, Value]] = lambda _: {},
) -> dict[str, Any]:
    """One row of totals over the whole table."""

    def text(origins: Origins | None) -> str:
        return compiled(totalled(table, (), names, origins, beside))

    [found] = asked(_run_text, text(None), text, (), names)
    return found


def _everything(span: PastSpan) -> Table:
    """Unit and moment of every row that says a unit was there."""
    parts = [
        _of_span(_EVENTS, _EVENTS.ts, span),
        _of_span(_OBSERVATIONS, _OBSERVATIONS.timestamp, span),
    ]
    rows = [
        part.select("unit", "at", day=part.event_date, exposed=ibis.literal(False))
        for part in parts
    ]
    return ibis.union(*rows, _exposed(span))


def _exposed(span: PastSpan) -> Table:
    """Unit and moment of every first exposure to any experiment, whatever came of it."""
    rows = _EXPOSURES
    rows = rows.filter(
        rows.unit_type == span.unit_type,
        rows.exposure_ts >= ibis.literal(span.since),
        rows.exposure_ts <= ibis.literal(span.cut),
        rows.environment == Environment.PRODUCTION.value,
        rows.origin == Origin.LIVE.value,
    )
    day = rows.exposure_ts.cast("timestamp('UTC')").date()
    return rows.select(unit=rows.user_id, at=rows.exposure_ts, day=day, exposed=ibis.literal(True))


def _beginning(span: PastSpan, metric: MetricDefinition) -> Table:
    """Each unit with its first moment, if its window is over by the cut."""
    rows = _everything(span)
    units = rows.group_by("unit").aggregate(start=rows.at.min())
    if metric.window_hours is None:
        return units
    return units.filter(
        units.start <= ibis.literal(span.cut - timedelta(hours=metric.window_hours))
    )


def _rows(span: PastSpan, metric: MetricDefinition, *, below: bool = False) -> Table:
    """The metric's rows: whose, when, and their number; ``below`` the line of a ratio."""
    if metric.source == "event":
        events = events_of(metric.denominator_event_types if below else metric.event_types)
        rows = _of_span(events, events.ts, span)
    else:
        rows = _of_span(_OBSERVATIONS, _OBSERVATIONS.timestamp, span)
        names = (
            metric.denominator_event_types
            if below and metric.denominator_event_types
            else (metric.key,)
        )
        rows = rows.filter(rows.metric_name.isin(list(names)))
    return rows.select("unit", "at", "event_id", number=_number(rows, metric))


def _of_span(table: Table, at: Value, span: PastSpan) -> Table:
    """Rows of applications in production within the span, with the unit they are of."""
    rows = table.mutate(at=at, unit=unit_id(table, span.unit_type, _unit_from_map))
    return rows.filter(
        rows.event_date >= ibis.literal(span.since.date()),
        rows.event_date <= ibis.literal(span.cut.date()),
        rows.at >= ibis.literal(span.since),
        rows.at <= ibis.literal(span.cut),
        rows.environment == Environment.PRODUCTION.value,
        rows.origin == Origin.LIVE.value,
        rows.unit.notnull(),
    )


def _unit_from_map(rows: Table, unit_type: str) -> StringValue:
    found: StringValue = jsonb_extract_path_text(rows.units, unit_type)
    return found


def _number(rows: Table, metric: MetricDefinition) -> Value:
    """A row's number; an event that carries none happened once."""
    if metric.value_field in ("latency_ms", "cost_micro"):
        return rows[metric.value_field].cast("float64")
    if metric.source == "event" and metric.aggregation in ("any", "count", "sum"):
        return ibis.coalesce(rows.value, 1.0)
    return rows.value


def _inside(units: Table, rows: Table, metric: MetricDefinition) -> Table:
    """Each unit's rows inside its window."""
    conditions = [units.unit == rows.unit, rows.at >= units.start]
    if metric.window_hours is not None:
        conditions.append(rows.at < units.start + ibis.interval(hours=metric.window_hours))
    joined = units.inner_join(rows, conditions).select(
        unit=units.unit, at=rows.at, event_id=rows.event_id, number=rows.number
    )
    return (
        joined.filter(joined.number > 0)
        if metric.aggregation == "any"
        else joined.filter(joined.number.notnull())
    )


def _value_per_unit(rows: Table, metric: MetricDefinition) -> Table:
    """One y for each unit that has rows, capped where the metric is."""
    if metric.aggregation == "last":
        order = ibis.window(group_by=rows.unit, order_by=[rows.at.desc(), rows.event_id.desc()])
        ranked = rows.mutate(place=ibis.row_number().over(order))
        values = ranked.filter(ranked.place == 0).select("unit", y=ibis._.number)
    else:
        reduced: Mapping[str, Value] = {
            "any": ibis.literal(1.0) + rows.count() * 0,
            "count": rows.count().cast("float64"),
            "sum": rows.number.sum(),
            "mean": rows.number.mean(),
            "max": rows.number.max(),
        }
        value = reduced[metric.aggregation]
        if metric.kind == "proportion" and metric.aggregation == "max":
            value = (value > 0).ifelse(1.0, 0.0)
        values = rows.group_by("unit").aggregate(y=value)
    return (
        values if metric.cap is None else values.mutate(y=ibis.least(values.y, float(metric.cap)))
    )


def _run(expression: Table) -> list[dict[str, Any]]:
    """Rows as dicts. Any: columns have the types of their table."""
    return _run_text(compiled(expression))


def _run_text(sql: str) -> list[dict[str, Any]]:
    """The same of a text, on Django's own connection."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
