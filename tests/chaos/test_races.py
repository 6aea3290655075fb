"""What must hold when several press at the same moment: a promotion against every other verb, two
approvers, several beats.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from experiments import tasks
from experiments.core.design.design import VariantSpec
from experiments.core.errors import AssayError
from experiments.core.types import SYSTEM, Item, Outcome, Status, Verdict
from experiments.models import ChangeLogEntry, ClaimedSlot, Experiment, Rollout, SignOff
from experiments.selectors.experiments import open_iteration
from experiments.services.life import checklist, lifecycle, ramps
from tests.chaos.races import race
from tests.factories import (
    NOW,
    dark_launched,
    draft,
    experiment_in,
    key_of,
    lifecycle_of,
    person,
    ready_to_start,
)

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(days=20)
ROUNDS = 3
THREE = (
    VariantSpec("control", 400, config={"model": "a"}),
    *(VariantSpec(key, 300, config={"model": key}) for key in ("b", "c")),
)
STEPS = [
    {"share": 10, "hours": 24, "units": 0},
    {"share": 200, "hours": 24, "units": 0},
    {"share": 1000, "hours": 0, "units": 0},
]


def lines(experiment: Experiment, action: str) -> int:
    return ChangeLogEntry.objects.filter(experiment=experiment, action=action).count()


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_promotion__against_stops_another_arm_a_ramp_and_its_own_machine__leaves_one_consistent_end(
    turn: int,
) -> None:
    """Whoever commits first wins; everybody else is refused, and nothing is half done."""
    experiment = experiment_in(Status.RUNNING, variants=THREE, ramp=STEPS, auto_promote=True)
    done, people = (
        {"experiment_id": experiment.pk},
        {name: person(name) for name in ("reviewer", "admin", "owner", "stranger")},
    )
    say = {"reason": "it is over"}
    calls = [
        partial(
            lifecycle.promote,
            people["reviewer"],
            LATER,
            variant_key="b",
            decision_note="b pays",
            **done,
        ),
        partial(
            lifecycle.promote,
            people["admin"],
            LATER,
            variant_key="c",
            decision_note="c pays",
            **done,
        ),
        partial(lifecycle.promote, SYSTEM, LATER, variant_key="b", decision_id=7, **done),
        partial(lifecycle.emergency_stop, people["stranger"], LATER, reason="it hurts", **done),
        partial(lifecycle.conclude, people["owner"], LATER, **say, **done),
        partial(lifecycle.pause, people["owner"], LATER, reason="a holiday", **done),
        partial(ramps.advance, SYSTEM, LATER, **done),
        partial(
            lifecycle.stop_arms,
            people["stranger"],
            LATER,
            variant_keys=["b"],
            reason="b hurts",
            **done,
        ),
    ]
    results = race(*calls[turn:], *calls[:turn])

    assert all(isinstance(result, Experiment | AssayError) for result in results), results
    now = lifecycle_of(experiment)
    promoted = now.outcome == Outcome.PROMOTED
    assert Rollout.objects.filter(experiment=experiment).count() == int(promoted)
    assert lines(experiment, "promote") == int(promoted)
    assert (
        lines(experiment, "promote") + lines(experiment, "conclude")
        == int(now.status == Status.COMPLETED)
        <= 1
    )
    assert (open_iteration(now) is None) is (now.status == Status.COMPLETED)
    if promoted:
        assert Rollout.objects.get().value in ({"model": "b"}, {"model": "c"})
        assert lines(experiment, "emergency_stop") == lines(experiment, "pause") == 0


def launchable() -> Experiment:
    """In dark launch with everything but the approval."""
    experiment = dark_launched(draft(policy="ai-low"))
    done = {"experiment_id": experiment.pk}
    checklist.record_evidence(
        SYSTEM, NOW, item=Item.DARK_LAUNCH, green=True, summary="fine", **done
    )
    checklist.sign_off(person("qa"), NOW, item=Item.DARK_LAUNCH, verdict=Verdict.APPROVED, **done)
    checklist.request_launch(person("owner"), NOW, **done)
    return experiment


def test_two_approvers_the_requester_and_a_rejection_at_once__nobody_approves_their_own_and_one_launch_follows() -> (
    None
):
    experiment = launchable()
    done = {"experiment_id": experiment.pk}
    sign = partial(checklist.sign_off, now=NOW, item=Item.APPROVAL, **done)
    people = [person(name) for name in ("approver", "admin", "owner", "reviewer")]
    verdicts = [
        (Verdict.APPROVED, ""),
        (Verdict.APPROVED, ""),
        (Verdict.APPROVED, ""),
        (Verdict.REJECTED, "not before Monday"),
    ]

    calls = [
        partial(sign, who, verdict=verdict, comment=said)
        for who, (verdict, said) in zip(people, verdicts, strict=True)
    ]
    results = race(*calls)

    assert isinstance(results[2], AssayError)  # the one who asked
    _nobody_approved_their_own()
    assert (
        SignOff.objects.filter(item="approval", signed_by_id=person("owner").user_id).count() == 0
    )


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_approver_and_the_approvers_own_key_that_asks_at_once__nobody_approves_their_own(
    turn: int,
) -> None:
    """Whoever asked last counts: when the key asked first, its person is refused, and the first
    requester may approve.
    """
    experiment = launchable()
    done = {"experiment_id": experiment.pk}
    sign = partial(
        checklist.sign_off, now=NOW, item=Item.APPROVAL, verdict=Verdict.APPROVED, **done
    )
    again = partial(checklist.request_launch, key_of("approver"), NOW, **done)
    calls = [partial(sign, person("approver")), again, partial(sign, person("owner"))]
    results = race(*calls[turn:], *calls[:turn])

    asked = results[(1 - turn) % len(calls)]
    assert not isinstance(asked, AssayError), asked
    _nobody_approved_their_own()


def _nobody_approved_their_own() -> None:
    for row in SignOff.objects.filter(item="approval"):
        assert row.signed_by_id != row.requested_by_id


def test_start__pressed_by_six_at_once__starts_one_iteration() -> None:
    experiment = ready_to_start(draft(policy="ai-low"))
    results = race(
        *[partial(lifecycle.start, person("owner"), LATER, experiment_id=experiment.pk)] * 6
    )

    assert sum(isinstance(result, Experiment) for result in results) == 1
    assert (
        lines(experiment, "start"),
        lifecycle_of(experiment).iterations.filter(ended_at=None).count(),
    ) == (1, 1)


def test_beats__six_in_one_tick__do_each_piece_of_work_once() -> None:
    planned = [draft(f"planned_{n}", planned_start=NOW) for n in range(4)]
    race(*[tasks.honour_planned_start_end] * 6)

    assert [lines(one, "start") for one in planned] == [1] * 4
    assert (
        ClaimedSlot.objects.filter(task="honour_planned_start_end").count() <= 2
    )  # a tick may end meanwhile


def test_beats__whose_clocks_differ__claim_different_ticks_and_still_do_each_piece_of_work_once() -> (
    None
):
    planned = [draft(f"planned_{n}", planned_start=NOW) for n in range(4)]
    race(*[partial(tasks.honour, NOW + timedelta(seconds=11 * n)) for n in range(6)])

    assert [lines(one, "start") for one in planned] == [1] * 4
