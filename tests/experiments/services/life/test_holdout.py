"""The global holdout: opened, widened, ended, published and over by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from experiments import tasks
from experiments.core.errors import Forbidden, InvalidInput, NotFound, Refused
from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.types import Outcome, Reason
from experiments.models import ChangeLogEntry, GlobalHoldout, ServingDocument
from experiments.selectors import due, serving
from experiments.selectors.serving_rows import catalogue_document
from experiments.services.audience import holdout
from experiments.services.life import lifecycle
from tests.factories import NOW, draft, person, running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_catalogue")]
MONTH = NOW + timedelta(days=30)
UNITS = [f"u{number}" for number in range(2000)]


def hold(share=100, now=NOW, **changes) -> GlobalHoldout:
    return holdout.set_holdout(
        person("admin"),
        now,
        **{"share": share, "until": MONTH, "reason": "the year's effect", **changes},
    )


def held(now=NOW) -> set[str]:
    book = serving.refresh(now).catalogue
    return {
        u
        for u in UNITS
        if assign(book, AssignmentRequest(flag="rerank", units={"user": u}), now).served.reason
        is Reason.HOLDOUT
    }


@pytest.mark.parametrize("name", ["owner", "reviewer", "qa", "stranger"])
def test_set_or_end__not_by_an_admin__is_forbidden(name):
    with pytest.raises(Forbidden):
        holdout.set_holdout(person(name), NOW, share=50, until=MONTH, reason="x")
    with pytest.raises(Forbidden):
        holdout.end_holdout(person(name), NOW, reason="x")


@pytest.mark.parametrize(
    "wrong", [{"share": 0}, {"share": 201}, {"until": NOW}, {"reason": " "}, {"unit_type": "User"}]
)
def test_set__bad__is_refused(wrong):
    with pytest.raises(InvalidInput):
        hold(**wrong)
    assert not GlobalHoldout.objects.exists()


def test_set__a_share_of_all_units_gets_the_default__and_a_larger_share_keeps_them():
    running(draft())
    assert held() == set()
    hold(50)
    few = held()
    assert 60 < len(few) < 140
    hold(100)
    many = held()
    assert few < many
    assert 150 < len(many) < 250
    assert GlobalHoldout.objects.count() == 1


def test_set__also_from_a_rollout_and_from_an_experiment_by_another_unit():
    experiment = running(draft(unit_type="tenant"))
    hold(200)
    book = serving.refresh(NOW).catalogue
    reasons = {
        assign(
            book, AssignmentRequest(flag="rerank", units={"user": u, "tenant": "acme"}), NOW
        ).served.reason
        for u in UNITS[:100]
    }
    assert Reason.HOLDOUT in reasons
    lifecycle.conclude(
        person("owner"),
        NOW,
        experiment_id=experiment.pk,
        outcome=Outcome.NO_EFFECT,
        reason="it is over",
    )


def test_set__another_unit_type_while_one_is_open__is_refused():
    hold()
    with pytest.raises(Refused, match="end it"):
        hold(unit_type="tenant")


def test_end__lets_everybody_in__with_a_line_and_a_new_seed_next_time():
    running(draft())
    seed = hold().seed
    holdout.end_holdout(person("admin"), NOW, reason="done")
    assert held() == set()
    assert list(
        ChangeLogEntry.objects.filter(object_type="globalholdout")
        .values_list("action", flat=True)
        .order_by("id")
    ) == [
        "holdout_set",
        "holdout_ended",
    ]
    assert hold().seed != seed
    with pytest.raises(NotFound):
        holdout.end_holdout(person("admin"), MONTH, reason="none left")


def test_end_date__is_kept_by_every_process_at_once_and_beat_cleans_the_catalogue(monkeypatch):
    running(draft())
    hold()
    assert held(MONTH - timedelta(seconds=1))
    assert held(MONTH) == set()
    assert not due.catalogue_expired(MONTH - timedelta(seconds=1))
    assert due.catalogue_expired(MONTH)
    monkeypatch.setattr(tasks, "utc_now", lambda: MONTH)
    assert tasks.publish_expired()
    assert (
        '"holdout":null'
        in ServingDocument.objects.filter(kind="catalogue").order_by("-version").first().body
    )
    assert catalogue_document(MONTH, version=1, built_at=MONTH)["holdout"] is None


def test_set__after_the_open_one_s_time_is_over__opens_another():
    first = hold()
    second = hold(now=MONTH, until=MONTH + timedelta(days=1))
    assert second.pk != first.pk
    assert GlobalHoldout.objects.get(pk=first.pk).ended_at == MONTH
