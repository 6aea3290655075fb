"""Units, their rows and their values as Ibis expressions, the same for every store; only reading
JSON differs.

Nothing here touches a database: a store compiles an expression to its dialect and runs it. What is
totalled of them is in ``forms``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import ibis
from ibis.expr.types import BooleanValue, StringValue, Table, Value

from analytics.core.deciding.windows import GRACE
from analytics.stores.base import CELLS, PARTS, POOLED, Grouping, OtherIteration, Population
from experiments.core.design.metric_definitions import (
    ALL_COSTS,
    EDITED,
    FEEDBACK,
    REQUEST_COST,
    MetricDefinition,
)
from experiments.core.types import Environment

UnitFromMap = Callable[[Table, str], StringValue]
"""How a store reads the id of a unit type out of the ``units`` column."""
NumberFromMap = Callable[[Table, str], Value]
"""How a store reads a number out of the ``covariates`` column; null where there is none of that
name.
"""

Part = Literal["above", "below"]
"""Above or below the line of a ratio; every other metric has only the part above."""
_PRIME, _MIXER = 2_147_483_647, 1_103_515_245
"""Units that arrive together go to cells apart."""
CLUSTERS = 1000
"""Units that came without a bucket (an import's) are dealt into as many groups as a layer has
buckets.
"""

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
        "bucket_id": "int16",
        "covariates": "json",
        "by_arrival": "boolean",
        "received_ts": MOMENT,
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
_EVENT = _ROW | {"origin": "string"}
EVENTS = ibis.table(
    {
        **_EVENT,
        "ts": MOMENT,
        "event_type": "string",
        "latency_ms": "int64",
        "cost_micro": "int64",
        "request_id": "string",
    },
    name="ai_events",
)
FEEDBACK_ROWS = ibis.table(
    {
        **{name: kind for name, kind in _EVENT.items() if name != "value"},
        "ts": MOMENT,
        "label": "string",
        "manual_edit_flag": "boolean",
    },
    name="ai_feedback",
)
COSTS = ibis.table(
    {
        **{name: _EVENT[name] for name in ("event_date", "event_id", "environment", "origin")},
        "ts": MOMENT,
        "request_id": "string",
        "model": "string",
        "tokens_in": "int64",
        "tokens_out": "int64",
        "cost_micro": "int64",
        "sent": "boolean",
        "cache_hit": "boolean",
    },
    name="ai_priced_costs",
)
"""Costs as sent (``sent``), else as the price table says: a view, so that whoever reads costs reads
the same money. The view has exactly these columns, because Ibis writes ``*`` into the parts of a
union."""
OBSERVATIONS = ibis.table(
    {**_ROW, "timestamp": MOMENT, "metric_name": "string"}, name="ai_ab_metrics"
)


def arms(population: Population) -> Table:
    """Per variant: units, exposures, crossovers, first and last first exposure."""
    met = exposed(population)
    waited = (met.received_ts.epoch_seconds() - met.exposure_ts.epoch_seconds()).cast("float64")
    met = met.mutate(
        delay=ibis.cases(
            (~met.by_arrival & (waited >= 0), (waited + 1).ln()), else_=ibis.null("float64")
        )
    )
    return met.group_by("variant_id").aggregate(
        units=met.count(),
        exposures=met.exposure_count.sum(),
        crossovers=met.crossover.ifelse(1, 0).sum(),
        first=met.exposure_ts.min(),
        last=met.exposure_ts.max(),
        told=met.delay.count(),
        delay=met.delay.sum(),
        delay2=(met.delay * met.delay).sum(),
    )


def exposed(population: Population, phases: Sequence[str] = ()) -> Table:
    """Production assignments of the iteration and phase (or these phases), first exposed within the
    population's span.
    """
    table = ASSIGNMENTS
    found = table.filter(
        table.iteration_id == population.iteration_id,
        table.environment == Environment.PRODUCTION.value,
        table.phase.isin(list(phases)) if phases else table.phase == population.phase.value,
        table.exposure_ts <= moment(population.cut),
    )
    if population.exposed_from is not None:
        found = found.filter(found.exposure_ts >= moment(population.exposed_from))
    if population.buckets:
        found = found.filter(found.bucket_id.isin(list(population.buckets)))
    return (
        found.filter(found.variant_id.isin(list(population.variants)))
        if population.variants
        else found
    )


def units(
    population: Population, metric: MetricDefinition, unit_from_map: UnitFromMap, *, matured: bool
) -> Table:
    """The units a metric counts: everybody exposed, or the matured ones whose window overlaps no
    long pause.
    """
    window = _window(metric)
    met = _parted(exposed(population), population, window, unit_from_map)
    if matured and window is not None:
        met = met.filter(met.exposure_ts <= moment(population.cut - window - GRACE))
    for begins, ends in population.blackouts if matured else ():
        starts_after = met.exposure_ts >= moment(ends)
        ends_before = (
            met.exposure_ts <= moment(begins - window)
            if window is not None
            else ibis.literal(False)
        )
        met = met.filter(starts_after | ends_before)
    cluster = ibis.coalesce(met.bucket_id.cast("int64"), met.id % CLUSTERS)
    cell = met.id * _MIXER % _PRIME % CELLS
    groups: dict[Grouping, Value] = {
        "variant": met.variant_id,
        "all": ibis.literal(POOLED, "int64"),
        "cell": cell,
    }
    group = (
        groups[population.grouping]
        if population.split is None
        else met.variant_id * PARTS + met.part
    )
    return met.select(
        assignment=met.id,
        unit=met.user_id,
        variant_id=group,
        own_variant=met.variant_id,
        start=met.exposure_ts,
        since=row_since(met, population),
        past_until=_before_the_grace(met, population),
        cluster=cluster,
        covariates=met.covariates,
    )


def row_since(met: Table, population: Population) -> Value:
    """From when on a unit's rows are outcome: its exposure, or the grace before it where the plan
    says so.
    """
    return (
        _before_the_grace(met, population) if population.arrival_grace_counts else met.exposure_ts
    )


def _before_the_grace(met: Table, population: Population) -> Value:
    """The exposure; of one that was dated by its arrival, the moment before which rows are from
    before it for certain.
    """
    grace = population.arrival_grace // timedelta(seconds=1)
    if not grace:
        return met.exposure_ts
    return met.by_arrival.ifelse(met.exposure_ts - ibis.interval(seconds=grace), met.exposure_ts)


def _parted(
    met: Table, population: Population, window: timedelta | None, unit_from_map: UnitFromMap
) -> Table:
    """The units that belong to a part of the population's split, with the part."""
    split = population.split
    if split is None:
        return met
    if isinstance(split, OtherIteration):
        other = exposed(
            replace(
                population,
                iteration_id=split.iteration_id,
                exposed_from=None,
                variants=(),
                buckets=(),
                split=None,
            )
        )
        beside = other.select(
            beside_unit=other.user_id, part=other.variant_id, beside_start=other.exposure_ts
        )
        found = met.inner_join(beside, met.user_id == beside.beside_unit)
        if window is None:
            return found
        return found.filter(
            found.beside_start
            < found.exposure_ts + ibis.interval(hours=window // timedelta(hours=1))
        )
    found = words(met, split.name, unit_from_map)
    known = [
        (found.word == value, ibis.literal(place, "int64"))
        for place, value in enumerate(split.values)
    ]
    found = found.mutate(part=ibis.cases(*known, else_=ibis.null("int64")))
    return found.filter(found.part.notnull())


def words(met: Table, name: str, unit_from_map: UnitFromMap, column: str = "covariates") -> Table:
    """With what stands under a name of a column of JSON as text, a number or yes/no too: read as a
    unit's id is from its map.
    """
    found = met.mutate(units=met[column])
    return found.mutate(word=unit_from_map(found, name))


def rows(
    population: Population,
    metric: MetricDefinition,
    unit_from_map: UnitFromMap,
    part: Part,
    *,
    before: bool = False,
) -> Table:
    """Production rows of one part of the metric up to the cut: whose they are, when, and their
    number.

    ``before``: rows for the time before exposure, however they are stamped.
    """
    if metric.source == "event":
        found = events_of(metric.event_types if part == "above" else metric.denominator_event_types)
        at = found.ts
    else:
        table, at = OBSERVATIONS, OBSERVATIONS.timestamp
        named = (metric.key,) if part == "above" else metric.denominator_event_types
        found = table.filter(table.metric_name.isin(list(named)))
        if not before:
            found = found.filter(
                found.experiment_id.isnull() | (found.experiment_id == population.experiment_id)
            )
    found = found.filter(
        found.environment == Environment.PRODUCTION.value, at <= moment(population.cut)
    )
    if population.rows_from is not None:
        since = population.rows_from - (lookback(metric) if before else timedelta(0))
        found = found.filter(found.event_date >= ibis.literal(since.date()))
    found = found.filter(found.event_date <= ibis.literal(population.cut.date()))
    if metric.attribution == "stamped" and not before:
        found = found.filter(found.experiment_id == population.experiment_id)
    elif metric.reads_metered_costs and not before:
        found = found.filter(
            found.experiment_id.isnull() | (found.experiment_id == population.experiment_id)
        )
    return found.select(
        row_unit=unit_id(found, population.unit_type, unit_from_map),
        row_variant=found.variant_id,
        at=found.ts if metric.source == "event" else found.timestamp,
        row_id=found.event_id,
        number=_number(found, metric)
        if part == "above" or metric.source == "observation"
        else ibis.literal(1.0),
    )


def events_of(kinds: Sequence[str]) -> Table:
    """Events of these types, whichever table they are kept in."""
    found = [EVENTS.filter(EVENTS.event_type.isin(list(kinds))).select(*_EVENT_COLUMNS)]
    said = FEEDBACK_ROWS
    if FEEDBACK in kinds:
        labelled = said.filter(said.label.notnull())
        found.append(
            _as_events(labelled, FEEDBACK, value=(labelled.label == "useful").ifelse(1.0, 0.0))
        )
    if EDITED in kinds:
        found.append(_as_events(said.filter(said.manual_edit_flag), EDITED))
    if REQUEST_COST in kinds:
        found.append(_as_events(metered(), REQUEST_COST))
    if ALL_COSTS in kinds:
        found += [_as_events(metered(), ALL_COSTS), _as_events(told_by_events(), ALL_COSTS)]
    return found[0] if len(found) == 1 else ibis.union(*found)


def told_by_events() -> Table:
    """Events with a cost of their own whose request nobody metered with a known cost."""
    known = (
        COSTS.filter(COSTS.environment == Environment.PRODUCTION.value, COSTS.cost_micro.notnull())
        .select("request_id")
        .distinct()
    )
    return EVENTS.filter(EVENTS.cost_micro.notnull()).anti_join(known, "request_id")


_EVENT_COLUMNS = (*_EVENT, "ts", "event_type", "latency_ms", "cost_micro")


def _as_events(rows: Table, kind: str, **known: Value) -> Table:
    """Rows of another table with the columns of events."""
    nothing = {
        "value": ibis.null("float64"),
        "latency_ms": ibis.null("int64"),
        "cost_micro": ibis.null("int64"),
    }
    given = {name: value for name, value in nothing.items() if name not in rows.columns} | known
    return rows.mutate(event_type=ibis.literal(kind), **given).select(*_EVENT_COLUMNS)


def metered(costs: Table = COSTS) -> Table:
    """Each cost once, with the unit and the stamp of the first of its request's events.

    ``costs``: only these. Whoever wants few of them says so here, because a database ranks all
    events of a request before it can leave out a cost. A call without money or a price is left out
    where an event of its request says what it cost.
    """
    said = (
        EVENTS.filter(EVENTS.cost_micro.notnull(), EVENTS.request_id.notnull())
        .select("request_id", "environment")
        .distinct()
    )
    told = EVENTS.filter(EVENTS.request_id.notnull()).select(
        "request_id",
        "user_id",
        "unit_type",
        "units",
        "experiment_id",
        "variant_id",
        "environment",
        told_by=EVENTS.event_id,
    )
    unsaid = costs.filter(costs.cost_micro.isnull()).anti_join(said, ["request_id", "environment"])
    met = (
        costs.filter(costs.cost_micro.notnull())
        .union(unsaid)
        .inner_join(told, ["request_id", "environment"])
    )
    ranked = met.mutate(
        place=ibis.row_number().over(ibis.window(group_by=met.event_id, order_by=met.told_by))
    )
    return ranked.filter(ranked.place == 0)


def unit_id(rows: Table, unit_type: str, unit_from_map: UnitFromMap) -> Value:
    """The id a row carries for a unit type: its own id, else the one in its map; null when it has
    none.

    A visitor is the user where the row knows one, else the session; as serving assigned it.
    """
    own = ibis.cases(
        (rows.unit_type == unit_type, rows.user_id), else_=unit_from_map(rows, unit_type)
    )
    if unit_type != "visitor":
        return own
    return ibis.coalesce(
        own, unit_id(rows, "user", unit_from_map), unit_id(rows, "session", unit_from_map)
    )


def _number(rows: Table, metric: MetricDefinition) -> Value:
    """A row's number; an event that carries none happened once."""
    if metric.value_field == "latency_ms":
        return rows.latency_ms.cast("float64")
    if metric.value_field == "cost_micro":
        return rows.cost_micro.cast("float64")
    if metric.source == "event" and metric.aggregation in ("any", "count", "sum"):
        return ibis.coalesce(rows.value, 1.0)
    return rows.value


def joined(units: Table, rows: Table, metric: MetricDefinition, *, before: bool = False) -> Table:
    """Each unit's rows inside its window, or in the look-back before it."""
    window = _window(metric)
    conditions: list[BooleanValue] = [units.unit == rows.row_unit]
    if before:
        conditions += [
            rows.at < units.past_until,
            rows.at >= units.start - ibis.interval(days=metric.lookback_days),
        ]
    else:
        conditions.append(rows.at >= units.since)
        if window is not None:
            conditions.append(rows.at < units.start + ibis.interval(hours=metric.window_hours))
        if metric.attribution == "stamped":
            conditions.append(units.own_variant == rows.row_variant)
    met = units.inner_join(rows, conditions)
    return (
        met.filter(met.number > 0)
        if metric.aggregation == "any"
        else met.filter(met.number.notnull())
    )


def value_per_unit(met: Table, metric: MetricDefinition) -> Table:
    """One y for each unit that has rows, capped where the metric is."""
    if metric.aggregation == "last":
        order = ibis.window(group_by=met.assignment, order_by=[met.at.desc(), met.row_id.desc()])
        ranked = met.mutate(place=ibis.row_number().over(order))
        values = ranked.filter(ranked.place == 0).select(
            "assignment", "variant_id", y=ibis._.number
        )
    else:
        reduced = {
            "any": ibis.literal(1.0) + met.count() * 0,
            "count": met.count().cast("float64"),
            "sum": met.number.sum(),
            "mean": met.number.mean(),
            "max": met.number.max(),
        }[metric.aggregation]
        if metric.kind == "proportion" and metric.aggregation == "max":
            reduced = (reduced > 0).ifelse(1.0, 0.0)
        values = met.group_by("assignment", "variant_id").aggregate(y=reduced)
    return capped(values, metric)


def capped(values: Table, metric: MetricDefinition) -> Table:
    """Unit values no larger than the metric's cap."""
    return (
        values if metric.cap is None else values.mutate(y=ibis.least(values.y, float(metric.cap)))
    )


def lookback(metric: MetricDefinition) -> timedelta:
    """How far before exposure rows still say something about a unit."""
    return timedelta(days=metric.lookback_days)


def _window(metric: MetricDefinition) -> timedelta | None:
    return None if metric.window_hours is None else timedelta(hours=metric.window_hours)


def moment(at: datetime) -> Value:
    """A moment as a value."""
    return ibis.literal(at)
