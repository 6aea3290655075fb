"""Exposures of the units that have just been answered: queued on disk, or recorded before the answer leaves."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from django.db import Error as DatabaseFailure

from experiments.core.assignment import Assignment
from experiments.core.errors import AssayError
from experiments.core.exposure import QueuedExposure
from experiments.core.types import Environment
from experiments.services import spool


class Recording(StrEnum):
    """What an assignment's caller wants to be remembered."""

    NONE = "none"
    QUEUED = "queued"
    DURABLE = "durable"


def expose(answers: Iterable[Assignment], now: datetime, *, environment: Environment, how: Recording) -> int:
    """Record that these units met their variants; how many that were. What has no iteration cannot be recorded."""
    if how is Recording.NONE:
        return 0
    met = [exposure for answer in answers if (exposure := exposure_of(answer, now, environment)) is not None]
    if how is Recording.QUEUED:
        return sum(spool.append(exposure) for exposure in met)
    if met:
        _record(met, now)
    return len(met)


def exposure_of(answer: Assignment, now: datetime, environment: Environment) -> QueuedExposure | None:
    """The exposure that an answer means, or ``None`` when the unit met no variant of an iteration."""
    served, unit_id = answer.served, answer.unit_id
    known = (served.experiment_id, served.iteration_id, served.variant_id, served.unit_type, served.role)
    experiment_id, iteration_id, variant_id, unit_type, phase = known
    if experiment_id is None or iteration_id is None or variant_id is None or unit_type is None or unit_id is None or phase is None:
        return None
    return QueuedExposure(
        event_id=uuid.uuid4().hex,
        experiment_id=experiment_id,
        iteration_id=iteration_id,
        variant_id=variant_id,
        unit_type=unit_type,
        unit_id=unit_id,
        at=now,
        bucket=answer.bucket,
        phase=phase,
        environment=environment,
    )


def _record(met: list[QueuedExposure], now: datetime) -> None:
    try:
        spool.record_durably(met, now)
    except DatabaseFailure as error:
        message = "the exposure could not be committed, since the database does not answer; ask with exposure=queued or try again"
        raise AssayError(message, code="not_available") from error
