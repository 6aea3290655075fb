"""Exposures of the units that have just been answered: queued on disk, or recorded before the
answer leaves.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from enum import StrEnum

from django.db import Error as DatabaseFailure

from experiments.core.errors import AssayError
from experiments.core.serving.assignment import Assignment, Served
from experiments.core.serving.exposure import QueuedExposure, finished, line_start
from experiments.core.serving.prepared import Prepared
from experiments.core.types import Environment, Phase
from experiments.services.serving import client_rows, spool, watching
from experiments.services.serving.client_rows import Admit


class Recording(StrEnum):
    """What an assignment's caller wants to be remembered."""

    NONE = "none"
    QUEUED = "queued"
    DURABLE = "durable"


def expose(
    answers: Collection[Assignment],
    now: datetime,
    *,
    environment: Environment,
    how: Recording,
    units: Mapping[str, str] | None = None,
    admit: Admit | None = None,
) -> int:
    """Record that these units met their variants; how many that were. What has no iteration cannot
    be recorded.

    Whatever is recorded, the answers are shown to whoever watches; ``units`` are those of the one
    request that was answered. ``admit`` leaves out the units of a client key that are above its
    caps.
    """
    watching.note(answers, now, environment=environment, units=units)
    if how is Recording.NONE:
        return 0
    if admit is not None:
        answers = _admitted(answers, now, environment, admit)
    if how is Recording.QUEUED:
        return _queue(answers, now, environment)
    met = [
        exposure
        for answer in answers
        if (exposure := exposure_of(answer, now, environment)) is not None
    ]
    if met:
        _record(met, now)
    return len(met)


def _admitted(
    answers: Collection[Assignment], now: datetime, environment: Environment, admit: Admit
) -> list[Assignment]:
    """Without those above the caps of a client key; an answer that would not be recorded anyway
    takes no room.
    """
    starts = _starts[environment]
    kept = [
        one
        for one in answers
        if one.unit_id is None or starts.of(one.served) is None or admit(one.unit_id, now)
    ]
    if len(kept) < len(answers):
        client_rows.note_dropped(len(answers) - len(kept))
    return kept


_numbers = itertools.count()
_process = b""


def _event_id() -> bytes:
    """Unlike any other: this process's own random beginning, and a number. Asking the kernel each
    time would let other threads in.
    """
    return b"%b%012x" % (_process, next(_numbers))


def _begin() -> None:
    global _process
    _process = os.urandom(10).hex().encode()


_begin()
os.register_at_fork(after_in_child=_begin)


def _queue(answers: Collection[Assignment], now: datetime, environment: Environment) -> int:
    starts, at = _starts[environment], _written(now)
    lines = [
        finished(start, answer.unit_id, answer.bucket, at, _event_id())
        for answer in answers
        if answer.unit_id is not None and (start := starts.of(answer.served)) is not None
    ]
    return len(lines) if lines and spool.append_lines(lines) else 0


_second: tuple[int, bytes] = (0, b"")


def _written(now: datetime) -> bytes:
    """The moment in ISO 8601; all but its fraction is written once a second, since writing it takes
    longer than deciding.
    """
    global _second
    second, text = _second
    if second != (this := int(now.timestamp())):
        text = now.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00").encode()
        _second = this, text
    return b"%b.%06d+00:00" % (text, now.microsecond)


def _starts_in(environment: Environment) -> Prepared[bytes | None]:
    """By answer: how the lines of all whom it meets begin; nothing for an answer that cannot be
    recorded.
    """

    def start(served: Served) -> bytes | None:
        known = _arm(served)
        return None if known is None else line_start(*known, environment)

    return Prepared(start)


_starts = {environment: _starts_in(environment) for environment in Environment}


def _arm(served: Served) -> tuple[int, int, int, str, Phase] | None:
    """Experiment, iteration, variant, unit type and phase that an exposure is recorded under, when
    the answer has them all.
    """
    if served.experiment_id is None or served.iteration_id is None or served.variant_id is None:
        return None
    if served.unit_type is None or served.role is None:
        return None
    return (
        served.experiment_id,
        served.iteration_id,
        served.variant_id,
        served.unit_type,
        served.role,
    )


def exposure_of(
    answer: Assignment, now: datetime, environment: Environment
) -> QueuedExposure | None:
    """The exposure that an answer means, or ``None`` when the unit met no variant of an
    iteration.
    """
    known, unit_id = _arm(answer.served), answer.unit_id
    if known is None or unit_id is None:
        return None
    experiment_id, iteration_id, variant_id, unit_type, phase = known
    return QueuedExposure(
        event_id=_event_id().decode(),
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
