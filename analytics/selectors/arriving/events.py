"""Stored events, read for the event browser: one page of them, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db.models import Count, Q

from analytics.models import AiEvent, MetricObservation, ToldOutcome
from analytics.models.counts import OUTCOMES_AT_MOST
from experiments.core.types import Environment

MOST_ROWS = 500


@dataclass(frozen=True)
class EventRow:
    """One event or observation. ``kind`` is the event type, or the metric's name."""

    source: str
    event_id: str
    ts: datetime
    received_ts: datetime
    unit_type: str
    unit_id: str
    kind: str
    value: float | None
    experiment_id: int | None
    variant_id: int | None
    environment: str


def events(
    *,
    day: date,
    kind: str = "",
    unit_id: str = "",
    experiment_id: int | None = None,
    limit: int = 100,
) -> tuple[EventRow, ...]:
    """Events of one UTC day, so that one partition is read; newest first, at most 500."""
    rows = AiEvent.objects.filter(event_date=day)
    rows = rows.filter(event_type=kind) if kind else rows
    rows = rows.filter(user_id=unit_id) if unit_id else rows
    rows = rows.filter(experiment_id=experiment_id) if experiment_id is not None else rows
    return tuple(_event(row) for row in rows.order_by("-ts", "-event_id")[: min(limit, MOST_ROWS)])


def stamped_and_unlabelled(experiment_id: int, since: datetime, until: datetime) -> tuple[int, int]:
    """Production events of a span that name the experiment, and those of them that name no
    variant.
    """
    rows = AiEvent.objects.filter(
        event_date__range=(since.astimezone(UTC).date(), until.astimezone(UTC).date()),
        experiment_id=experiment_id,
        ts__range=(since, until),
        environment=Environment.PRODUCTION.value,
    )
    found = rows.aggregate(
        stamped=Count("event_id"), without=Count("event_id", filter=Q(variant_id__isnull=True))
    )
    return found["stamped"], found["without"]


def observations(
    *,
    day: date,
    kind: str = "",
    unit_id: str = "",
    experiment_id: int | None = None,
    limit: int = 100,
) -> tuple[EventRow, ...]:
    """Observations of one UTC day; newest first, at most 500."""
    rows = MetricObservation.objects.filter(event_date=day)
    rows = rows.filter(metric_name=kind) if kind else rows
    rows = rows.filter(user_id=unit_id) if unit_id else rows
    rows = rows.filter(experiment_id=experiment_id) if experiment_id is not None else rows
    return tuple(
        _observation(row) for row in rows.order_by("-ts", "-event_id")[: min(limit, MOST_ROWS)]
    )


def names_observed(experiment_id: int, most: int) -> tuple[str, ...]:
    """The metrics that were observed under an experiment's name, in the alphabet's order, at most
    so many.
    """
    rows = MetricObservation.objects.filter(
        experiment_id=experiment_id, environment=Environment.PRODUCTION
    )
    return tuple(
        rows.order_by("metric_name").values_list("metric_name", flat=True).distinct()[:most]
    )


def names_told(experiment_id: int) -> tuple[str, ...]:
    """The names under which outcomes of an experiment were told, oldest first."""
    rows = ToldOutcome.objects.filter(experiment_id=experiment_id, slot__lt=OUTCOMES_AT_MOST)
    return tuple(dict.fromkeys(rows.order_by("slot").values_list("name", flat=True)))


def _event(row: AiEvent) -> EventRow:
    return EventRow(
        "event", row.event_id, row.ts, row.received_ts, row.unit_type, row.user_id, row.event_type, row.value,
        row.experiment_id, row.variant_id, row.environment,
    )  # fmt: skip


def _observation(row: MetricObservation) -> EventRow:
    return EventRow(
        "observation", row.event_id, row.ts, row.received_ts, row.unit_type, row.user_id, row.metric_name, row.value,
        row.experiment_id, row.variant_id, row.environment,
    )  # fmt: skip
