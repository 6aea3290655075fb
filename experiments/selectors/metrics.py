"""Metrics as planned, read."""

from __future__ import annotations

from typing import cast

from experiments.core.design.metric_definitions import (
    Aggregation,
    Attribution,
    MetricDefinition,
    Source,
    ValueField,
)
from experiments.core.errors import NotFound
from experiments.core.types import Direction, MetricKind
from experiments.models import Metric


def current_metric(key: str) -> Metric:
    """The version of a metric that new plans use."""
    found = Metric.objects.filter(key=key, current=True).first()
    if found is None:
        raise NotFound(f"metric {key!r}: there is none of this key", field="metric")
    return found


def definition_of(metric: Metric) -> MetricDefinition:
    """One row as the frozen definition that crosses the walls."""
    return MetricDefinition(
        key=metric.key,
        version=metric.version,
        name=metric.name,
        description=metric.description,
        kind=MetricKind(metric.kind),
        source=cast("Source", metric.source),
        event_types=tuple(metric.event_types),
        denominator_event_types=tuple(metric.denominator_event_types),
        aggregation=cast("Aggregation", metric.aggregation),
        value_field=cast("ValueField", metric.value_field),
        attribution=cast("Attribution", metric.attribution),
        direction=Direction(metric.direction),
        scale=metric.scale,
        cap=metric.cap,
        winsorised=metric.winsorised,
        window_hours=metric.window_hours,
        lookback_days=metric.lookback_days,
        quantile=metric.quantile,
        exploratory=metric.exploratory,
    )
