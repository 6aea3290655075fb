"""Whether anybody has sent what a metric counts: zeros of a metric that is never sent are no
data.
"""

from __future__ import annotations

from datetime import datetime

from analytics.models import AiEvent, Feedback, MetricObservation, RequestCost
from experiments.core.design.metric_definitions import (
    COST_TYPES,
    EDITED,
    FEEDBACK,
    MetricDefinition,
)
from experiments.core.types import Environment


def told_since(metric: MetricDefinition, began: datetime) -> bool:
    """Whether a production row that the metric counts has come since that day, for any unit of any
    experiment.
    """
    since = {"event_date__gte": began.date(), "environment": Environment.PRODUCTION.value}
    if metric.source != "event":
        return MetricObservation.objects.filter(metric_name=metric.key, **since).exists()
    if {FEEDBACK, EDITED} & set(metric.event_types) and Feedback.objects.filter(**since).exists():
        return True
    if COST_TYPES & set(metric.event_types) and RequestCost.objects.filter(**since).exists():
        return True
    return AiEvent.objects.filter(event_type__in=metric.event_types, **since).exists()
