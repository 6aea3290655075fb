"""Moving along a ramp: who may, what is refused, and that nobody ever changes arms."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from experiments.core.errors import Conflict, Forbidden, InvalidInput, Refused
from experiments.core.life.ramping import RampFacts, RampStep, Sign, parse_ramp
from experiments.core.types import SYSTEM, BucketRole, Environment, Status
from experiments.models import Bucket, ChangeLogEntry, Experiment, RampStay
from experiments.selectors.experiments import open_iteration
from experiments.selectors.serving_rows import catalogue_document
from experiments.services.life import lifecycle, ramps
from tests.factories import NOW, experiment_in, key_of, lifecycle_of, person

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
LATER = NOW + timedelta(days=2)
STEPS = [
    {"share": 10, "hours": 24, "units": 0},
    {"share": 200, "hours": 24, "units": 0},
    {"share": 1000, "hours": 0, "units": 0},
]
READY = RampFacts(parse_ramp(STEPS), at=0, hours=24.0, units=50)


@pytest.fixture
def says():
    """What the newest analysis says of the ramp."""
    yield lambda facts: ramps.set_reader(lambda _experiment_id, _now: facts)
    ramps.set_reader(None)


def ramping(key: str = "rerank", **changes: object) -> Experiment:
    return experiment_in(Status.RUNNING, key, ramp=STEPS, **changes)


def up(experiment: Experiment, times: int = 1) -> None:
    for _ in range(times):
        ramps.advance(SYSTEM, LATER, experiment_id=experiment.pk)


def served(experiment: Experiment) -> dict[int, str]:
    """Bucket → arm, as the catalogue would have it."""
    document = catalogue_document(LATER, version=1, built_at=LATER)
    mine = next(
        flag["experiment"] for flag in document["flags"] if flag["key"] == experiment.flag_id
    )
    return {index: arm["key"] for arm in mine["variants"] for index in arm["main"]} if mine else {}


def where(experiment: Experiment) -> tuple[int, int, str]:
    """Step, share and hold."""
    iteration = open_iteration(experiment)
    stay = RampStay.objects.get(iteration=iteration, ended_at=None)
    assert (iteration.step, iteration.traffic) == (stay.step, stay.share)
    return stay.step, stay.share, stay.held_by


def test_start__with_a_ramp__serves_the_first_step_only():
    experiment = ramping()

    assert len(served(experiment)) == 10
    assert where(experiment) == (0, 10, "")


def test_advance__every_step__adds_people_in_the_same_proportions_and_moves_nobody():
    experiment = ramping()
    before = served(experiment)
    for share in (200, 1000):
        up(experiment)
        after = served(experiment)
        assert len(after) == share
        assert list(after.values()).count("control") == share // 2
        assert before.items() <= after.items()
        before = after
    with pytest.raises(Refused, match="last ramp step"):
        up(experiment)


def test_roll_back__then_up_again__serves_fewer_and_then_the_very_same_again():
    experiment = ramping()
    first = served(experiment)
    up(experiment)
    second = served(experiment)

    ramps.roll_back(SYSTEM, LATER, experiment_id=experiment.pk, reason="latency breached")

    assert served(experiment) == first
    assert where(experiment) == (0, 10, "person")
    assert (
        Bucket.objects.filter(iteration=open_iteration(experiment)).count() == 200
    )  # held: nobody else may have them

    ramps.resume(person("owner"), LATER, experiment_id=experiment.pk, reason="fixed")
    up(experiment)
    assert served(experiment) == second
    up(experiment)
    assert second.items() <= served(experiment).items()


def test_roll_back__from_the_first_step__is_refused():
    with pytest.raises(Refused, match="first ramp step"):
        ramps.roll_back(SYSTEM, LATER, experiment_id=ramping().pk, reason="latency breached")


def test_hold_and_resume__by_a_person__leave_their_lines_and_the_machine_leaves_them_alone():
    experiment = ramping()
    ramps.hold(person("owner"), LATER, experiment_id=experiment.pk, reason="a holiday")

    assert where(experiment) == (0, 10, "person")
    judged = ramps.Judged(open_iteration(experiment).pk, 0)
    for move in (ramps.advance, ramps.resume, ramps.hold, ramps.roll_back):
        with pytest.raises(Conflict, match="a person, who was first: a holiday"):
            move(
                SYSTEM,
                LATER,
                experiment_id=experiment.pk,
                reason="judged before the hold",
                judged=judged,
            )
    ramps.resume(person("owner"), LATER, experiment_id=experiment.pk)
    assert where(experiment) == (0, 10, "")
    lines = ChangeLogEntry.objects.filter(
        experiment=experiment, action__startswith="ramp"
    ).values_list("action", "reason", "actor_kind")
    assert sorted(lines) == [("ramp_held", "a holiday", "person"), ("ramp_resumed", "", "person")]


def test_hold__without_a_reason__is_refused():
    with pytest.raises(InvalidInput, match="reason"):
        ramps.hold(person("owner"), LATER, experiment_id=ramping().pk, reason=" ")


def test_advance__by_a_person__early_wants_a_reason_and_never_goes_against_harm(says):
    experiment, owner = ramping(), person("owner")
    says(RampFacts(READY.steps, 0, hours=3.0, units=1))
    with pytest.raises(InvalidInput, match=r"3\.0 of 24 hours"):
        ramps.advance(owner, LATER, experiment_id=experiment.pk)
    ramps.advance(owner, LATER, experiment_id=experiment.pk, reason="known to be harmless")
    assert where(experiment)[0] == 1

    worse = (Sign("latency", "treatment", "hold"),)
    says(RampFacts(READY.steps, 1, hours=48.0, units=900, worsening=worse))
    with pytest.raises(Refused) as refusal:
        ramps.advance(owner, LATER, experiment_id=experiment.pk, reason="I want to")
    assert [p.message for p in refusal.value.problems] == [
        "worse than control, beyond the margin not yet (latency on treatment)"
    ]


@pytest.mark.parametrize("name", ["stranger", "qa", "approver"])
def test_advance_and_hold__who_may_not__is_refused(name, says):
    experiment = ramping()
    says(READY)
    for move in (ramps.advance, ramps.hold):
        with pytest.raises(Forbidden):
            move(person(name), LATER, experiment_id=experiment.pk, reason="x")


def test_key__holds_and_resumes_but_never_advances(says):
    experiment, key = ramping(), key_of("owner")
    says(READY)
    ramps.hold(key, LATER, experiment_id=experiment.pk, reason="deploying")
    ramps.resume(key, LATER, experiment_id=experiment.pk)
    with pytest.raises(Forbidden, match="advance a ramp"):
        ramps.advance(key, LATER, experiment_id=experiment.pk)


def test_resume__after_a_step_back__takes_who_may_advance():
    experiment = ramping()
    up(experiment)
    ramps.roll_back(SYSTEM, LATER, experiment_id=experiment.pk, reason="latency breached")

    with pytest.raises(Forbidden, match="advance a ramp"):
        ramps.resume(key_of("owner"), LATER, experiment_id=experiment.pk)


def test_advance__judged_before_somebody_else_moved__comes_too_late():
    experiment = ramping()
    judged = ramps.Judged(open_iteration(experiment).pk, 0)
    up(experiment)

    with pytest.raises(Conflict, match="somebody was first"):
        ramps.advance(SYSTEM, LATER, experiment_id=experiment.pk, judged=judged)


def test_moves__paused_or_without_a_ramp__are_refused():
    plain = experiment_in(Status.RUNNING, "plain")
    with pytest.raises(Refused, match="without a ramp"):
        ramps.hold(SYSTEM, LATER, experiment_id=plain.pk, reason="x")
    experiment = ramping()
    lifecycle.pause(person("owner"), LATER, experiment_id=experiment.pk)
    with pytest.raises(Refused, match="while the experiment runs"):
        ramps.advance(SYSTEM, LATER, experiment_id=experiment.pk)


def test_conclude__at_an_early_step__gives_every_bucket_back():
    experiment = ramping()
    up(experiment)
    lifecycle.conclude(person("owner"), LATER, experiment_id=experiment.pk, reason="it is over")

    assert not Bucket.objects.filter(iteration__experiment=experiment).exists()
    assert not Bucket.objects.filter(step__gt=0).exists()


def test_dark_launch__then_a_ramp__keeps_dark_buckets_and_twins_beside_the_first_step():
    steps = [{"share": 20, "hours": 1}, {"share": 100, "hours": 1}]
    experiment = experiment_in(Status.RUNNING, policy="ai-low", ramp=steps)
    up(experiment)

    assert len(served(experiment)) == 100
    roles = Bucket.objects.filter(iteration=open_iteration(experiment)).values_list(
        "role", flat=True
    )
    assert sorted({role: list(roles).count(role) for role in BucketRole}.items()) == [
        ("dark", 10),
        ("main", 100),
        ("twin", 10),
    ]


def test_ramp__served_to_a_hundred_thousand_units__moves_nobody():
    """Through the whole path: tables → catalogue → the evaluator that answers."""
    from experiments.core.serving.catalogue_parsing import parse

    experiment, seen = ramping(), []
    for _ in range(3):
        catalogue = parse(catalogue_document(LATER, version=1, built_at=LATER))
        evaluate = catalogue.evaluators(Environment.PRODUCTION, False)[experiment.flag_id]
        seen.append([evaluate({"user": f"u{i}"}, {}, LATER).served.variant for i in range(100_000)])
        if len(seen) < 3:
            up(experiment)

    pairs = [pair for before, after in pairwise(seen) for pair in zip(before, after, strict=True)]
    moved = sum(was is not None and was != now for was, now in pairs)
    assert moved == 0
    assert [round(sum(v is not None for v in step) / 1000) for step in seen] == [1, 20, 100]
    assert lifecycle_of(experiment).status == Status.RUNNING


def test_steps__as_declared__are_frozen_with_the_design():
    experiment = ramping()

    assert open_iteration(experiment).design["ramp"] == STEPS
    assert parse_ramp(STEPS)[1] == RampStep(200, 24, 0)
