"""What a metric is, as data: the frozen definition that crosses the walls.

A metric gives each unit one value y from its rows inside the conversion window; an arm's result is
made of those values. Three things can be said of a unit without a single row:

- ``any``, ``count``, ``sum``: its value is 0. It did not do the thing, and it counts in n.
- ``mean``, ``max``, ``last``: it has no value. It is left out of n, and the share that answered is
  compared between arms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from experiments.core.errors import Problem
from experiments.core.types import Direction, MetricKind

Source = Literal["event", "observation"]
Aggregation = Literal["any", "count", "sum", "mean", "max", "last"]
ValueField = Literal["value", "latency_ms", "cost_micro"]
Attribution = Literal["unit", "stamped"]

FEEDBACK, EDITED, REQUEST_COST = "ai_feedback", "ai_feedback.edited", "ai_request_costs"
"""Event types that stand for rows of tables of their own: a label given to an answer (value 1:
useful, 0: not useful), an answer that somebody had to edit, and what a call of a model cost, which
belongs to the unit of the request's events."""
ALL_COSTS = "ai_costs"
"""Everything that a unit cost, each request once: metered and priced where its call was metered,
else as its events say.
"""
OF_OTHER_TABLES = frozenset({FEEDBACK, EDITED, REQUEST_COST, ALL_COSTS})
COST_TYPES = frozenset({REQUEST_COST, ALL_COSTS})

ZERO_WITHOUT_ROWS: frozenset[str] = frozenset({"any", "count", "sum"})
"""Aggregations under which a silent unit counts as 0; under the others it has no value."""


@dataclass(frozen=True, kw_only=True)
class MetricDefinition:
    """One version of a metric. Hours and days are whole; ``cap`` is in the unit of the value.

    ``window_hours`` None: rows count until the data cut, and the metric gets a single look, at the
    planned end, because totals that still grow for each unit break repeated looks.

    A ratio divides the sum (or number) of its rows by the number of rows of
    ``denominator_event_types``; of observations, by the sum of the values that those names have, or
    without names by their own number. A proportion of ``any`` asks whether the unit has a row above
    0; of ``max`` the same, but a unit without rows has no answer. A quantile is of single rows,
    whatever the aggregation; a duration's is of unit values, where a unit without one is infinitely
    late. ``quantile`` None: .95 and .5. ``winsorised``: the cap is the 99.9 % quantile of the
    non-zero unit values at the first look, then frozen.
    """

    key: str
    name: str
    kind: MetricKind
    source: Source
    aggregation: Aggregation
    direction: Direction
    version: int = 1
    description: str = ""
    event_types: tuple[str, ...] = ()
    denominator_event_types: tuple[str, ...] = ()
    value_field: ValueField = "value"
    attribution: Attribution = "unit"
    scale: str = ""
    cap: float | None = None
    winsorised: bool = False
    window_hours: int | None = None
    lookback_days: int = 14
    quantile: float | None = None
    exploratory: bool = False

    @property
    def reads_metered_costs(self) -> bool:
        """Whether it reads what calls of models cost, so that a call without a price makes its
        value unknown.
        """
        return not COST_TYPES.isdisjoint(self.event_types)

    @property
    def silent_unit_is_zero(self) -> bool:
        """Whether a unit without rows has the value 0 (else it has none)."""
        return self.aggregation in ZERO_WITHOUT_ROWS

    def substance(self) -> MetricDefinition:
        """The definition without its version and prose: equal for two versions that measure the
        same thing.
        """
        return replace(self, version=1, name="", description="", scale="", exploratory=False)


def problems(metric: MetricDefinition) -> list[Problem]:
    """Everything that makes a definition unusable; an empty list when it can be measured."""
    found: list[Problem] = []

    def wrong(code: str, field: str, message: str) -> None:
        found.append(Problem(code=code, field=field, message=f"{metric.key}: {message}"))

    if metric.source == "event" and not metric.event_types:
        wrong(
            "event_types_missing", "event_types", "a metric of events names at least one event type"
        )
    if (
        metric.kind is MetricKind.RATIO
        and not metric.denominator_event_types
        and metric.source == "event"
    ):
        wrong(
            "denominator_missing",
            "denominator_event_types",
            "a ratio names the event types it divides by",
        )
    if metric.kind is MetricKind.PROPORTION and metric.aggregation not in ("any", "max"):
        message = "a proportion asks whether the unit has such a row: aggregation any, or max where a unit without rows has no answer"
        wrong("proportion_aggregation", "aggregation", message)
    if metric.kind is MetricKind.PROPORTION and metric.cap is not None:
        wrong("proportion_cap", "cap", "a proportion cannot be capped")
    if metric.kind is MetricKind.COUNT and metric.aggregation not in ("count", "sum"):
        wrong("count_aggregation", "aggregation", "a count adds up: aggregation count or sum")
    if metric.kind is MetricKind.RATIO and metric.aggregation not in ("count", "sum"):
        wrong(
            "ratio_aggregation",
            "aggregation",
            "a ratio adds up what stands above its line: aggregation count or sum",
        )
    if metric.kind is MetricKind.DURATION and metric.aggregation in ("any", "count"):
        wrong(
            "duration_aggregation",
            "aggregation",
            "a duration is a time that a row carries: aggregation sum, mean, max or last",
        )
    if metric.winsorised and metric.cap is not None:
        wrong("two_caps", "winsorised", "either a cap is given or the first look finds one")
    if metric.winsorised and (
        metric.kind not in (MetricKind.MEAN, MetricKind.COUNT, MetricKind.RATIO)
        or metric.value_field == "cost_micro"
    ):
        wrong(
            "winsorised_kind", "winsorised", "proportions, tails, times and cost are not winsorised"
        )
    if metric.quantile is not None and not 0 < metric.quantile < 1:
        wrong(
            "quantile_range",
            "quantile",
            f"a quantile lies between 0 and 1 (.95, not 95), found {metric.quantile:g}",
        )
    if metric.quantile is not None and metric.kind not in (
        MetricKind.QUANTILE,
        MetricKind.DURATION,
    ):
        wrong(
            "quantile_kind",
            "quantile",
            f"only quantiles and durations name a quantile, not a {metric.kind}",
        )
    if metric.kind is MetricKind.MEAN and metric.aggregation == "any":
        wrong(
            "mean_aggregation",
            "aggregation",
            "0 or 1 per unit is a proportion; a mean uses count, sum, mean, max or last",
        )
    if metric.source == "observation" and metric.value_field != "value":
        wrong("observation_field", "value_field", "observations have one number, their value")
    if metric.window_hours is not None and not 1 <= metric.window_hours <= 24 * 90:
        wrong(
            "window_out_of_range",
            "window_hours",
            f"a conversion window is 1 hour to 90 days, not {metric.window_hours} hours",
        )
    return found
