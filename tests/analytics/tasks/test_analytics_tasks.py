"""Beat's wake-ups: what is due is found in the database, done once per tick, and nobody waits for a
faulty one.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from analytics.models import AnalysisRun, Look
from analytics.selectors import due
from analytics.tasks import analyse_due
from config.celery_settings import BEAT
from experiments.models import Iteration
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
NOW = START + timedelta(days=8, hours=1)


def measured(key: str, **fields: object) -> World:
    w = world(key, **fields)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    crowd(w, "control", 300, START, events={"apply": 60})
    crowd(w, "treatment", 300, START, events={"apply": 66})
    return w


def test_beat__every_task_of_ours__is_in_the_table() -> None:
    assert {"analytics.tasks.analyse_due", "analytics.tasks.decide_due"} <= {
        tick.task for tick in BEAT
    }


def test_analyse_due__twice_in_one_tick__analyses_once() -> None:
    w = measured("one")
    with time_machine.travel(NOW, tick=False):
        analyse_due()
        AnalysisRun.objects.update(error="untouched")
        analyse_due()
    assert AnalysisRun.objects.get(experiment=w.experiment, latest=True).error == "untouched"
    assert Look.objects.count() == 1


def test_analyse_due__next_tick__analyses_again() -> None:
    measured("one")
    for later in (timedelta(0), timedelta(hours=1)):
        with time_machine.travel(NOW + later, tick=False):
            analyse_due()
    assert AnalysisRun.objects.get(latest=True).computed_at == NOW + timedelta(hours=1)


def test_analyse_due__one_experiment_is_broken__the_others_are_analysed() -> None:
    broken, sound = measured("broken"), measured("sound")
    Iteration.objects.filter(pk=broken.iteration.pk).update(policy_rules={"nonsense": 1})
    with time_machine.travel(NOW, tick=False):
        analyse_due()
    assert "nonsense" in AnalysisRun.objects.get(experiment=broken.experiment).error
    assert AnalysisRun.objects.get(experiment=sound.experiment, latest=True).error == ""


def test_ended_without_final_run__ended_since_the_last_run__is_due_once_more() -> None:
    w = measured("over")
    with time_machine.travel(NOW, tick=False):
        analyse_due()
    Iteration.objects.filter(pk=w.iteration.pk).update(ended_at=NOW + timedelta(hours=1))
    type(w.experiment).objects.filter(pk=w.experiment.pk).update(status="completed")
    assert due.ended_without_final_run() == [w.experiment.pk]
    with time_machine.travel(NOW + timedelta(hours=2), tick=False):
        analyse_due()
    assert due.ended_without_final_run() == []
    assert due.running() == []
