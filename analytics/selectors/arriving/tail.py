"""The live tail: what lately happened to an experiment or a unit, accepted and refused, newest
first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, TypeVar

from django.db import connection
from django.db.models import Max, QuerySet

from analytics.models import AiEvent, Assignment, MetricObservation, RefusedItem, SeenAssignment
from experiments.core.types import JSON, Environment
from experiments.models import Experiment, Iteration, Variant

Kind: TypeAlias = Literal["assignment", "exposure", "event", "observation"]
KINDS: tuple[Kind, ...] = ("assignment", "exposure", "event", "observation")
MOST_ROWS = 200
BACK = timedelta(days=7)
"""How long ago an event may have happened to be found: each day is a partition."""
AHEAD = timedelta(days=2)
"""Ingest takes events from so far in the future."""
ITERATIONS = 3
"""An experiment's exposures are read from its newest iterations."""


@dataclass(frozen=True)
class TailRow:
    """One thing that happened. ``at`` is when it happened, ``received`` when it came in.

    ``accepted`` is false for what ingest refused; ``reason`` is then a code and ``message`` a
    sentence. An assignment's reason is the step that decided. ``name`` is an event's type or a
    metric.
    """

    kind: str
    at: datetime
    received: datetime
    accepted: bool = True
    reason: str = ""
    message: str = ""
    experiment: str | None = None
    variant: str | None = None
    unit_type: str | None = None
    unit: str | None = None
    bucket: int | None = None
    name: str | None = None
    value: float | None = None
    count: int | None = None
    event_id: str | None = None

    def as_json(self) -> dict[str, JSON]:
        return {**asdict(self), "at": self.at.isoformat(), "received": self.received.isoformat()}


@dataclass(frozen=True)
class TailSubject:
    """What is looked at: an experiment, or a unit by its id (of any type, or of one)."""

    experiment: Experiment | None = None
    unit_id: str = ""
    unit_type: str = ""
    environment: Environment = Environment.PRODUCTION


def tail(
    subject: TailSubject, now: datetime, kinds: tuple[str, ...] = KINDS
) -> tuple[TailRow, ...]:
    """The last 200 rows of these kinds, newest first by when they came in."""
    rows: list[TailRow] = []
    if "assignment" in kinds:
        rows += _assignments(subject)
    if "exposure" in kinds:
        rows += _exposures(subject)
    if "event" in kinds:
        rows += _events(subject, now)
    if "observation" in kinds:
        rows += _observations(subject, now)
    rows += _refused(subject, kinds)
    return tuple(sorted(rows, key=lambda row: (row.received, row.at), reverse=True)[:MOST_ROWS])


def newest_answer(subject: TailSubject) -> datetime | None:
    """When an answer about the experiment was last noted; answers are noted only while somebody
    looks.
    """
    noted: datetime | None = _seen(subject).aggregate(at=Max("at"))["at"]
    return noted


def newest_exposure(experiment: Experiment, environment: Environment) -> datetime | None:
    """When a unit of the experiment was last exposed for the first time."""
    asked: dict[str, int | str] = {
        "experiment": experiment.pk,
        "iterations": ITERATIONS,
        "environment": environment.value,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_OF_ALL, asked)
        newest: datetime | None = cursor.fetchone()[0]
    return newest


def _seen(subject: TailSubject) -> QuerySet[SeenAssignment]:
    seen = SeenAssignment.objects.filter(environment=subject.environment.value)
    return (
        seen.filter(experiment_key=subject.experiment.key)
        if subject.experiment
        else seen.filter(unit_id=subject.unit_id)
    )


def _assignments(subject: TailSubject) -> list[TailRow]:
    return [
        TailRow(
            "assignment", row.at, row.at, reason=row.reason, experiment=row.experiment_key or None, variant=row.variant or None,
            unit=row.unit_id or None, bucket=row.bucket, name=row.flag or None,
        )
        for row in _seen(subject).order_by("-id")[:MOST_ROWS]
    ]  # fmt: skip


def _exposures(subject: TailSubject) -> list[TailRow]:
    found = _exposures_of_experiment(subject) if subject.experiment else _exposures_of_unit(subject)
    rows = Assignment.objects.filter(pk__in=found).select_related("experiment", "variant")
    return [
        TailRow(
            "exposure", row.exposure_ts, row.exposure_ts, reason=row.phase, experiment=row.experiment.key, variant=row.variant.key,
            unit_type=row.unit_type, unit=row.user_id, bucket=row.bucket_id, count=row.exposure_count,
            message="crossover: met another variant before" if row.crossover else "",
        )
        for row in rows
    ]  # fmt: skip


# One walk along the index of each arm, where ordering the whole experiment would read all its
# units.
_NEWEST_OF_ARMS = """
SELECT newest.id FROM unnest(%s::bigint[]) AS i (id) CROSS JOIN unnest(%s::int[]) AS v (id) CROSS JOIN LATERAL (
    SELECT a.id, a.exposure_ts FROM experiment_assignments a
    WHERE a.iteration_id = i.id AND a.variant_id = v.id AND a.environment = %s ORDER BY a.exposure_ts DESC LIMIT %s
) AS newest ORDER BY newest.exposure_ts DESC LIMIT %s"""


_NEWEST_OF_ALL = """
SELECT max(newest.exposure_ts) FROM (
    SELECT id FROM experiment_iterations WHERE experiment_id = %(experiment)s ORDER BY number DESC LIMIT %(iterations)s
) AS i CROSS JOIN (SELECT variant_id AS id FROM experiment_variants WHERE experiment_id = %(experiment)s) AS v CROSS JOIN LATERAL (
    SELECT a.exposure_ts FROM experiment_assignments a
    WHERE a.iteration_id = i.id AND a.variant_id = v.id AND a.environment = %(environment)s ORDER BY a.exposure_ts DESC LIMIT 1
) AS newest"""


def _exposures_of_experiment(subject: TailSubject) -> list[int]:
    iterations = (
        Iteration.objects.filter(experiment=subject.experiment)
        .order_by("-number")
        .values_list("pk", flat=True)[:ITERATIONS]
    )
    variants = Variant.objects.filter(experiment=subject.experiment).values_list("pk", flat=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _NEWEST_OF_ARMS,
            [list(iterations), list(variants), subject.environment.value, MOST_ROWS, MOST_ROWS],
        )
        return [pk for (pk,) in cursor.fetchall()]


def _exposures_of_unit(subject: TailSubject) -> list[int]:
    # By iteration, environment and unit: the order of the one index that has the unit.
    iterations = list(Iteration.objects.values_list("pk", flat=True))
    rows = Assignment.objects.filter(
        iteration_id__in=iterations, environment=subject.environment.value, user_id=subject.unit_id
    )
    rows = rows.filter(unit_type=subject.unit_type) if subject.unit_type else rows
    return list(rows.order_by("-exposure_ts").values_list("pk", flat=True)[:MOST_ROWS])


def _events(subject: TailSubject, now: datetime) -> list[TailRow]:
    rows = list(_lately(AiEvent.objects.all(), subject, now))
    keys, arms = _names(row.experiment_id for row in rows), _arms(row.variant_id for row in rows)
    return [
        TailRow(
            "event", row.ts, row.received_ts, experiment=keys.get(row.experiment_id), variant=arms.get(row.variant_id),
            unit_type=row.unit_type, unit=row.user_id, name=row.event_type, value=row.value, event_id=row.event_id,
        )
        for row in rows
    ]  # fmt: skip


def _observations(subject: TailSubject, now: datetime) -> list[TailRow]:
    rows = list(_lately(MetricObservation.objects.all(), subject, now))
    keys, arms = _names(row.experiment_id for row in rows), _arms(row.variant_id for row in rows)
    return [
        TailRow(
            "observation", row.ts, row.received_ts, experiment=keys.get(row.experiment_id), variant=arms.get(row.variant_id),
            unit_type=row.unit_type, unit=row.user_id, name=row.metric_name, value=row.value, event_id=row.event_id,
        )
        for row in rows
    ]  # fmt: skip


def _refused(subject: TailSubject, kinds: tuple[str, ...]) -> list[TailRow]:
    rows = RefusedItem.objects.filter(environment=subject.environment.value).select_related(
        "experiment"
    )
    rows = (
        rows.filter(experiment=subject.experiment)
        if subject.experiment
        else rows.filter(unit_id=subject.unit_id)
    )
    rows = rows if kinds == KINDS else rows.filter(kind__in=kinds)
    return [
        TailRow(
            row.kind, row.at, row.at, accepted=False, reason=row.code, message=row.message, unit=row.unit_id or None, name=row.name or None,
            experiment=row.experiment.key if row.experiment else row.sent_experiment or None, event_id=row.event_id or None,
        )
        for row in rows.order_by("-id")[:MOST_ROWS]
    ]  # fmt: skip


Stored = TypeVar("Stored", AiEvent, MetricObservation)


def _lately(rows: QuerySet[Stored], subject: TailSubject, now: datetime) -> QuerySet[Stored]:
    """Newest first within the days that can have any; only these partitions are read."""
    rows = rows.filter(
        environment=subject.environment.value,
        event_date__range=((now - BACK).date(), (now + AHEAD).date()),
    )
    if subject.experiment is not None:
        rows = rows.filter(experiment_id=subject.experiment.pk)
    else:
        rows = rows.filter(user_id=subject.unit_id)
        rows = rows.filter(unit_type=subject.unit_type) if subject.unit_type else rows
    return rows.order_by("-ts")[:MOST_ROWS]


def _names(experiments: Iterable[int | None]) -> dict[int | None, str]:
    return dict(
        Experiment.objects.filter(pk__in={pk for pk in experiments if pk}).values_list("pk", "key")
    )


def _arms(variants: Iterable[int | None]) -> dict[int | None, str]:
    return dict(
        Variant.objects.filter(pk__in={pk for pk in variants if pk}).values_list("pk", "key")
    )
