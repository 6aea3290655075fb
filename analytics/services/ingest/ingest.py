"""Taking in what applications tell us: exposures, observations, events, feedback, costs.

Everything is idempotent by ``event_id``: an item that was stored before is a duplicate and counts
once; another body under the same id is a conflict, and the first one stays. A bad item is reported
with its place in the batch and the good ones are kept. When these functions return, what they
counted as accepted is committed (unless the caller holds a transaction open).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import DatabaseError, connection, transaction

from analytics.core.intake.ingest_items import (
    CostItem,
    EventItem,
    ExposureItem,
    FeedbackItem,
    ItemError,
    ObservationItem,
)
from analytics.core.intake.tallies import UNREGISTERED
from analytics.models import Assignment
from analytics.services.ingest import free_names, told_outcomes
from analytics.services.ingest.batch import (
    Batch,
    BatchResult,
    IngestIdentity,
    StorableRow,
    open_batch,
    store,
)
from analytics.services.ingest.exposures import (
    admitted,
    as_item,
    rows_of_recorded,
    rows_of_stated,
    write_assignments,
)
from analytics.services.ingest.rows import (
    cost_rows,
    event_rows,
    feedback_rows,
    observation_rows,
    write_costs,
    write_events,
    write_feedback,
    write_observations,
)
from analytics.services.ingest.told import and_tell, and_tell_assigned
from analytics.services.ingest.twin_ids import counting_twins
from experiments.core.errors import AssayError, Conflict, Problem
from experiments.core.serving.exposure import QueuedExposure
from experiments.core.types import Environment, Origin, Scope
from experiments.services.ground.lock_waits import is_locked

log = structlog.get_logger(__name__)

__all__ = [
    "BatchResult",
    "IngestIdentity",
    "ingest_costs",
    "ingest_events",
    "ingest_exposures",
    "ingest_feedback",
    "ingest_observations",
    "ingest_result",
    "record_exposures",
    "record_or_refuse",
]


def ingest_exposures(
    items: Sequence[ExposureItem | ItemError],
    *,
    now: datetime,
    identity: IngestIdentity,
    origin: Origin = Origin.LIVE,
) -> BatchResult:
    """Record that units met experiments; iteration, bucket and variant are worked out here."""
    batch = open_batch("exposure", items, now, identity, origin)
    return store(
        batch,
        admitted(batch, rows_of_stated(batch)),
        counting_twins(batch, and_tell_assigned(write_assignments)),
    )


def record_exposures(
    exposures: Sequence[QueuedExposure], *, now: datetime, origin: Origin = Origin.LIVE
) -> BatchResult:
    """Record exposures that the assigning server wrote down with all their ids, from the spool or
    at once.
    """
    if not exposures:
        return BatchResult(0, 0, 0)
    batch = open_batch(
        "exposure", [as_item(exposure) for exposure in exposures], now, IngestIdentity(), origin
    )
    return store(
        batch, rows_of_recorded(batch, exposures), counting_twins(batch, write_assignments)
    )


def record_or_refuse(exposures: Sequence[QueuedExposure], now: datetime) -> None:
    """Record exposures for somebody who asked for a receipt: all of them are stored, or the refusal
    says which are not.
    """
    result = record_exposures(exposures, now=now)
    if result.errors:
        problems = tuple(
            Problem(error.code, error.message, f"exposures.{error.index}")
            for error in result.errors
        )
        raise Conflict(
            f"{len(problems)} of {len(exposures)} exposures were not recorded", problems=problems
        )


def ingest_observations(
    items: Sequence[ObservationItem | ItemError],
    *,
    now: datetime,
    identity: IngestIdentity,
    origin: Origin = Origin.LIVE,
) -> BatchResult:
    """Store measured values.

    A metric nobody has defined is registered as exploratory while there is room for it: shown,
    never deciding.
    """
    batch = open_batch("observation", items, now, identity, origin)
    rows = observation_rows(batch)
    told_outcomes.learn(rows, "observation", now, identity)
    if identity.environment is Environment.PRODUCTION and identity.scope is not Scope.CLIENT:
        _register(batch, rows, now)
    return store(batch, rows, write_observations, "ai_ab_metrics")


def ingest_result(
    items: Sequence[ObservationItem | ItemError],
    exposures: Sequence[QueuedExposure],
    *,
    now: datetime,
    identity: IngestIdentity,
) -> BatchResult:
    """Store what happened to units, and in the same transaction that they had met their variants by
    then.

    The exposure itself may wait in a spool still: whoever reads results next shall find the unit.
    The earlier moment wins, and the exposure is counted when its own line comes. A fault of it
    leaves the result stored.
    """
    with transaction.atomic():
        try:
            with transaction.atomic():
                _imply(exposures, now)
        except (AssayError, DatabaseError) as error:
            if is_locked(error) or connection.connection is None:
                raise
            log.warning("implied_exposure_not_stored", reason=str(error))
        return ingest_observations(items, now=now, identity=identity)


def _imply(exposures: Sequence[QueuedExposure], now: datetime) -> None:
    """Exposures that nobody has stored with an earlier moment yet."""
    missing = [
        exposure
        for exposure in exposures
        if not Assignment.objects.filter(
            iteration_id=exposure.iteration_id,
            environment=exposure.environment.value,
            user_id=exposure.unit_id,
            exposure_ts__lte=exposure.at,
        ).exists()
    ]
    if missing:
        batch = open_batch(
            "exposure",
            [as_item(exposure) for exposure in missing],
            now,
            IngestIdentity(),
            Origin.LIVE,
        )
        store(
            batch,
            rows_of_recorded(batch, missing, count=0),
            counting_twins(batch, write_assignments),
        )


def ingest_events(
    items: Sequence[EventItem | ItemError],
    *,
    now: datetime,
    identity: IngestIdentity,
    origin: Origin = Origin.LIVE,
) -> BatchResult:
    """Store interactions."""
    batch = open_batch("event", items, now, identity, origin)
    rows = event_rows(batch)
    told_outcomes.learn(rows, "event", now, identity)
    return store(batch, rows, and_tell(write_events), "ai_events")


def ingest_feedback(
    items: Sequence[FeedbackItem | ItemError],
    *,
    now: datetime,
    identity: IngestIdentity,
    origin: Origin = Origin.LIVE,
) -> BatchResult:
    """Store what people thought of answers."""
    batch = open_batch("feedback", items, now, identity, origin)
    return store(batch, feedback_rows(batch), and_tell(write_feedback), "ai_feedback")


def ingest_costs(
    items: Sequence[CostItem | ItemError],
    *,
    now: datetime,
    identity: IngestIdentity,
    origin: Origin = Origin.LIVE,
) -> BatchResult:
    """Store what calls of models took."""
    batch = open_batch("cost", items, now, identity, origin)
    return store(batch, cost_rows(batch), and_tell(write_costs), "ai_request_costs")


def _register(batch: Batch[ObservationItem], rows: Sequence[StorableRow], now: datetime) -> None:
    """Metrics for names without an experiment; the rows whose name gets none are counted, and
    stored all the same.
    """
    left = free_names.register(told_outcomes.unstamped(rows), now)
    if left:
        unstamped = [row for row in rows if row.columns.get("experiment_id") is None]
        batch.outcomes[UNREGISTERED] += sum(row.columns["metric_name"] in left for row in unstamped)
