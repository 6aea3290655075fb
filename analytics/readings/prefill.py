"""What a metric has been like in the last 28 days, ready for a plan; nothing where there is no
data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.core.kinds import kind_of, level_of
from analytics.core.stats import power
from analytics.stores.spans import PastSpan
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.figures import counted

DAYS = 28
FEWEST_UNITS = 30
"""Fewer units than this say nothing about a rate or a spread."""


@dataclass(frozen=True)
class MetricPast:
    """A metric over units first exposed or seen in the last 28 days, each in its window; ``sd`` as
    plans want it (of a rate: None).

    ``silent`` units had no row of the metric and count as 0; None where that is no question.
    """

    key: str
    unit_type: str
    baseline: float
    sd: float | None
    units: int
    silent: int | None
    days: int

    def __str__(self) -> str:
        spread = "" if self.sd is None else f", standard deviation {self.sd:.4g}"
        silent = f"; {self.silent:,} of them had no row of it and count as 0" if self.silent else ""
        people = f"{counted(self.units, 'unit')} ({self.unit_type})"
        return f"{self.key}: {self.baseline:.4g}{spread}, from {people} of the last {counted(self.days, 'day')}{silent}"


@dataclass(frozen=True)
class TrafficPast:
    """Units of one type in the last 28 days: in all, day by day, and how many new ones a day has
    brought.
    """

    unit_type: str
    units: int
    days: int
    daily_units: float
    exposed: int = 0

    @property
    def new_per_day(self) -> float:
        """New units a day; what enrolment can count on, since a unit enrols once however often it
        comes.
        """
        return self.units / self.days

    def __str__(self) -> str:
        return (
            f"{self.new_per_day:,.0f} new units ({self.unit_type}) a day, from {self.units:,} units"
            f" of the last {self.days} days ({self.daily_units:,.0f} on an average day), {self.exposed:,} of them exposed to an experiment"
        )


def metric_past(metric: MetricDefinition, unit_type: str, now: datetime) -> MetricPast | None:
    """Baseline and spread; None without data: fewer than 30 units, or units of which nothing was
    ever seen.
    """
    found = _READERS[kind_of(metric.kind).form](_span(unit_type, now), metric)
    if found is None or found[2] < FEWEST_UNITS or _says_nothing(metric, found[0]):
        return None
    return MetricPast(metric.key, unit_type, *found, days=DAYS)


def _says_nothing(metric: MetricDefinition, baseline: float) -> bool:
    """A value of 0, or a rate that nobody ever missed, is no baseline: nothing can be a share of it
    or differ from it.
    """
    return baseline == 0 or (kind_of(metric.kind).sizing == "rate" and baseline >= 1)


def traffic_past(unit_type: str, now: datetime) -> TrafficPast | None:
    """Who came; None when nobody did. Days count from the first one with data, 28 at most."""
    from analytics.stores import history  # here: it loads ibis, which few pages need

    seen = history.visits(_span(unit_type, now))
    return (
        TrafficPast(unit_type, seen.units, seen.days, seen.daily, seen.exposed)
        if seen.units
        else None
    )


def pasts(
    metrics: Iterable[MetricDefinition], unit_type: str, now: datetime
) -> Mapping[str, MetricPast]:
    """The pasts that there are, by metric."""
    found = {metric.key: metric_past(metric, unit_type, now) for metric in metrics}
    return {key: past for key, past in found.items() if past is not None}


def _span(unit_type: str, now: datetime) -> PastSpan:
    return PastSpan(unit_type=unit_type, since=now - timedelta(days=DAYS), cut=now)


Found = tuple[float, float | None, int, int | None]
"""Baseline, spread, units, and how many of these were silent."""


def _of_units(span: PastSpan, metric: MetricDefinition) -> Found | None:
    from analytics.stores import history  # here: it loads ibis, which few pages need

    past = history.unit_past(span, metric)
    totals = past.totals
    if totals.mean is None:
        return None
    rate = kind_of(metric.kind).sizing == "rate"
    variance = totals.variance
    return (
        totals.mean,
        None if rate or not variance else variance**0.5,
        totals.n,
        totals.n - past.answered,
    )


def _of_ratio(span: PastSpan, metric: MetricDefinition) -> Found | None:
    from analytics.stores import history  # here: it loads ibis, which few pages need

    moments = history.ratio_moments(span, metric)
    if not moments.sum("d") > 0:
        return None
    return moments.sum("y") / moments.sum("d"), power.ratio_sd(moments), moments.n, None


def _of_rows(span: PastSpan, metric: MetricDefinition) -> Found | None:
    """The spread of the share of rows at or below the quantile between units, carried over by the
    density at it.
    """
    from analytics.stores import history  # here: it loads ibis, which few pages need

    past = history.quantile_past(span, metric, level_of(metric.kind, metric.quantile))
    if past is None:
        return None
    spread = power.ratio_sd(past.per_unit)
    known = spread is not None and past.high > past.low
    sd = (
        spread / power.density_between(past.low, past.high, past.mass)
        if known and spread is not None
        else None
    )
    return past.value, sd, past.per_unit.n, None


def _of_times(span: PastSpan, metric: MetricDefinition) -> Found | None:
    """Of times that end only for some units a plain history says too little: enter what is
    known.
    """
    return None


_READERS = {"unit": _of_units, "ratio": _of_ratio, "rows": _of_rows, "time": _of_times}
