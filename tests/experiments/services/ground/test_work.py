"""Work that fails: three times, then set aside with its reason until a person has it tried
again.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from experiments.core.errors import Forbidden, NotFound
from experiments.models import ChangeLogEntry, FailedWork, OutboxMessage
from experiments.services.ground import due_work
from experiments.services.ground.slots import heard, last_heard
from tests.factories import NOW, person

pytestmark = pytest.mark.django_db


def attempt(number: int, what, subject: int = 7) -> None:
    due_work.once(NOW + timedelta(minutes=number), "analyse", subject, f"slot {number}", what)


def poison(_subject: int) -> None:
    raise ZeroDivisionError("poison")


def test_poison__is_tried_three_times_and_then_set_aside_and_told_once() -> None:
    tried: list[int] = []

    def what(subject: int) -> None:
        tried.append(subject)
        poison(subject)

    for number in range(6):
        attempt(number, what)
    assert tried == [7] * due_work.TRIES
    row = FailedWork.objects.get()
    assert (row.failures, row.error, row.set_aside_at) == (
        3,
        "ZeroDivisionError: poison",
        NOW + timedelta(minutes=2),
    )
    assert "analyse 7 failed 3 times" in OutboxMessage.objects.get().title


def killed(number: int, subject: int = 7) -> None:
    """A run whose process ended: written down and never finished."""
    with pytest.raises(SystemExit):
        attempt(number, lambda _: sys.exit("killed"), subject)


def test_run_that_never_ended__counts_like_any_other_failure() -> None:
    heard_of: list[str] = []
    for number in range(due_work.TRIES):
        killed(number)
    assert FailedWork.objects.get().set_aside_at is None, "nobody was left to say so"
    done: list[int] = []
    for number in range(4, 6):
        moment = NOW + timedelta(minutes=number)
        assert not due_work.once(
            moment,
            "analyse",
            7,
            f"slot {number}",
            done.append,
            told=lambda _, why: heard_of.append(why),
        )
    row = FailedWork.objects.get()
    assert (done, row.attempts, row.failures, row.error) == ([], 3, 3, due_work.LOST)
    assert row.set_aside_at == NOW + timedelta(minutes=4)
    assert heard_of == [
        due_work.LOST,
        f"{due_work.LOST}; failed 3 times and set aside until an administrator has it tried again",
    ]
    assert OutboxMessage.objects.count() == 1


def test_run_that_never_ended__then_a_success__is_forgotten() -> None:
    killed(0)
    attempt(1, lambda _: None)
    assert not FailedWork.objects.exists()


def test_locked_row__is_no_failure_however_often() -> None:
    def locked(_: int) -> None:
        error = OperationalError("lock")
        error.__cause__ = LockNotAvailable()
        raise error

    for number in range(5):
        attempt(number, locked)
    assert not FailedWork.objects.exists()


def test_poison__keeps_no_other_subject_waiting() -> None:
    done: list[int] = []
    attempt(0, poison, subject=1)
    attempt(0, done.append, subject=2)
    assert done == [2] and FailedWork.objects.get().subject == 1


def test_success__forgets_earlier_failures() -> None:
    attempt(0, poison)
    attempt(1, poison)
    attempt(2, lambda _: None)
    attempt(3, poison)
    assert FailedWork.objects.get().failures == 1


def test_one_slot__is_worked_once() -> None:
    done: list[int] = []
    attempt(0, done.append)
    attempt(0, done.append)
    assert done == [7]


def test_try_again__by_an_admin__lets_it_be_tried_and_is_written_down() -> None:
    for number in range(4):
        attempt(number, poison)
    row = FailedWork.objects.get()
    with pytest.raises(Forbidden):
        due_work.try_again(person("owner"), NOW, failed_id=row.pk)
    due_work.try_again(person("admin"), NOW, failed_id=row.pk)
    done: list[int] = []
    attempt(9, done.append)
    assert done == [7] and not FailedWork.objects.exists()
    assert ChangeLogEntry.objects.get(action="work_tried_again").before == {"failures": 3}
    with pytest.raises(NotFound):
        due_work.try_again(person("admin"), NOW, failed_id=row.pk)


def test_heard__is_kept_by_the_minute() -> None:
    heard(NOW, "a.task")
    heard(NOW + timedelta(seconds=1), "a.task")
    heard(NOW + timedelta(minutes=5), "a.task")
    assert last_heard() == {"a.task": NOW + timedelta(minutes=5)}
