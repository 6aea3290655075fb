"""Exposures of units that were just answered: the quick line says what the whole exposure says, and
a request is one write.
"""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta, timezone

import pytest

from experiments.core.serving.assignment import Assignment, assignment_of
from experiments.core.serving.evaluation import Served
from experiments.core.serving.exposure import QueuedExposure, from_line
from experiments.core.serving.prepared import Prepared
from experiments.core.types import Environment, Phase, Reason
from experiments.metrics import EXPOSURES_DROPPED
from experiments.services.serving import spool
from experiments.services.serving.exposures import Recording, expose, exposure_of

NOW = datetime(2026, 3, 10, 12, 0, 0, 5, tzinfo=UTC)
SERVED = Served(
    "f",
    Reason.EXPERIMENT,
    {},
    "e",
    "treatment",
    role=Phase.MAIN,
    experiment_id=1,
    iteration_id=2,
    variant_id=3,
    unit_type="user",
)
UNRECORDED = Served("f", Reason.NOT_TARGETED, {})


@pytest.fixture(autouse=True)
def own_spool(settings, tmp_path):
    spool.release()
    settings.SPOOL = tmp_path
    yield
    spool.release()


def queued(
    *answers: Assignment, environment: Environment = Environment.PRODUCTION
) -> list[QueuedExposure]:
    expose(answers, NOW, environment=environment, how=Recording.QUEUED)
    return [
        from_line(line)
        for path in spool.waiting()
        for line in path.read_bytes().splitlines(keepends=True)
    ]


@pytest.mark.parametrize("unit", ["u1", 'q"\\', "Ж\u2028😀", "\x00"])
@pytest.mark.parametrize("bucket", [None, 0, 999])
@pytest.mark.parametrize("environment", Environment)
def test_queued__line__says_what_the_whole_exposure_says(unit, bucket, environment):
    answer = assignment_of(SERVED, unit, bucket)
    (found,) = queued(answer, environment=environment)
    whole = exposure_of(answer, NOW, environment)
    assert whole is not None
    assert {**vars(found), "event_id": ""} == {**vars(whole), "event_id": ""}
    assert len({found.event_id, whole.event_id}) == 2


def test_queued__one_moment_after_another__each_line_has_its_own():
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    steps = (0, 999_994, 1_000_000, 59_999_994, 60_000_000, 5, 86_400_000_000)
    moments = [NOW + timedelta(microseconds=step) for step in steps] + [
        NOW.astimezone(elsewhere) + timedelta(seconds=1)
    ]
    for moment in moments:
        expose(
            [assignment_of(SERVED, "u1", 1)],
            moment,
            environment=Environment.PRODUCTION,
            how=Recording.QUEUED,
        )
    lines = [
        line for path in spool.waiting() for line in path.read_bytes().splitlines(keepends=True)
    ]
    assert [from_line(line).at for line in lines] == moments


def test_queued__many_answers__are_one_write_of_those_that_met_something(monkeypatch):
    written = []
    real = spool.write_at_once
    monkeypatch.setattr(
        spool, "write_at_once", lambda fd, data: written.append(data) or real(fd, data)
    )
    found = queued(
        assignment_of(SERVED, "u1", 1),
        assignment_of(UNRECORDED, "u1"),
        assignment_of(SERVED, "u2", 2),
        assignment_of(SERVED),
    )
    assert [exposure.unit_id for exposure in found] == ["u1", "u2"]
    assert len(written) == 1


def test_queued__no_disk__drops_and_counts_each(settings, tmp_path):
    before = EXPOSURES_DROPPED._value.get()
    settings.SPOOL = tmp_path / "file"
    settings.SPOOL.write_bytes(b"")
    assert (
        expose(
            [assignment_of(SERVED, "u1", 1)] * 3,
            NOW,
            environment=Environment.PRODUCTION,
            how=Recording.QUEUED,
        )
        == 0
    )
    assert EXPOSURES_DROPPED._value.get() == before + 3


def test_write__a_full_disk__is_an_error_of_its_kind():
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left") as refusal:
        spool.write_at_once(full, b"line\n")
    os.close(full)
    assert refusal.value.errno == errno.ENOSPC


def test_prepared__answers_that_come_and_go__are_never_mistaken_for_each_other():
    prepared = Prepared(lambda served: served.flag, most=3)
    assert [prepared.of(Served(str(n), Reason.DEFAULT, {})) for n in range(200)] == [
        str(n) for n in range(200)
    ]
    assert prepared.of(SERVED) is prepared.of(SERVED)
