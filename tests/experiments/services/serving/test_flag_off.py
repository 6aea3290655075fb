"""A flag that is switched off under a running experiment: said everywhere, and the clock does not
count.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.core.deciding.windows import clock
from analytics.selectors.cards import card_of
from analytics.selectors.plans import plan_of
from experiments.core.cards import State
from experiments.core.types import Status
from experiments.selectors.switches import off_spans
from experiments.services.serving import flags
from tests.factories import NOW, experiment_in, lifecycle_of, person

pytestmark = pytest.mark.django_db
STARTED = NOW + timedelta(days=1)
OFF, ON = NOW + timedelta(days=3), NOW + timedelta(days=6)


@pytest.fixture
def switched(own_catalogue):
    """Running since Tuesday; its flag is off from Thursday to Sunday."""
    row = experiment_in(Status.RUNNING)
    flags.switch(
        person("owner"), OFF, flag_key=row.flag.key, enabled=False, reason="the model is down"
    )
    return row


def _days(row, until) -> int:
    plan = plan_of(row.iterations.get(), until)
    return clock(plan.spans, plan.time_zone, plan.weeks, until).days


def test_flag_off__the_clock_stops_and_goes_on_when_it_is_on_again(switched):
    assert _days(switched, ON) == 1
    flags.switch(
        person("owner"), ON, flag_key=switched.flag.key, enabled=True, reason="the model is back"
    )
    later = NOW + timedelta(days=9)
    assert off_spans(switched.flag.key, STARTED, later) == [(OFF, ON)]
    assert _days(switched, later) == 3
    plan = plan_of(switched.iterations.get(), later)
    assert (OFF, ON) in plan.pauses


def test_flag_off__the_card_says_since_when_by_whom_and_why(switched):
    found = card_of(lifecycle_of(switched), ON)
    assert found.state is State.SWITCHED_OFF
    assert "is switched off (owner, 05 Mar 2026, 09:00 UTC: “the model is down”)" in found.sentence
    assert "the clock does not count" in found.sentence


def test_off_spans__before_during_and_open(switched):
    assert off_spans("", STARTED, ON) == []
    assert off_spans(switched.flag.key, OFF + timedelta(hours=1), ON) == [
        (OFF + timedelta(hours=1), ON)
    ]
    assert off_spans(switched.flag.key, STARTED, OFF) == []
