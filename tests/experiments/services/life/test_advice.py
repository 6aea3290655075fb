"""Ending what the stored decision would promote is a decision against it: a reason and a second
person.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from experiments.core.errors import InvalidInput, Refused
from experiments.core.types import SYSTEM, Outcome, Status
from experiments.services.life import advice, lifecycle
from tests.factories import NOW, experiment_in, person

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=20)


@pytest.fixture
def recommended() -> Iterator[None]:
    advice.set_reader(lambda _: advice.Recommendation(1, 1, "treatment", "it won"))
    yield
    advice.set_reader(None)


def conclude(actor, reason: str) -> str:
    made = experiment_in(Status.RUNNING)
    return lifecycle.conclude(
        actor, LATER, experiment_id=made.pk, outcome=Outcome.INCONCLUSIVE, reason=reason
    ).outcome


def test_conclude__against_a_recommendation__takes_a_reason_and_a_second_person(
    recommended: None,
) -> None:
    with pytest.raises(InvalidInput, match="conclude needs a reason"):
        conclude(person("admin"), " ")
    made = experiment_in(Status.RUNNING, "second")
    with pytest.raises(Refused) as refusal:
        lifecycle.conclude(
            person("owner"),
            LATER,
            experiment_id=made.pk,
            outcome=Outcome.INCONCLUSIVE,
            reason="I changed my mind",
        )
    assert [problem.code for problem in refusal.value.problems] == ["four_eyes"]
    third = experiment_in(Status.RUNNING, "third")
    assert (
        lifecycle.conclude(
            person("admin"), LATER, experiment_id=third.pk, reason="it costs too much"
        ).status
        == Status.COMPLETED
    )


def test_conclude__by_the_machine_or_without_a_recommendation__needs_no_second_person(
    recommended: None,
) -> None:
    assert conclude(SYSTEM, "planned end") == Outcome.INCONCLUSIVE
    advice.set_reader(lambda _: "nothing is recommended")
    made = experiment_in(Status.RUNNING, "second")
    assert (
        lifecycle.conclude(
            person("owner"), LATER, experiment_id=made.pk, reason="it is over"
        ).status
        == Status.COMPLETED
    )
