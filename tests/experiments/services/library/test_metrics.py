"""Metric definitions in the database: installed once, versioned when they change, met by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from experiments.core.errors import Forbidden, InvalidInput
from experiments.core.library.metrics import LIBRARY
from experiments.core.types import Actor, ActorKind, Role
from experiments.models import ChangeLogEntry, Metric
from experiments.selectors.metrics import current_metric, definition_of
from experiments.services.library.metrics import (
    define_metric,
    install_library,
    register_exploratory,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def test_install_library__twice__writes_each_metric_once() -> None:
    install_library(NOW)
    assert install_library(NOW) == 0
    assert Metric.objects.filter(shipped=True, current=True).count() == len(LIBRARY)


def test_install_library__definition_changed__writes_a_new_version_and_keeps_the_old() -> None:
    install_library(NOW)
    Metric.objects.filter(key="booked").update(window_hours=24)
    assert install_library(NOW) == 1
    assert current_metric("booked").version == 2
    assert Metric.objects.get(key="booked", version=1).window_hours == 24


def test_install_library__key_that_a_person_defined__is_left_alone() -> None:
    install_library(NOW)
    Metric.objects.filter(key="booked").update(shipped=False, window_hours=24)
    assert install_library(NOW) == 0
    assert current_metric("booked").window_hours == 24


def test_definition_of__installed_row__equals_the_shipped_definition() -> None:
    install_library(NOW)
    shipped = next(metric for metric in LIBRARY if metric.key == "ai_error_units")
    assert definition_of(current_metric("ai_error_units")).substance() == shipped.substance()


DATA_SCIENTIST = Actor(ActorKind.PERSON, "Dana", roles=frozenset({Role.DATA_SCIENTIST}))
VIEWER = Actor(ActorKind.PERSON, "Vic", roles=frozenset({Role.VIEWER}))


def test_define_metric__data_scientist_narrows_a_window__writes_the_next_version_and_a_line() -> (
    None
):
    narrowed = replace(definition_of(current_metric("booked")), window_hours=24)
    row = define_metric(DATA_SCIENTIST, NOW, definition=narrowed, reason="bookings come at once")
    assert (row.version, row.window_hours, current_metric("booked").pk) == (2, 24, row.pk)
    line = ChangeLogEntry.objects.get(action="metric_defined")
    assert (line.before["window_hours"], line.after["window_hours"], line.reason) == (
        72,
        24,
        "bookings come at once",
    )
    assert define_metric(DATA_SCIENTIST, NOW, definition=narrowed).pk == row.pk


def test_define_metric__viewer__is_refused_and_nothing_is_written() -> None:
    with pytest.raises(Forbidden):
        define_metric(
            VIEWER,
            NOW,
            definition=replace(definition_of(current_metric("booked")), window_hours=24),
        )
    assert current_metric("booked").version == 1


def test_define_metric__nobody_could_measure_it__is_refused() -> None:
    with pytest.raises(InvalidInput, match="event type"):
        define_metric(
            DATA_SCIENTIST,
            NOW,
            definition=replace(definition_of(current_metric("booked")), event_types=()),
        )


def test_register_exploratory__new_name__is_kept_once_and_decides_nothing() -> None:
    first = register_exploratory(NOW, key="smile_rate")
    assert register_exploratory(NOW, key="smile_rate").pk == first.pk
    assert first.exploratory


def test_register_exploratory__declared_name__is_the_declared_metric() -> None:
    install_library(NOW)
    assert not register_exploratory(NOW, key="csat").exploratory


@pytest.mark.parametrize("key", ["", "a b", "x" * 81, "naïve\x00"])
def test_register_exploratory__name_that_is_no_key__is_refused(key: str) -> None:
    with pytest.raises(InvalidInput):
        register_exploratory(NOW, key=key)
