"""Each decision is told once: by the change it makes, or by a message of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from analytics.models import AppliedDecision, Decision
from analytics.services.analysis import notices
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.decisions import WaitingDecision, decide
from experiments.core.types import SYSTEM
from experiments.models import ChangeLogEntry, Experiment, OutboxMessage
from experiments.services.life import lifecycle
from tests.analytics.services.analysis.test_decisions import (
    HOUR,
    MORNING,
    NIGHT,
    harmful,
    now_of,
    winner,
)
from tests.analytics.stores.observed import START, World, crowd, plan, world

DAY = timedelta(days=1)


def told(w: World) -> list[str]:
    """Kinds of the messages since the analysis, oldest first."""
    return list(
        OutboxMessage.objects.filter(experiment=w.experiment, at__gte=START + DAY)
        .order_by("pk")
        .values_list("kind", flat=True)
    )


@pytest.mark.django_db
def test_promotion__outside_the_window__is_announced_as_long_before_as_the_policy_says() -> None:
    w = winner()
    notice = OutboxMessage.objects.get(key__startswith="notice:")
    assert (notice.kind, notice.at) == ("promotion", NIGHT)
    assert notice.title == "search_rerank: treatment will be promoted by itself"
    assert notice.facts["not_before"] == (NIGHT + 4 * HOUR).isoformat()
    assert isinstance(decide(w.iteration.pk, now=NIGHT + HOUR), WaitingDecision)
    assert isinstance(
        decide(w.iteration.pk, now=NIGHT + 4 * HOUR - timedelta(seconds=1)), WaitingDecision
    )
    assert isinstance(decide(w.iteration.pk, now=NIGHT + 4 * HOUR), AppliedDecision)
    assert told(w) == ["promotion", "state"]


@pytest.mark.django_db
def test_promotion__decided_in_the_window_but_too_late_for_it__waits_from_the_notice_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the decision and beat's next tick the window may close; the notice then counts from
    when it was given.
    """
    with monkeypatch.context() as patch:
        patch.setattr(notices, "in_window", lambda *_: True)
        w = winner()
    assert told(w) == []
    assert isinstance(decide(w.iteration.pk, now=NIGHT + HOUR), WaitingDecision)
    assert isinstance(decide(w.iteration.pk, now=NIGHT + 4 * HOUR), WaitingDecision)
    assert isinstance(decide(w.iteration.pk, now=NIGHT + 5 * HOUR), AppliedDecision)
    assert told(w) == ["promotion", "state"]


@pytest.mark.django_db
def test_harm__is_told_once_by_the_stop_itself() -> None:
    w = harmful()
    decide(w.iteration.pk, now=START + 2 * DAY)
    assert told(w) == ["breach"]
    assert "complained" in OutboxMessage.objects.get(experiment=w.experiment, kind="breach").text


@pytest.mark.django_db
def test_promotion__left_to_people__asks_them_at_once() -> None:
    w = winner()
    OutboxMessage.objects.all().delete()
    Experiment.objects.filter(pk=w.experiment.pk).update(flag=None)
    decide(w.iteration.pk, now=MORNING)
    (message,) = OutboxMessage.objects.filter(experiment=w.experiment)
    assert (message.kind, message.key) == ("promotion", f"decision:{Decision.objects.get().pk}")
    assert "no flag" in message.text


@pytest.mark.django_db
def test_decision__somebody_was_first__is_told_with_the_digest() -> None:
    w = winner()
    lifecycle.emergency_stop(
        SYSTEM, NIGHT + HOUR, experiment_id=w.experiment.pk, reason="looks wrong"
    )
    decide(w.iteration.pk, now=MORNING)
    assert told(w) == ["promotion", "breach", "decision"]


@pytest.mark.django_db
def test_decision__that_changes_nothing__is_told_with_the_digest() -> None:
    w = world("even")
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    crowd(w, "control", 1000, START, events={"apply": 180})
    crowd(w, "treatment", 1000, START, events={"apply": 205})
    type(w.iteration).objects.filter(pk=w.iteration.pk).update(plan={"n_planned": 3000})
    analyse(w.experiment.pk, now=NIGHT, may_look=True)
    made = Decision.objects.get()
    assert made.verdict == "keep"
    assert OutboxMessage.objects.get(key=f"decision:{made.pk}").kind == "decision"


@pytest.mark.django_db(transaction=True)
def test_decisions__eight_workers_race__exactly_one_message_each() -> None:
    worlds = [winner(f"told_{i}") for i in range(3)] + [harmful("told_harm")]
    OutboxMessage.objects.filter(kind="promotion").delete()

    def attempt(turn: int) -> None:
        try:
            for w in worlds[turn % 4 :] + worlds[: turn % 4]:
                analyse(w.experiment.pk, now=MORNING, may_look=True)
                decide(w.iteration.pk, now=MORNING)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, range(8)))
    assert [now_of(w).status for w in worlds] == ["completed", "completed", "completed", "paused"]
    assert [told(w) for w in worlds] == [["state"], ["state"], ["state"], ["breach"]]
    for w in worlds:
        assert (
            ChangeLogEntry.objects.filter(
                experiment=w.experiment, actor_label=SYSTEM.label, at__gte=MORNING
            ).count()
            == 1
        )
