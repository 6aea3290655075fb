"""Events, observations, feedback and costs: their rows, one day's partition each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from django.db import connection

from analytics.core.intake.ingest_items import (
    NOTES,
    CostItem,
    EventItem,
    FeedbackItem,
    ObservationItem,
    with_notes,
)
from analytics.services.ingest.batch import Batch, StorableRow
from analytics.services.ingest.known import Known, KnownArm, find_experiments
from experiments.core.units import check_units, unit_id

Measured: TypeAlias = "EventItem | FeedbackItem | ObservationItem"
MeasuredBatch: TypeAlias = "Batch[EventItem] | Batch[FeedbackItem] | Batch[ObservationItem]"
Stamped = TypeVar("Stamped", EventItem, FeedbackItem, ObservationItem)


def observation_rows(batch: Batch[ObservationItem]) -> list[StorableRow]:
    """Rows of ai_ab_metrics; what refers to nothing is refused in the batch."""
    rows = []
    for index, item, at, columns, arm in _each_stamped(batch):
        measured = {
            "variant": arm.key if arm else None,
            "metric_name": item.metric,
            "value": item.value,
        }
        own = {**measured, "covariates": item.covariates, "context": item.context}
        rows.append(
            StorableRow(index, item.event_id, batch.hashes[item.event_id], at, columns | own)
        )
    return rows


def event_rows(batch: Batch[EventItem]) -> list[StorableRow]:
    """Rows of ai_events; what refers to nothing is refused in the batch."""
    rows = []
    for index, item, at, columns, _arm in _each_stamped(batch):
        rows.append(
            StorableRow(
                index,
                item.event_id,
                batch.hashes[item.event_id],
                at,
                columns | _event_columns(item),
            )
        )
    return rows


def feedback_rows(batch: Batch[FeedbackItem]) -> list[StorableRow]:
    """Rows of ai_feedback; what refers to nothing is refused in the batch."""
    rows = []
    for index, item, at, columns, _arm in _each_stamped(batch):
        said = {
            "label": item.label,
            "comment": item.comment,
            "manual_edit_flag": item.manual_edit_flag,
        }
        own = {**said, "context": item.context, "request_id": item.request_id}
        rows.append(
            StorableRow(index, item.event_id, batch.hashes[item.event_id], at, columns | own)
        )
    return rows


def cost_rows(batch: Batch[CostItem]) -> list[StorableRow]:
    """Rows of ai_request_costs. They name no unit: that is what the events of the same request
    do.
    """
    rows = []
    for index, item in list(batch.items.items()):
        at = batch.moment(index, item.at)
        if at is None:
            continue
        spent = {
            "tokens_in": item.tokens_in,
            "tokens_out": item.tokens_out,
            "cost_micro": item.cost_micro,
        }
        own = {
            "request_id": item.request_id,
            "model": item.model,
            "cache_hit": item.cache_hit,
            "qps_bucket": item.qps_bucket,
        }
        rows.append(
            StorableRow(
                index, item.event_id, batch.hashes[item.event_id], at, _arrival(batch) | spent | own
            )
        )
    return rows


def write_observations(rows: Sequence[StorableRow]) -> None:
    """Insert rows whose ids were just taken."""
    _insert(_INSERT_OBSERVATIONS, rows)


def write_events(rows: Sequence[StorableRow]) -> None:
    """Insert rows whose ids were just taken."""
    _insert(_INSERT_EVENTS, rows)


def write_feedback(rows: Sequence[StorableRow]) -> None:
    """Insert rows whose ids were just taken."""
    _insert(_INSERT_FEEDBACK, rows)


def write_costs(rows: Sequence[StorableRow]) -> None:
    """Insert rows whose ids were just taken."""
    _insert(_INSERT_COSTS, rows)


_INSERT_OBSERVATIONS = """
INSERT INTO ai_ab_metrics (event_date, event_id, "timestamp", received_ts, user_id, unit_type, units, experiment_id, variant_id, variant,
    metric_name, value, covariates, context, environment, origin)
SELECT event_date, event_id, at, received, user_id, unit_type, units, experiment_id, variant_id, variant, metric_name, value, covariates,
    context, environment, origin
FROM json_to_recordset(%s::json) AS new (event_date date, event_id text, at timestamptz, received timestamptz, user_id text, unit_type text,
    units jsonb, experiment_id int, variant_id int, variant text, metric_name text, value float8, covariates jsonb, context jsonb,
    environment text, origin text)
"""
_INSERT_EVENTS = """
INSERT INTO ai_events (event_date, event_id, ts, received_ts, user_id, unit_type, units, experiment_id, variant_id, event_type, value,
    payload, cost_micro, latency_ms, language, embedding_stats, request_id, environment, origin)
SELECT event_date, event_id, at, received, user_id, unit_type, units, experiment_id, variant_id, event_type, value, payload, cost_micro,
    latency_ms, language, embedding_stats, request_id, environment, origin
FROM json_to_recordset(%s::json) AS new (event_date date, event_id text, at timestamptz, received timestamptz, user_id text, unit_type text,
    units jsonb, experiment_id int, variant_id int, event_type text, value float8, payload jsonb, cost_micro bigint, latency_ms int,
    language text, embedding_stats jsonb, request_id text, environment text, origin text)
"""


_INSERT_FEEDBACK = """
INSERT INTO ai_feedback (event_date, event_id, ts, received_ts, user_id, unit_type, units, experiment_id, variant_id, label, comment,
    manual_edit_flag, request_id, context, environment, origin)
SELECT event_date, event_id, at, received, user_id, unit_type, units, experiment_id, variant_id, label, comment, manual_edit_flag,
    request_id, context, environment, origin
FROM json_to_recordset(%s::json) AS new (event_date date, event_id text, at timestamptz, received timestamptz, user_id text, unit_type text,
    units jsonb, experiment_id int, variant_id int, label text, comment text, manual_edit_flag boolean, request_id text, context jsonb,
    environment text, origin text)
"""
_INSERT_COSTS = """
INSERT INTO ai_request_costs (event_date, event_id, ts, received_ts, request_id, model, tokens_in, tokens_out, cost_micro, cache_hit,
    qps_bucket, environment, origin)
SELECT event_date, event_id, at, received, request_id, model, tokens_in, tokens_out, cost_micro, cache_hit, qps_bucket, environment, origin
FROM json_to_recordset(%s::json) AS new (event_date date, event_id text, at timestamptz, received timestamptz, request_id text, model text,
    tokens_in bigint, tokens_out bigint, cost_micro bigint, cache_hit boolean, qps_bucket text, environment text, origin text)
"""


def _insert(statement: str, rows: Sequence[StorableRow]) -> None:
    own = [
        {
            **r.columns,
            "event_id": r.event_id,
            "event_date": r.day.isoformat(),
            "at": r.at.isoformat(),
        }
        for r in rows
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(own)])


def _each_stamped(
    batch: Batch[Stamped],
) -> Iterator[tuple[int, Stamped, datetime, dict[str, object], KnownArm | None]]:
    """The items whose references are known: place, item, moment, the columns that all tables have,
    the arm. The others are refused.
    """
    known = find_experiments(
        item.experiment for item in batch.items.values() if item.experiment is not None
    )
    for index, sent in list(batch.items.items()):
        item = _with_a_stamp_of_ours(known, sent)
        stamped = _stamped(batch, known, index, item)
        if stamped is not None:
            at, columns, arm = stamped
            yield index, item, at, columns, arm


def _with_a_stamp_of_ours(known: Mapping[str | int, Known], item: Stamped) -> Stamped:
    """Another tool's experiment or variant that is none of ours, or of another unit, stays in the
    payload or context, with a note.
    """
    if isinstance(item, FeedbackItem) or not item.stamp:
        return item
    experiment = known.get(item.experiment) if item.experiment is not None else None
    if experiment is None or unit_id(item.units, experiment.unit_type) is None:
        ours, note = (
            None,
            f"no experiment of the item's units has the id, UUID, key or name {str(next(iter(item.stamp.values())))[:200]!r}",
        )
    elif item.variant is not None and experiment.arm(item.variant) is None:
        ours, note = item.experiment, _unknown_variant(experiment, item.variant)
    else:
        return item
    place = "payload" if hasattr(item, "payload") else "context"
    beside: Mapping[str, object] = getattr(item, place) or {}
    notes: object = beside.get(NOTES)
    earlier: list[str] = notes if isinstance(notes, list) else []
    noted = with_notes(beside, item.stamp, [*earlier, note])
    changes: dict[str, Any] = {
        "experiment": ours,
        "variant": None,
        place: noted,
    }  # Any: fields of two kinds of items
    return replace(item, **changes)


def _stamped(
    batch: MeasuredBatch, known: Mapping[str | int, Known], index: int, item: Measured
) -> tuple[datetime, dict[str, object], KnownArm | None] | None:
    """When, who, and for which experiment and variant: the columns that both tables have; None when
    refused.
    """
    experiment = known.get(item.experiment) if item.experiment is not None else None
    if item.experiment is not None and experiment is None:
        batch.refuse(
            index,
            "unknown_experiment",
            "experiment",
            f"no experiment has the id, UUID, key or name {item.experiment!r}",
        )
        return None
    arm = (
        experiment.arm(item.variant)
        if experiment is not None and item.variant is not None
        else None
    )
    if item.variant is not None and arm is None:
        batch.refuse(
            index, "unknown_variant", "variant", _unknown_variant(experiment, item.variant)
        )
        return None
    unit = _unit(batch, index, item, experiment)
    at = batch.moment(index, item.at) if unit is not None else None
    if unit is None or at is None:
        return None
    columns = _arrival(batch) | {
        "user_id": unit[1],
        "unit_type": unit[0],
        "units": item.units,
        "experiment_id": experiment.id if experiment else None,
        "variant_id": arm.id if arm else None,
    }
    return at, columns, arm


def _arrival(batch: MeasuredBatch | Batch[CostItem]) -> dict[str, object]:
    """When it came, with whose key, and how."""
    return {
        "received": batch.now.isoformat(),
        "environment": batch.identity.environment.value,
        "origin": batch.origin.value,
    }


def _unknown_variant(experiment: Known | None, word: str) -> str:
    if experiment is None:
        return f"variant {word!r} without an experiment says nothing; send both or neither"
    return f"{experiment.key} has no variant {word!r}; it has {', '.join(arm.key for arm in experiment.arms)}"


def _unit(
    batch: MeasuredBatch, index: int, item: Measured, experiment: Known | None
) -> tuple[str, str] | None:
    """The unit that the row is about: the experiment's type, else the one named, else the user,
    else the first.
    """
    problems = check_units(item.units)
    if problems:
        batch.refuse(index, problems[0].code, problems[0].field, problems[0].message)
        return None
    wanted = (
        (experiment.unit_type if experiment else None)
        or item.unit_type
        or ("user" if "user" in item.units else next(iter(item.units)))
    )
    found = unit_id(item.units, wanted)
    if found is None:
        whose = (
            f"{experiment.key} is randomised by {wanted}"
            if experiment
            else f"unit_type is {wanted}"
        )
        batch.refuse(
            index,
            "unit_missing",
            f"units.{wanted}",
            f"{whose}; the item carries {', '.join(sorted(item.units))}",
        )
        return None
    return wanted, found


def _event_columns(item: EventItem) -> dict[str, object]:
    return {
        "event_type": item.event_type,
        "value": item.value,
        "payload": item.payload
        if item.context is None
        else {**item.payload, "context": item.context},
        "cost_micro": item.cost_micro,
        "latency_ms": item.latency_ms,
        "language": item.language,
        "embedding_stats": item.embedding_stats,
        "request_id": item.request_id,
    }
