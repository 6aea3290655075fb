"""Signing, evidence and the launch request, through the services."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, transaction

from experiments.core.design.design import digest, judged
from experiments.core.errors import Forbidden, InvalidInput, NotFound, Refused
from experiments.core.life.checklist import basis
from experiments.core.life.lifecycle import Verb
from experiments.core.permissions import Action
from experiments.core.types import SYSTEM, Item, MetricRole, Scope, Status, Verdict
from experiments.models import ChangeLogEntry, Evidence, SignOff
from experiments.selectors.actors import actor_for_key
from experiments.selectors.checklist import facts, states
from experiments.selectors.experiments import design_of
from experiments.selectors.overview import checklists
from experiments.services.drafts import drafts
from experiments.services.life import checklist, lifecycle, steps
from experiments.services.people.keys import create_key
from tests.factories import (
    NOW,
    dark_launched,
    draft,
    experiment_in,
    key_of,
    lifecycle_of,
    person,
    ready_for_dark_launch,
    ready_to_start,
)

pytestmark = pytest.mark.django_db


def state(experiment, item: Item) -> str:
    return next(s.state for s in states(lifecycle_of(experiment), NOW) if s.item is item)


def sign(
    experiment, name: str, item: Item, verdict: Verdict = Verdict.APPROVED, comment: str = ""
) -> SignOff:
    return checklist.sign_off(
        person(name), NOW, experiment_id=experiment.pk, item=item, verdict=verdict, comment=comment
    )


def evaluate(experiment, **more: object):
    values = {"variant_key": "treatment", "metric": "ndcg@10", "value": 0.55, "lower": 0.52, **more}
    return checklist.record_offline_evaluation(
        person("reviewer"), NOW, experiment_id=experiment.pk, **values
    )


def test_sign_off__stores_what_it_judged_and_its_hash():
    experiment = draft(policy="ai-low")

    row = sign(experiment, "owner", Item.PRD)

    assert row.judged["hypothesis"] == "A cross-encoder ranks better"
    assert row.judged_sha256 == digest(judged(design_of(experiment), Item.PRD))
    assert state(experiment, Item.PRD) == "done"


@pytest.mark.parametrize(
    ("changes", "item"),
    [
        ({"hypothesis": "another"}, Item.PRD),
        ({"offline_thresholds": [{"metric": "ndcg@10", "op": ">=", "value": 0.51}]}, Item.OFFLINE),
        ({"confidence_level": "0.990"}, Item.SAMPLE_SIZE),
    ],
)
def test_edit__of_what_was_judged__voids_the_item(changes, item):
    experiment = ready_for_dark_launch(draft(policy="ai-low"))

    drafts.edit_experiment(person("owner"), NOW, experiment_id=experiment.pk, changes=changes)

    assert state(experiment, item) == "stale"
    with pytest.raises(Refused):
        lifecycle.start_dark_launch(person("qa"), NOW, experiment_id=experiment.pk)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Another"},
        {"description": "x"},
        {"tags": ["a"]},
        {"notes": "x"},
        {"planned_end": NOW + timedelta(days=30)},
    ],
)
def test_edit__of_what_is_not_design__voids_nothing(changes):
    experiment = ready_for_dark_launch(draft(policy="ai-low"))

    drafts.edit_experiment(person("owner"), NOW, experiment_id=experiment.pk, changes=changes)

    assert (
        lifecycle.start_dark_launch(person("qa"), NOW, experiment_id=experiment.pk).status
        == Status.DARK_LAUNCH
    )


SIGNERS = [
    (Item.PRD, {"owner", "approver"}),
    (Item.OFFLINE, {"reviewer"}),
    (Item.DARK_LAUNCH, {"qa"}),
    (Item.APPROVAL, {"approver", "reviewer", "admin"}),
]


@pytest.mark.parametrize(("item", "allowed"), SIGNERS)
@pytest.mark.parametrize("name", ["owner", "reviewer", "qa", "approver", "admin", "stranger"])
def test_sign_off__by_role__only_whose_item_it_is(item, allowed, name):
    experiment = dark_launched(draft(policy="ai-low"))
    checklist.request_launch(person("owner"), NOW, experiment_id=experiment.pk)

    if name in allowed:
        assert sign(experiment, name, item, Verdict.REJECTED, "no").signed_by.username == name
    else:
        with pytest.raises((Forbidden, Refused)):
            sign(experiment, name, item, Verdict.REJECTED, "no")


@pytest.mark.parametrize("item", [Item.PRD, Item.OFFLINE, Item.DARK_LAUNCH, Item.APPROVAL])
def test_sign_off__by_a_key__is_forbidden(item):
    with pytest.raises(Forbidden):
        checklist.sign_off(
            key_of("owner"),
            NOW,
            experiment_id=draft(policy="ai-low").pk,
            item=item,
            verdict="approved",
        )


@pytest.mark.parametrize("item", [Item.FLAG, Item.METRICS, Item.SAMPLE_SIZE, "prayer"])
def test_sign_off__of_what_nobody_signs__is_invalid(item):
    with pytest.raises(InvalidInput):
        checklist.sign_off(
            person("owner"),
            NOW,
            experiment_id=draft(policy="ai-low").pk,
            item=item,
            verdict="approved",
        )


def test_sign_off__of_an_optional_item__may_say_that_it_does_not_apply_but_why():
    experiment = draft()
    with pytest.raises(InvalidInput, match="reason"):
        sign(experiment, "owner", Item.PRD, Verdict.NOT_APPLICABLE)

    sign(experiment, "owner", Item.PRD, Verdict.NOT_APPLICABLE, "a copy change")

    found = next(s for s in states(lifecycle_of(experiment), NOW) if s.item is Item.PRD)
    assert (found.state, found.required, found.message) == (
        "not_needed",
        False,
        "optional; not applicable: a copy change",
    )


def test_sign_off__not_applicable_of_a_required_item__is_refused():
    with pytest.raises(Refused, match="cannot be called not applicable"):
        sign(draft(policy="ai-low"), "owner", Item.PRD, Verdict.NOT_APPLICABLE, "a copy change")


def test_sign_off__an_approval_that_nobody_asks_for__is_refused():
    with pytest.raises(Refused, match="does not ask"):
        sign(draft(), "reviewer", Item.APPROVAL)


def test_sign_off__prd_without_hypothesis__cannot_be_approved_but_rejected():
    experiment = draft(policy="ai-low", hypothesis="")

    with pytest.raises(Refused):
        sign(experiment, "owner", Item.PRD)
    with pytest.raises(InvalidInput):
        sign(experiment, "owner", Item.PRD, Verdict.REJECTED)
    sign(experiment, "owner", Item.PRD, Verdict.REJECTED, "no hypothesis")
    assert state(experiment, Item.PRD) == "rejected"


def test_offline__threshold_not_cleared__cannot_be_approved():
    experiment = draft(policy="ai-low")
    evaluate(experiment, value=0.55, lower=0.45)

    with pytest.raises(Refused):
        sign(experiment, "reviewer", Item.OFFLINE)


def test_offline__value_only__is_amber_and_may_be_approved():
    experiment = draft(policy="ai-low")
    evaluate(experiment, lower=None)

    assert state(experiment, Item.OFFLINE) == "amber"
    sign(experiment, "reviewer", Item.OFFLINE)
    assert state(experiment, Item.OFFLINE) == "done"


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": float("nan")},
        {"value": 0.5, "lower": 0.6},
        {"upper": 0.1},
        {"metric": " "},
        {"lower": float("-inf")},
        {"n": -1},
    ],
)
def test_offline_evaluation__that_cannot_be__is_invalid(wrong):
    with pytest.raises(InvalidInput):
        evaluate(draft(policy="ai-low"), **wrong)


def test_offline_evaluation__of_an_unknown_variant__is_not_found():
    with pytest.raises(NotFound):
        evaluate(draft(policy="ai-low"), variant_key="nobody")


def test_approval__by_who_asked__is_refused_by_service_and_database():
    experiment = dark_launched(draft(policy="ai-low"))
    done = {"experiment_id": experiment.pk}
    checklist.record_evidence(
        SYSTEM, NOW, item=Item.DARK_LAUNCH, green=True, summary="fine", **done
    )
    sign(experiment, "qa", Item.DARK_LAUNCH)
    checklist.request_launch(person("owner"), NOW, **done)

    with pytest.raises(Refused, match="second person"):
        sign(experiment, "owner", Item.APPROVAL)

    owner = person("owner").user_id
    row = SignOff(
        experiment=experiment,
        item="approval",
        verdict="approved",
        judged={},
        judged_sha256="",
        signed_by_id=owner,
        signed_at=NOW,
    )
    for requester in (owner, None):
        row.requested_by_id = requester
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save(force_insert=True)


def test_approval__requested_through_ones_own_key__is_refused_too():
    experiment = ready_to_start(draft(policy="ai-low"))
    checklist.request_launch(
        key_of("approver"), NOW + timedelta(days=1, hours=1), experiment_id=experiment.pk
    )

    with pytest.raises(Refused, match="second person"):
        sign(experiment, "approver", Item.APPROVAL)


def key_for_the_owner(maker):
    """A key that acts for owner, made by somebody of the cast."""
    row, _ = create_key(
        person(maker),
        NOW,
        name="ci",
        scope=Scope.MANAGEMENT,
        owner=User.objects.get(pk=person("owner").user_id),
    )
    return actor_for_key(row)


def test_approval__asked_for_with_a_key__is_refused_to_who_made_the_key_by_service_and_database():
    experiment = ready_to_start(draft(policy="ai-low"))
    later = NOW + timedelta(days=1, hours=1)
    checklist.request_launch(key_for_the_owner("admin"), later, experiment_id=experiment.pk)

    with pytest.raises(Refused, match="with a key that admin made; a second person must"):
        sign(experiment, "admin", Item.APPROVAL)
    with pytest.raises(Refused, match="owner asked for this launch; a second person must"):
        sign(experiment, "owner", Item.APPROVAL)
    sign(experiment, "approver", Item.APPROVAL)

    maker = person("admin").user_id
    row = SignOff.objects.filter(item="approval").order_by("-id").first()
    assert row.key_made_by_id == maker
    row.pk, row.signed_by_id = None, maker
    with (
        pytest.raises(IntegrityError, match="approval_by_no_maker_of_the_key"),
        transaction.atomic(),
    ):
        row.save(force_insert=True)


def test_key__whose_maker_did_not_ask_with_it__keeps_nobody_from_approving():
    experiment = ready_to_start(draft(policy="ai-low"))
    key_for_the_owner("admin")
    checklist.request_launch(
        person("owner"), NOW + timedelta(days=1, hours=1), experiment_id=experiment.pk
    )

    sign(experiment, "admin", Item.APPROVAL)


@pytest.fixture
def asked_with_a_key():
    """Live; its launch was asked for with a key of owner's that admin made."""
    experiment = ready_to_start(draft(policy="ai-low"))
    checklist.request_launch(
        key_for_the_owner("admin"), NOW + timedelta(days=1), experiment_id=experiment.pk
    )
    sign(experiment, "approver", Item.APPROVAL)
    return lifecycle.start(person("owner"), NOW + timedelta(days=1), experiment_id=experiment.pk)


def test_resume_after_harm__by_who_made_the_key__is_refused(asked_with_a_key):
    done = {"experiment_id": asked_with_a_key.pk, "reason": "one customer saw the wrong jobs"}
    lifecycle.emergency_stop(person("stranger"), NOW + timedelta(days=2), **done)

    for name in ("admin", "owner"):
        with pytest.raises(Refused) as refusal:
            lifecycle.resume(person(name), NOW + timedelta(days=2), **done)
        assert [problem.code for problem in refusal.value.problems] == ["four_eyes"]
    assert (
        lifecycle.resume(person("reviewer"), NOW + timedelta(days=2), **done).status
        == Status.RUNNING
    )


def test_promotion_by_hand__by_who_made_the_key__is_refused(asked_with_a_key):
    def judge(name):
        return steps.judge(
            person(name),
            NOW,
            asked_with_a_key,
            Verb.PROMOTE,
            "it is better for everybody",
            Action.PROMOTE,
        )

    for name in ("admin", "owner"):
        with pytest.raises(Refused) as refusal:
            judge(name)
        assert [problem.code for problem in refusal.value.problems] == ["four_eyes"]
    assert judge("reviewer").step.verb is Verb.PROMOTE


def test_approval__while_other_items_are_open__is_refused_with_the_list():
    experiment = draft(policy="ai-low")
    checklist.request_launch(person("owner"), NOW, experiment_id=experiment.pk)

    with pytest.raises(Refused) as refusal:
        sign(experiment, "approver", Item.APPROVAL)

    assert {problem.field for problem in refusal.value.problems} == {
        "prd",
        "sample_size",
        "offline",
        "dark_launch",
    }


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE experiment_sign_offs SET verdict = 'rejected'",
        "DELETE FROM experiment_sign_offs",
        "DELETE FROM changelog",
    ],
)
def test_records__changed_in_sql__are_protected_by_the_database(change):
    from django.db import connection

    sign(draft(policy="ai-low"), "owner", Item.PRD)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


def test_evidence__same_finding_again__renews_without_another_line():
    experiment = draft(policy="ai-low")
    for hour in (0, 1):
        later = NOW + timedelta(hours=hour)
        checklist.record_evidence(
            SYSTEM,
            later,
            experiment_id=experiment.pk,
            item="sample_size",
            green=True,
            summary=f"{hour}",
        )

    assert Evidence.objects.get().summary == "1"
    assert ChangeLogEntry.objects.filter(action="evidence_recorded").count() == 1


def test_evidence__of_a_dark_launch_outside_one__is_refused():
    with pytest.raises(Refused):
        checklist.record_evidence(
            SYSTEM,
            NOW,
            experiment_id=draft(policy="ai-low").pk,
            item="dark_launch",
            green=True,
            summary="x",
        )


def test_request_launch__once_live__is_refused():
    with pytest.raises(Refused):
        checklist.request_launch(
            person("owner"), NOW, experiment_id=experiment_in(Status.RUNNING).pk
        )


@pytest.mark.parametrize(
    "status", [Status.RUNNING, Status.PAUSED, Status.COMPLETED, Status.ARCHIVED]
)
def test_states__of_what_went_live__say_what_its_launch_had__on_its_page_and_in_lists(status):
    experiment = experiment_in(status, policy="ai-low")
    found = {one.item: (one.state, one.message) for one in states(experiment, NOW)}
    assert {state for state, _ in found.values()} == {"done"}
    assert found[Item.DARK_LAUNCH][1].startswith("2,000 requests, no breach")
    assert {
        one.item: (one.state, one.message)
        for one in checklists([lifecycle_of(experiment)])[experiment.pk]
    } == found


@pytest.mark.parametrize(
    ("many", "said"),
    [(1, "primary and 1 guardrail chosen"), (2, "primary and 2 guardrails chosen")],
)
def test_metrics__chosen__are_counted_in_words(many, said):
    known = facts(draft(policy="ai-low"), NOW)
    [guardrail] = known.design.metrics_of(MetricRole.GUARDRAIL)[:1]
    primaries = known.design.metrics_of(MetricRole.PRIMARY)
    counted = replace(
        known, design=replace(known.design, metrics=(*primaries, *[guardrail] * many))
    )
    assert basis(counted, Item.METRICS).message == said
