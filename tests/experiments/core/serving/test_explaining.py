"""Why this user: always the decision of ``assign``, and at each step what was asked and found."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from experiments.core.hashing import bucket_of
from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.serving.explaining import Explanation, explain, explain_all
from experiments.core.serving.order import StepName
from experiments.core.types import Environment, Reason
from tests.experiments.core.serving.catalogues import (
    EARLIER,
    LATER,
    SEED,
    catalogue,
    dark_experiment,
    experiment,
    flag,
    override,
    rollout,
)
from tests.experiments.core.serving.random_catalogues import (
    MOMENTS,
    random_catalogue,
    random_request,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def differences(seed: int, requests: int) -> tuple[list[str], Counter[StepName]]:
    """What assign and explain disagree on, and how often each step decided."""
    book, random = random_catalogue(seed), Random(seed)
    found, decided = [], Counter[StepName]()
    for _ in range(requests):
        request, now = random_request(random, book), random.choice(MOMENTS)
        answer, why = assign(book, request, now), explain(book, request, now)
        served = answer.served
        told = (
            served.flag,
            served.experiment,
            served.reason,
            served.value,
            served.variant,
            answer.unit_id,
            answer.bucket,
        )
        if told != (
            why.flag,
            why.experiment,
            why.reason,
            why.value,
            why.variant,
            why.unit_id,
            why.bucket,
        ):
            found.append(f"{request} at {now}: {told} is explained as {why}")
        decided[why.decided_by] += 1
        json.dumps(why.as_json(), allow_nan=False)
    return found, decided


@hypothesis_settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_explain__random_catalogue_and_requests__is_what_assign_decides(seed: int):
    found, _ = differences(seed, 40)
    assert not found, found[0]


def test_random_requests__are_decided_by_every_step():
    decided = sum((differences(seed, 40)[1] for seed in range(100)), Counter[StepName]())
    deciding = set(StepName) - {StepName.TARGETING, StepName.UNIT, StepName.ASKED}
    assert {step for step, count in decided.items() if count >= 20} == deciding


def why(
    *flags: dict[str, Any],
    units: dict[str, str] | None = None,
    attributes: dict[str, Any] | None = None,
    **more: Any,
) -> Explanation:
    asked = {
        name: more.pop(name) for name in ("flag", "experiment", "environment") if name in more
    } or {"flag": "rank"}
    request = AssignmentRequest(
        units={"user": "u1"} if units is None else units,
        attributes=attributes or {},
        **({"flag": "rank"} | asked),
    )
    return explain(catalogue(*flags, **more), request, NOW)


def step(found: Explanation, name: StepName) -> tuple[str, str, dict[str, Any]]:
    one = next(step for step in found.steps if step.step is name)
    return one.outcome, one.message, one.detail


def test_steps__stand_in_the_order_of_evaluation_and_end_with_the_one_that_decided():
    found = why(flag(experiment=experiment()))
    assert [one.step.value for one in found.steps] == [
        "flag",
        "override",
        "exclusions",
        "targeting",
        "unit",
        "holdout",
        "bucket",
    ]
    assert [one.outcome for one in found.steps] == ["passed"] * 6 + ["decided"]
    bucket = bucket_of(SEED, "u1")
    assert step(found, StepName.BUCKET)[2]["owner"] == found.variant
    assert f"bucket {bucket} of u1 belongs to {found.variant}" in step(found, StepName.BUCKET)[1]


@pytest.mark.parametrize(
    ("condition", "attributes", "message"),
    [
        (
            {"attribute": "plan", "op": "eq", "value": "pro"},
            {"plan": "free"},
            "plan is 'free'; wanted eq 'pro'",
        ),
        ({"attribute": "plan", "op": "eq", "value": "pro"}, {}, "plan is missing; wanted eq 'pro'"),
        (
            {"attribute": "age", "op": "gte", "value": 18},
            {"age": "18"},
            "age is '18'; wanted gte 18",
        ),
        (
            {"attribute": "app", "op": "semver_gt", "value": "2.0.0"},
            {"app": "2.0"},
            "app is '2.0'; wanted semver_gt '2.0.0'",
        ),
        (
            {"attribute": "account", "op": "not_exists"},
            {"account": {"a": 1}},
            "account is 'an object'; wanted not_exists",
        ),
        ({"op": "in_segment", "value": "beta"}, {}, "wanted in_segment 'beta', found outside"),
        (
            {"op": "not_in_segment", "value": "beta"},
            {"plan": "beta"},
            "wanted not_in_segment 'beta', found inside, by rule 2",
        ),
    ],
)
def test_targeting__names_the_condition_that_failed_with_what_was_found(
    condition: dict[str, Any], attributes: dict[str, Any], message: str
):
    rules = [
        [{"attribute": "x", "op": "exists"}],
        [{"attribute": "plan", "op": "eq", "value": "beta"}],
    ]
    found = why(
        flag(experiment=experiment(targeting=[condition])),
        attributes=attributes,
        segments=[{"key": "beta", "ids": {}, "rules": rules}],
    )
    outcome, said, detail = step(found, StepName.TARGETING)
    assert (found.reason, outcome, said) == (
        Reason.NOT_TARGETED,
        "barred",
        f"ranker's targeting: {message}",
    )
    assert detail["failed"] | condition == detail["failed"]


def test_targeting__long_value__is_not_repeated_whole():
    found = why(
        flag(experiment=experiment(targeting=[{"attribute": "a", "op": "eq", "value": "x"}])),
        attributes={"a": "y" * 9000},
    )
    assert len(json.dumps(found.as_json())) < 3000


def test_override__says_whose_and_until_when__and_an_expired_one_that_it_ended():
    shown = why(flag(experiment=experiment(), overrides=[override("u1")]))
    assert (shown.decided_by, shown.variant) == (StepName.OVERRIDE, "treatment")
    assert (
        f"an override shows user u1 the variant treatment of ranker until {LATER}"
        in step(shown, StepName.OVERRIDE)[1]
    )
    over = why(flag(experiment=experiment(), overrides=[override("u1", until=EARLIER)]))
    assert step(over, StepName.OVERRIDE)[1] == f"override: the one for treatment ended {EARLIER}"


@pytest.mark.parametrize(
    ("units", "attributes", "how"),
    [({"tenant": "acme"}, {}, "the id of its tenant"), ({"user": "u1"}, {"staff": True}, "rule 2")],
)
def test_exclusion__names_the_list_and_how(
    units: dict[str, str], attributes: dict[str, Any], how: str
):
    rules = [
        [{"attribute": "x", "op": "exists"}],
        [{"attribute": "staff", "op": "eq", "value": True}],
    ]
    found = why(
        flag(experiment=experiment()),
        units=units,
        attributes=attributes,
        exclusions=[{"key": "key clients", "ids": {"tenant": ["acme"]}, "rules": rules}],
    )
    assert (found.reason, step(found, StepName.EXCLUSIONS)[2]) == (
        Reason.EXCLUDED,
        {"list": "key clients", "by": how},
    )


def test_unit_missing__says_which_was_wanted_and_what_came():
    found = why(
        flag(experiment=experiment(unit_type="tenant")), units={"user": "u1", "session": "s"}
    )
    assert (
        step(found, StepName.UNIT)[1]
        == "ranker is randomised by tenant; the request has session, user"
    )
    assert found.decided_by is StepName.DEFAULT


def test_holdout_and_holdback__say_until_when():
    everybody = {
        "unit_type": "user",
        "seed": "401d00000000",
        "buckets": list(range(1000)),
        "until": LATER,
    }
    held_out = why(flag(experiment=experiment()), holdout=everybody)
    assert (held_out.reason, step(held_out, StepName.HOLDOUT)[2]["until"]) == (
        Reason.HOLDOUT,
        LATER,
    )
    held_back = why(flag(rollout=rollout(holdback=list(range(1000)), holdback_until=LATER)))
    assert (
        held_back.reason,
        held_back.variant,
        step(held_back, StepName.ROLLOUT)[2]["held_back"],
    ) == (Reason.HOLDBACK, "loser", True)


def test_shadow__names_the_arm_that_owns_the_bucket():
    dark = dark_experiment("shadow")
    unit = next(
        f"u{n}" for n in range(10_000) if bucket_of(SEED, f"u{n}") in dark["variants"][1]["dark"]
    )
    found = why(flag(experiment=dark), units={"user": unit})
    assert (found.variant, step(found, StepName.BUCKET)[2]["owner"]) == ("control", "treatment")
    assert "in shadow: control is served" in step(found, StepName.BUCKET)[1]


def test_asked_for_a_resting_experiment__hears_that_it_does_not_serve():
    resting = flag(
        experiment=experiment(traffic=1000), resting=[{"key": "paused-one", "name": "Paused"}]
    )
    found = why(resting, flag=None, experiment="paused-one")
    assert (found.reason, found.variant, found.experiment) == (
        Reason.NOT_SERVING,
        None,
        "paused-one",
    )
    assert "asked for paused-one, which did not decide" in step(found, StepName.ASKED)[1]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"flag": "gone"}, Reason.UNKNOWN_FLAG),
        ({"flag": None, "experiment": "gone"}, Reason.NOT_SERVING),
    ],
)
def test_unknown__is_one_step_that_says_so(asked: dict[str, Any], reason: Reason):
    found = why(**asked)
    assert (found.reason, found.decided_by, "'gone'" in found.steps[0].message) == (
        reason,
        StepName.FLAG,
        True,
    )


def test_explain_all__one_for_each_flag__in_the_environment_asked_for():
    book = catalogue(
        flag("a", experiment=experiment("one")),
        flag("b", previews=[experiment("two", stage="draft", iteration_id=None)]),
    )
    for environment, reasons in (
        (Environment.PRODUCTION, ["experiment", "default"]),
        (Environment.TEST, ["experiment", "preview"]),
    ):
        assert [
            found.reason.value for found in explain_all(book, {"user": "u1"}, {}, NOW, environment)
        ] == reasons
