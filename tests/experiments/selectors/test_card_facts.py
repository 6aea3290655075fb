"""Facts for the cards of many experiments: one that cannot be read costs no other, and a waiting
stop of an arm is told.
"""

from __future__ import annotations

import pytest

from experiments.core.cards import Viewer, card
from experiments.core.cards.states import State
from experiments.core.types import ActorKind, Status
from experiments.models import Experiment, Policy, UrgentStop
from experiments.selectors.card_facts import card_facts
from tests.factories import NOW, draft, experiment_in, lifecycle_of, person

pytestmark = pytest.mark.django_db


def test_policy_that_cannot_be_read__costs_its_own_card_alone_and_nobody_is_told_to_start():
    broken, fine = draft("broken"), draft("fine")
    unread = Policy.objects.create(
        key="unread", name="Unread", rules={"min_test": "some"}, created_at=NOW
    )
    Experiment.objects.filter(pk=broken.pk).update(policy=unread)

    found = card_facts([lifecycle_of(broken), lifecycle_of(fine)], NOW)

    assert card(found[fine.pk]).state is State.READY_TO_START
    said = card(found[broken.pk])
    assert said.state is State.DRAFT
    assert "a policy whose rules can be read" in said.sentence
    assert said.step(Viewer(person("owner"), True)).label == "Have its policy mended"


def test_stop_of_one_arm_that_waits_for_its_row__is_on_the_card():
    experiment, other = experiment_in(Status.RUNNING), experiment_in(Status.RUNNING, "other")
    arm = experiment.variants.get(key="treatment")
    UrgentStop.objects.create(
        experiment=experiment,
        arm=arm.key,
        actor_kind=ActorKind.PERSON,
        actor_label="Victor",
        reason="wrong prices",
        at=NOW,
    )

    found = card_facts([experiment, other], NOW)

    sentence = card(found[experiment.pk]).sentence
    assert (
        f"Being switched off: “{arm.name or arm.key}” (Victor, " in sentence
        and "“wrong prices”" in sentence
    )
    assert card(found[experiment.pk]).state is not State.STOPPING
    assert "Being switched off" not in card(found[other.pk]).sentence
