"""Nothing new, nothing to do: an experiment is analysed again when a row was stored, or when time
alone changes its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
import time_machine

from analytics.models import AnalysisRun, OutcomeCount, SlowWorkDone
from analytics.selectors.confirmed import judged_until
from analytics.selectors.stored import mark
from analytics.tasks import SLOW, analyse_due, count_told
from experiments.admin.health_section import section
from experiments.models import ClaimedSlot, Experiment, FailedWork, Policy
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
NOW = START + timedelta(days=8, hours=1)
TICK = timedelta(minutes=5)


def measured(key: str = "one") -> World:
    w = world(key)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    crowd(w, "control", 300, START, events={"apply": 60})
    crowd(w, "treatment", 300, START, events={"apply": 66})
    return w


def ticks(*moments: datetime) -> datetime:
    """Beat's wake-ups at these moments; when the newest analysis was computed."""
    for moment in moments:
        with time_machine.travel(moment, tick=False):
            analyse_due()
    return AnalysisRun.objects.get(latest=True).computed_at


def settled() -> datetime:
    """A moment after which only new rows or time change anything: the first run took a look, and
    that is a change.
    """
    return ticks(NOW, NOW + TICK)


def test_nothing_stored__is_not_analysed_again_but_confirmed() -> None:
    w = measured()
    before = settled()
    assert ticks(NOW + 2 * TICK, NOW + 3 * TICK) == before
    assert (
        SlowWorkDone.objects.get(kind="analyse", subject=w.experiment.pk).confirmed_at
        == NOW + 3 * TICK
    )
    assert judged_until(w.experiment.pk, before) == NOW + 3 * TICK


def test_health_page__of_a_quiet_experiment__warns_only_when_beat_is_silent() -> None:
    w = measured()
    before = settled()
    later = before + timedelta(minutes=55)
    assert ticks(later) == before

    def warned(now: datetime) -> bool:
        return bool(section(View(w.experiment, now), [])["stale"])  # type: ignore[arg-type]  # all that it reads

    assert not warned(later + timedelta(minutes=30))
    assert warned(later + timedelta(minutes=90))


@dataclass(frozen=True)
class View:
    """What the section reads of a page."""

    experiment: Experiment
    now: datetime


def test_an_event__has_its_experiment_analysed_with_the_next_tick() -> None:
    w = measured()
    settled()
    crowd(w, "treatment", 1, START + timedelta(days=7), events={"apply": 1})
    assert ticks(NOW + 2 * TICK) == NOW + 2 * TICK


def test_a_changed_policy__counts_as_stored() -> None:
    measured()
    settled()
    Policy.objects.update(name="another")
    assert ticks(NOW + 2 * TICK) == NOW + 2 * TICK


def test_an_hour__is_the_longest_that_an_answer_is_kept() -> None:
    measured()
    before = settled()
    assert ticks(before + timedelta(minutes=55)) == before
    assert ticks(before + timedelta(hours=1)) == before + timedelta(hours=1)


def test_midnight__of_the_experiment__is_not_waited_for_longer_than_a_tick() -> None:
    measured()
    midnight = START.replace(hour=0, minute=0) + timedelta(days=10)
    late = ticks(midnight - 2 * TICK, midnight - TICK)
    assert late == midnight - TICK
    assert ticks(midnight) == midnight


def test_a_window_that_ends__counts_at_the_next_tick() -> None:
    w = measured()
    window = timedelta(hours=plan_window(w)) + timedelta(hours=24)
    crowd(w, "treatment", 10, NOW + 3 * TICK - window, events={})
    before = settled()
    assert ticks(NOW + 2 * TICK) == before
    assert ticks(NOW + 3 * TICK) == NOW + 3 * TICK


def plan_window(w: World) -> int:
    """Hours of the primary metric's window."""
    from analytics.selectors.plans import plan_of

    primary = plan_of(w.iteration, NOW).primary
    assert primary is not None and primary.definition.window_hours is not None
    return primary.definition.window_hours


def test_work_that_failed__is_tried_again_although_nothing_was_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured()

    def fails(pk: int, now: datetime) -> object:
        raise RuntimeError("broken")

    monkeypatch.setitem(SLOW, "analyse", type(SLOW["analyse"])(fails))  # type: ignore[arg-type]
    for moment in (NOW, NOW + TICK):
        with time_machine.travel(moment, tick=False):
            analyse_due()
    assert FailedWork.objects.get(task="analyse").failures == 2


def test_counts__are_left_alone_while_nothing_is_stored() -> None:
    w = measured()
    for moment in (NOW, NOW + timedelta(minutes=1)):
        with time_machine.travel(moment, tick=False):
            count_told()
    assert OutcomeCount.objects.get(iteration=w.iteration).counted_at == NOW
    crowd(w, "control", 1, START + timedelta(days=7), events={"apply": 1})
    with time_machine.travel(NOW + timedelta(minutes=2), tick=False):
        count_told()
    assert OutcomeCount.objects.get(iteration=w.iteration).counted_at == NOW + timedelta(minutes=2)


def test_mark__changes_with_a_row_about_an_experiment_and_not_with_beats_own() -> None:
    w = measured()
    before = mark()
    ClaimedSlot.objects.create(task="t", slot="1", claimed_at=NOW)
    assert mark() == before
    Experiment.objects.filter(pk=w.experiment.pk).update(name="another")
    assert mark() != before
