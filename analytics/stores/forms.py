"""What is totalled of a metric's units and rows, by the form its kind asks for: Ibis expressions,
the same for every store.

Each answers with one row per variant (for a histogram: per variant and bin; with covariates: per
variant and stratum). Nothing here touches a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import ibis
from ibis.expr.types import Table

from analytics.stores.base import OWN_PAST, Population
from analytics.stores.expressions import (
    NumberFromMap,
    UnitFromMap,
    capped,
    joined,
    lookback,
    rows,
    units,
    value_per_unit,
)
from analytics.stores.origins import Origins, totalled
from experiments.core.design.metric_definitions import MetricDefinition

LATENCY_LIMIT = 120_000
"""Milliseconds from which a latency counts as beyond everything."""
STRATUM = ("variant_id", "known")
"""What totals with a covariate are grouped by."""
FINEST = 3
"""Decimals of a bin, where values are not whole milliseconds."""


@dataclass(frozen=True)
class Question:
    """Which units of which metric are asked about, and how this store reads JSON."""

    population: Population
    metric: MetricDefinition
    matured: bool
    unit_from_map: UnitFromMap
    number_from_map: NumberFromMap

    @property
    def units(self) -> Table:
        return units(self.population, self.metric, self.unit_from_map, matured=self.matured)

    def met(self, of: Table, *, part: str = "above", before: bool = False) -> Table:
        """The rows of the units, of one part of the metric."""
        found = rows(
            self.population,
            self.metric,
            self.unit_from_map,
            "below" if part == "below" else "above",
            before=before,
        )
        return joined(of, found, self.metric, before=before)


def number_per_unit(question: Question, origins: Origins | None = None) -> Table:
    """Per variant: units exposed, and totals over the units with a row."""
    people = question.units
    counted = people.group_by("variant_id").aggregate(exposed=people.count())
    values = value_per_unit(question.met(people), question.metric)
    sums = totalled(values, ("variant_id",), ("y",), origins)
    return counted.left_join(sums, "variant_id").drop("variant_id_right")


def ratio_per_unit(question: Question, origins: Origins | None = None) -> Table:
    """Per variant: units exposed, and totals of numerator y and denominator d over those with rows
    (silent: 0 and 0).
    """
    people = question.units
    counted = people.group_by("variant_id").aggregate(exposed=people.count())
    values = _both_parts(question, people, before=False)
    sums = totalled(values, ("variant_id",), ("y", "d"), origins)
    return counted.left_join(sums, "variant_id").drop("variant_id_right")


def with_covariate(
    question: Question, covariate: str, ratio: bool, origins: Origins | None = None
) -> Table:
    """Per variant and stratum (``known``: something is known from before): totals of y, y0 (y, d,
    y0, d0).
    """
    people = question.units
    now = ("y", "d") if ratio else ("y",)
    silent_is_zero = ratio or question.metric.silent_unit_is_zero
    values = (
        _both_parts(question, people, before=False)
        if ratio
        else value_per_unit(question.met(people), question.metric)
    )
    every = people.left_join(values.drop("variant_id"), "assignment")
    if not silent_is_zero:
        every = every.filter(every.y.notnull())
    every = every.mutate(**{name: ibis.coalesce(every[name], 0.0) for name in now})
    kept = ("assignment", "unit", "own_variant", "variant_id", "start", "past_until", "covariates")
    every = _remembering(question, every.select(*kept, *now), covariate, ratio)
    before = tuple(f"{name}0" for name in now)
    every = every.mutate(
        known=every.y0.notnull(), **{name: ibis.coalesce(every[name], 0.0) for name in before}
    )
    return totalled(every, STRATUM, (*now, *before), origins)


def described(question: Question, origins: Origins | None = None) -> Table:
    """Per variant: units exposed; rows, units with one above zero, the mean row; totals of units
    with a value.
    """
    people = question.units
    met = question.met(people)
    counted = people.group_by("variant_id").aggregate(exposed=people.count())
    came = met.group_by("variant_id").aggregate(
        rows=met.count(),
        converted=met.assignment.nunique(where=met.number > 0),
        row_mean=met.number.mean(),
    )
    values = value_per_unit(met, question.metric)
    sums = totalled(values, ("variant_id",), ("y",), origins)
    found = counted.left_join(came, "variant_id").drop("variant_id_right")
    return found.left_join(sums, "variant_id").drop("variant_id_right")


def exposed_units(question: Question) -> Table:
    """Per variant: units exposed."""
    people = question.units
    return people.group_by("variant_id").aggregate(exposed=people.count())


def histogram(question: Question) -> Table:
    """Per variant and bin: how many rows (of a time: units). Bins at and beyond the limit come as
    they are; the reader sums them.
    """
    found = _measured(question)
    return found.group_by("variant_id", "bin").aggregate(many=found.count())


def bucket_counts(
    question: Question, at_or_below: Mapping[int, float], origins: Origins | None = None
) -> Table:
    """Per variant over its buckets that hold rows: totals of rows at or below q̂ (y) and rows (d);
    units with rows.
    """
    found = _measured(question)
    limits = [
        (found.variant_id == variant, ibis.literal(limit))
        for variant, limit in sorted(at_or_below.items())
    ]
    limit = ibis.cases(*limits, else_=ibis.literal(0.0)) if limits else ibis.literal(0.0)
    found = found.mutate(low=(found.bin <= limit).ifelse(1.0, 0.0))
    buckets = found.group_by("variant_id", "cluster").aggregate(
        y=found.low.sum(), d=found.count().cast("float64"), people=found.assignment.nunique()
    )
    return totalled(
        buckets, ("variant_id",), ("y", "d"), origins, lambda rows: {"units": rows.people.sum()}
    )


def times_per_bucket(
    question: Question, at_or_below: Mapping[int, float], origins: Origins | None = None
) -> Table:
    """The same for times of units: every unit counts, also one to which it never happened."""
    people = question.units
    values = value_per_unit(question.met(people), question.metric)
    every = people.left_join(values.drop("variant_id"), "assignment")
    limits = [
        (every.variant_id == variant, ibis.literal(limit))
        for variant, limit in sorted(at_or_below.items())
    ]
    limit = ibis.cases(*limits, else_=ibis.literal(0.0)) if limits else ibis.literal(0.0)
    every = every.mutate(
        low=(every.y.notnull() & (every.y.round(FINEST) <= limit)).ifelse(1.0, 0.0)
    )
    size = every.count()
    buckets = every.group_by("variant_id", "cluster").aggregate(
        y=every.low.sum(), d=size.cast("float64"), people=size
    )
    return totalled(
        buckets, ("variant_id",), ("y", "d"), origins, lambda rows: {"units": rows.people.sum()}
    )


def values_that_count(question: Question) -> Table:
    """How many units have a value (of a ratio: above the line) that is not 0."""
    values = _values(question)
    return values.aggregate(units=values.count())


def largest_values(question: Question, many: int) -> Table:
    """The largest of them."""
    values = _values(question)
    return values.order_by(values.y.desc()).limit(many)


def spread(question: Question) -> Table:
    """How many units have each value other than 0."""
    values = _values(question)
    values = values.mutate(y=values.y.round(FINEST).cast("float64"))
    return values.group_by("y").aggregate(units=values.count())


def beyond(question: Question, limit: float, most: int) -> Table:
    """The units above a limit, by name."""
    people = question.units
    values = value_per_unit(question.met(people), replace(question.metric, cap=None))
    found = people.inner_join(values.filter(values.y > limit).drop("variant_id"), "assignment")
    return found.select("unit", "variant_id", "y").order_by([ibis.desc("y"), "unit"]).limit(most)


def _values(question: Question) -> Table:
    uncapped = replace(question, metric=replace(question.metric, cap=None))
    people, metric = uncapped.units, uncapped.metric
    ratio = metric.kind == "ratio"
    values = (
        _both_parts(uncapped, people, before=False)
        if ratio
        else value_per_unit(uncapped.met(people), metric)
    )
    return values.filter(values.y != 0).select("y")


def _measured(question: Question) -> Table:
    """One row per measured row (a time: per unit that has one): its variant, bucket, unit and
    bin.
    """
    people, metric = question.units, question.metric
    if metric.kind == "duration":
        values = value_per_unit(question.met(people), metric)
        found = people.inner_join(values.drop("variant_id"), "assignment")
        return found.select(
            "variant_id", "cluster", "assignment", bin=found.y.round(FINEST).cast("float64")
        )
    met = question.met(people)
    bins = (
        met.number
        if metric.value_field == "latency_ms"
        else met.number.round(FINEST).cast("float64")
    )
    return met.select("variant_id", "cluster", "assignment", bin=bins)


def _both_parts(question: Question, people: Table, *, before: bool) -> Table:
    """Per unit with rows: y of the rows above the line, d of those below.

    Of events d is their number, of observations the sum of their values; of observations without
    names below, d counts those above.
    """
    metric = question.metric
    above = question.met(people, before=before)
    number = (
        above.number
        if metric.aggregation == "sum" or metric.source == "observation"
        else ibis.literal(1.0)
    )
    divided = metric.source == "event" or bool(metric.denominator_event_types)
    beside = ibis.literal(0.0 if divided else 1.0)
    stacked = above.select("assignment", "variant_id", y_part=number, d_part=beside)
    if divided:
        below = question.met(people, part="below", before=before)
        stacked = stacked.union(
            below.select("assignment", "variant_id", y_part=ibis.literal(0.0), d_part=below.number)
        )
    return capped(
        stacked.group_by("assignment", "variant_id").aggregate(
            y=stacked.y_part.sum(), d=stacked.d_part.sum()
        ),
        metric,
    )


def _remembering(question: Question, every: Table, covariate: str, ratio: bool) -> Table:
    """Units with y0 (and d0) beside: of their own past, or a covariate frozen at first exposure;
    null where nothing is known.
    """
    metric = question.metric
    if covariate != OWN_PAST:
        found = every.mutate(y0=question.number_from_map(every, covariate))
        return found.mutate(d0=found.y0.notnull().ifelse(1.0, 0.0)) if ratio else found
    if lookback(metric) == timedelta(0):
        nothing = ibis.null("float64")
        return every.mutate(y0=nothing, d0=nothing) if ratio else every.mutate(y0=nothing)
    past = (
        _both_parts(question, every, before=True)
        if ratio
        else value_per_unit(question.met(every, before=True), metric)
    )
    renamed = (
        past.select("assignment", y0=past.y, d0=past.d)
        if ratio
        else past.select("assignment", y0=past.y)
    )
    found = every.left_join(renamed, "assignment")
    if ratio or metric.silent_unit_is_zero:
        found = found.mutate(y0=ibis.coalesce(found.y0, 0.0))
    return found
