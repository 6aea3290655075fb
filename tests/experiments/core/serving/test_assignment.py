"""Assignment: each step of the order of evaluation, dark launches, test keys, rollouts, and never
an exception.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.core.errors import InvalidInput
from experiments.core.hashing import bucket_of
from experiments.core.serving.assignment import (
    Assignment,
    AssignmentRequest,
    assign,
    assign_all,
    assignment_of,
)
from experiments.core.serving.catalogue_parsing import Catalogue
from experiments.core.types import Environment, Phase, Reason, Status
from tests.experiments.core.serving.catalogues import (
    EARLIER,
    LATER,
    SEED,
    arm_stopped,
    catalogue,
    dark_experiment,
    experiment,
    flag,
    override,
    rollout,
    variant,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AFTER = datetime(2026, 6, 1, tzinfo=UTC)
DEFAULT = {"model": "default"}
UNITS = [f"user-{i}" for i in range(10_000)]
TEST = Environment.TEST


def ask(
    book: Catalogue, unit: str | None = "u1", key: str = "rank", now: datetime = NOW, **more: Any
) -> Assignment:
    units = more.pop("units", {} if unit is None else {"user": unit})
    return assign(book, AssignmentRequest(flag=key, units=units, **more), now)


def ask_experiment(book: Catalogue, name: str, unit: str = "u1", **more: Any) -> Assignment:
    return assign(book, AssignmentRequest(experiment=name, units={"user": unit}, **more), NOW)


def unit_in(buckets: list[int] | set[int], seed: str = SEED) -> str:
    return next(unit for unit in UNITS if bucket_of(seed, unit) in buckets)


def of(document: dict[str, Any], key: str, part: str) -> list[int]:
    return next(v for v in document["variants"] if v["key"] == key)[part]


# ---- the order of evaluation, step by step


def test_assign__unknown_flag__no_value_and_says_so():
    answer = ask(catalogue(), key="nowhere")
    assert (
        answer.served.reason,
        answer.served.value,
        answer.served.variant,
        answer.served.flag,
    ) == (
        Reason.UNKNOWN_FLAG,
        None,
        None,
        "nowhere",
    )


def test_assign__switched_off__default_even_for_an_override():
    book = catalogue(
        flag(enabled=False, experiment=experiment(), rollout=rollout(), overrides=[override("u1")])
    )
    assert (ask(book).served.reason, ask(book).served.value) == (Reason.SWITCHED_OFF, DEFAULT)


def test_assign__override__comes_before_exclusion_targeting_and_hash():
    target = [{"attribute": "country", "op": "eq", "value": "KZ"}]
    staff = [{"key": "staff", "ids": {"user": ["tester"]}, "rules": []}]
    book = catalogue(
        flag(experiment=experiment(targeting=target), overrides=[override()]), exclusions=staff
    )
    answer = ask(book, "tester")
    assert (answer.served.reason, answer.served.variant, answer.served.role, answer.bucket) == (
        Reason.OVERRIDE,
        "treatment",
        Phase.OVERRIDE,
        None,
    )


def test_assign__override_expired__is_no_longer_there():
    book = catalogue(
        flag(
            experiment=experiment(traffic=500),
            overrides=[override(until=LATER), override(until=EARLIER, unit_id="late")],
        )
    )
    assert ask(book, "tester").served.reason is Reason.OVERRIDE
    assert ask(book, "tester", now=AFTER).served.reason is not Reason.OVERRIDE
    assert ask(book, "late").served.reason is not Reason.OVERRIDE


def test_assign__override_of_a_draft__shows_it_in_production_to_the_tester_alone():
    draft = experiment("draft-one", stage="draft", iteration_id=None, iteration=0)
    book = catalogue(flag(previews=[draft], overrides=[override(experiment="draft-one")]))
    answer = ask(book, "tester")
    assert (
        answer.served.reason,
        answer.served.variant,
        answer.served.stage,
        answer.served.iteration_id,
    ) == (
        Reason.OVERRIDE,
        "treatment",
        Status.DRAFT,
        None,
    )
    assert ask(book, "somebody").served.reason is Reason.DEFAULT


def test_assign__override_of_a_paused_experiment__is_not_served():
    assert ask(catalogue(flag(overrides=[override()])), "tester").served.reason is Reason.DEFAULT


def test_assign__override_of_another_experiment__does_not_answer_for_the_one_asked_for():
    draft = experiment("draft-one", stage="draft", iteration_id=None)
    book = catalogue(
        flag(
            experiment=experiment(), previews=[draft], overrides=[override(experiment="draft-one")]
        )
    )
    assert ask(book, "tester").served.experiment == "draft-one"
    assert (
        ask_experiment(book, "ranker", "tester").served.reason,
        ask_experiment(book, "ranker", "tester").served.experiment,
    ) == (
        Reason.EXPERIMENT,
        "ranker",
    )


def test_assign__override_by_tenant__meets_every_user_of_it():
    book = catalogue(
        flag(experiment=experiment(), overrides=[override("acme", unit_type="tenant")])
    )
    answer = ask(book, units={"user": "whoever", "tenant": "acme"})
    assert (answer.served.reason, answer.served.unit_type, answer.unit_id) == (
        Reason.OVERRIDE,
        "tenant",
        "acme",
    )


@pytest.mark.parametrize(
    ("units", "attributes"),
    [
        ({"user": "boss"}, {}),
        ({"user": "u1", "tenant": "acme"}, {}),
        ({"user": "u1"}, {"staff": True}),
    ],
)
def test_assign__excluded__default_before_experiment_and_rollout(
    units: dict[str, str], attributes: dict[str, object]
):
    lists = [
        {
            "key": "x",
            "ids": {"user": ["boss"], "tenant": ["acme"]},
            "rules": [[{"attribute": "staff", "op": "eq", "value": True}]],
        }
    ]
    book = catalogue(flag(experiment=experiment(), rollout=rollout()), exclusions=lists)
    answer = ask(book, units=units, attributes=attributes)
    assert (answer.served.reason, answer.served.value, answer.served.variant) == (
        Reason.EXCLUDED,
        DEFAULT,
        None,
    )


def test_assign__not_targeted__default():
    target = [{"attribute": "country", "op": "eq", "value": "KZ"}]
    book = catalogue(flag(experiment=experiment(targeting=target)))
    assert ask(book, attributes={"country": "RU"}).served.reason is Reason.NOT_TARGETED
    assert ask(book, attributes={"country": "KZ"}).served.reason is Reason.EXPERIMENT
    assert ask(book, unit=None).served.reason is Reason.NOT_TARGETED


def test_assign__unit_of_another_type__unit_missing():
    book = catalogue(flag(experiment=experiment(unit_type="tenant")))
    answer = ask(book, units={"user": "u1", "session": "s1"})
    assert (answer.served.reason, answer.served.value, answer.served.variant, answer.bucket) == (
        Reason.UNIT_MISSING,
        DEFAULT,
        None,
        None,
    )


def test_assign__held_out__default_before_experiment_and_rollout_until_it_ends():
    holdout = {
        "unit_type": "user",
        "seed": "401d00000000",
        "buckets": list(range(500)),
        "until": LATER,
    }
    inside, outside = (
        unit_in(set(range(500)), "401d00000000"),
        unit_in(set(range(500, 1000)), "401d00000000"),
    )
    for one in (flag(experiment=experiment()), flag(rollout=rollout())):
        book = catalogue(one, holdout=holdout)
        assert (ask(book, inside).served.reason, ask(book, inside).served.value) == (
            Reason.HOLDOUT,
            DEFAULT,
        )
        assert ask(book, outside).served.reason in {Reason.EXPERIMENT, Reason.ROLLOUT}
        assert ask(book, inside, now=AFTER).served.reason in {Reason.EXPERIMENT, Reason.ROLLOUT}


def test_assign__not_targeted_and_held_out__says_not_targeted():
    holdout = {"unit_type": "user", "seed": SEED, "buckets": list(range(1000)), "until": None}
    target = [{"attribute": "country", "op": "exists"}]
    assert (
        ask(catalogue(flag(experiment=experiment(targeting=target)), holdout=holdout)).served.reason
        is Reason.NOT_TARGETED
    )


def test_assign__in_the_experiment__its_buckets_variant_with_all_it_needs_to_be_recorded():
    document = experiment()
    unit = unit_in(of(document, "treatment", "main"))
    answer = ask(catalogue(flag(experiment=document)), unit)
    assert (
        answer.served.reason,
        answer.served.variant,
        answer.served.variant_name,
        answer.served.value,
    ) == (
        Reason.EXPERIMENT,
        "treatment",
        "Treatment",
        {"model": "treatment"},
    )
    assert (
        answer.served.experiment_id,
        answer.served.iteration_id,
        answer.served.variant_id,
        answer.served.role,
    ) == (
        7,
        70,
        72,
        Phase.MAIN,
    )
    assert (answer.served.unit_type, answer.unit_id, answer.bucket) == (
        "user",
        unit,
        bucket_of(SEED, unit),
    )
    assert answer.served.config == {"model": "treatment"}
    assert not answer.served.is_control
    assert not answer.served.shadow


def test_assign__outside_the_experiments_buckets__default():
    document = experiment(traffic=100)
    taken = {bucket for v in document["variants"] for bucket in v["main"]}
    answer = ask(catalogue(flag(experiment=document)), unit_in(set(range(1000)) - taken))
    assert (answer.served.reason, answer.served.value, answer.served.variant) == (
        Reason.NOT_IN_EXPERIMENT,
        DEFAULT,
        None,
    )


def test_assign__arm_stopped_alone__its_units_get_the_default_and_everyone_else_keeps_their_variant():
    running = experiment(weights=[400, 300, 300])
    before, after = (
        catalogue(flag(experiment=running)),
        catalogue(flag(experiment=arm_stopped(running))),
    )
    for unit in UNITS[:300]:
        was, now = ask(before, unit), ask(after, unit)
        if was.served.variant == "treatment":
            assert (now.served.reason, now.served.value, now.served.variant) == (
                Reason.ARM_STOPPED,
                DEFAULT,
                None,
            )
            assert (now.served.iteration_id, now.bucket) == (None, was.bucket), (
                "nothing to be recorded under, and still explained"
            )
        else:
            assert now == was


def test_assign__arm_stopped_alone_over_a_rollout__its_units_get_the_rollout():
    running = arm_stopped(experiment())
    unit = unit_in(of(running, "treatment", "stopped"))
    answer = ask(catalogue(flag(experiment=running, rollout=rollout())), unit)
    assert (answer.served.reason, answer.served.variant) == (Reason.ROLLOUT, "winner")
    narrow = rollout(
        audience=rollout()["audience"]
        | {"targeting": [{"attribute": "country", "op": "eq", "value": "DE"}]}
    )
    assert (
        ask(catalogue(flag(experiment=running, rollout=narrow)), unit).served.reason
        is Reason.ARM_STOPPED
    )


def test_catalogue__bucket_both_stopped_and_served__refuses():
    running = experiment()
    treatment = running["variants"][1]
    running["variants"][1] = treatment | {"stopped": treatment["main"][:1]}
    with pytest.raises(InvalidInput, match="stopped variant treatment"):
        catalogue(flag(experiment=running))


def test_assign__flag_without_anything__default():
    assert (ask(catalogue(flag())).served.reason, ask(catalogue(flag())).served.value) == (
        Reason.DEFAULT,
        DEFAULT,
    )


# ---- dark launch


@pytest.mark.parametrize(
    ("mode", "served", "shadow"), [("shadow", "control", True), ("visible", "treatment", False)]
)
def test_dark_launch__dark_bucket(mode: str, served: str, shadow: bool):
    document = dark_experiment(mode)
    answer = ask(catalogue(flag(experiment=document)), unit_in(of(document, "treatment", "dark")))
    assert (
        answer.served.reason,
        answer.served.variant,
        answer.served.value,
        answer.served.shadow,
    ) == (
        Reason.DARK_LAUNCH,
        served,
        {"model": served},
        shadow,
    )
    assert (answer.served.role, answer.served.variant_id, answer.served.stage) == (
        Phase.DARK,
        72,
        Status.DARK_LAUNCH,
    )
    assert answer.served.metadata.get("treatment") == ("treatment" if shadow else None)
    assert answer.served.is_control is shadow


@pytest.mark.parametrize("mode", ["shadow", "visible"])
def test_dark_launch__twin__control(mode: str):
    document = dark_experiment(mode)
    answer = ask(catalogue(flag(experiment=document)), unit_in(of(document, "control", "twin")))
    assert (
        answer.served.reason,
        answer.served.variant,
        answer.served.role,
        answer.served.shadow,
    ) == (
        Reason.DARK_LAUNCH,
        "control",
        Phase.TWIN,
        False,
    )


def test_dark_launch__everybody_else__two_percent_of_units_take_part():
    book = catalogue(flag(experiment=dark_experiment("visible")))
    seen = Counter(ask(book, unit).served.reason for unit in UNITS)
    assert set(seen) == {Reason.DARK_LAUNCH, Reason.NOT_IN_EXPERIMENT}
    assert 140 < seen[Reason.DARK_LAUNCH] < 260


def test_running__a_former_shadow_bucket__keeps_its_variant_and_stays_dark():
    document = dark_experiment("shadow") | {"stage": "running"}
    answer = ask(catalogue(flag(experiment=document)), unit_in(of(document, "treatment", "dark")))
    assert (
        answer.served.reason,
        answer.served.variant,
        answer.served.role,
        answer.served.shadow,
    ) == (
        Reason.EXPERIMENT,
        "treatment",
        Phase.DARK,
        False,
    )


# ---- test keys


def test_test_key__dark_experiment__is_previewed_at_full_share():
    book = catalogue(
        flag(experiment=dark_experiment("shadow"), previews=[experiment(stage="dark_launch")])
    )
    seen = Counter(
        (
            ask(book, unit, environment=TEST).served.reason,
            ask(book, unit, environment=TEST).served.variant,
        )
        for unit in UNITS[:1000]
    )
    assert set(seen) == {(Reason.PREVIEW, "control"), (Reason.PREVIEW, "treatment")}


def test_production_key__draft__is_not_there():
    book = catalogue(flag(previews=[experiment("draft-one", stage="draft", iteration_id=None)]))
    assert ask(book).served.reason is Reason.DEFAULT
    assert ask_experiment(book, "draft-one").served.reason is Reason.NOT_SERVING
    assert ask_experiment(book, "draft-one", environment=TEST).served.reason is Reason.PREVIEW
    assert assign_all(book, {"user": "u1"}, {}, NOW) == ()
    assert [
        a.served.reason for a in assign_all(book, {"user": "u1"}, {}, NOW, environment=TEST)
    ] == [Reason.PREVIEW]


def test_test_key__several_drafts_on_a_flag__the_first_by_flag_and_each_by_name():
    drafts = [experiment(key, stage="draft", iteration_id=None) for key in ("one", "two")]
    book = catalogue(flag(previews=drafts))
    assert ask(book, environment=TEST).served.experiment == "one"
    assert ask_experiment(book, "two", environment=TEST).served.experiment == "two"


# ---- client keys


def test_client_key__hidden_flag__looks_like_one_that_does_not_exist():
    book = catalogue(
        flag(experiment=experiment()),
        flag("open", client_visible=True, experiment=experiment("shown")),
    )
    hidden, nowhere = ask(book, client=True), ask(book, key="nowhere", client=True)
    assert (
        (hidden.served.reason, hidden.served.value)
        == (nowhere.served.reason, nowhere.served.value)
        == (Reason.UNKNOWN_FLAG, None)
    )
    by_name = ask_experiment(book, "ranker", client=True)
    assert by_name.served.reason is ask_experiment(book, "nowhere", client=True).served.reason
    assert by_name.served.flag is by_name.served.value is None
    assert ask(book, key="open", client=True).served.reason is Reason.EXPERIMENT
    assert [a.served.flag for a in assign_all(book, {"user": "u1"}, {}, NOW, client=True)] == [
        "open"
    ]


# ---- rollout


def test_rollout__everyone_in_the_audience__gets_the_winner_also_without_a_unit():
    book = catalogue(flag(rollout=rollout()))
    for answer in (ask(book), ask(book, unit=None)):
        assert (
            answer.served.reason,
            answer.served.variant,
            answer.served.value,
            answer.served.role,
        ) == (
            Reason.ROLLOUT,
            "winner",
            {"model": "winner"},
            Phase.ROLLOUT,
        )


def test_rollout__holdback__keeps_control_until_it_ends():
    book = catalogue(flag(rollout=rollout(holdback=list(range(50)), holdback_until=LATER)))
    held, free = unit_in(set(range(50))), unit_in(set(range(50, 1000)))
    assert (
        ask(book, held).served.reason,
        ask(book, held).served.value,
        ask(book, held).served.variant_id,
    ) == (
        Reason.HOLDBACK,
        {"model": "loser"},
        61,
    )
    assert ask(book, held, now=AFTER).served.reason is Reason.ROLLOUT
    assert ask(book, free).served.reason is Reason.ROLLOUT
    assert (ask(book, unit=None).served.reason, ask(book, unit=None).served.value) == (
        Reason.UNIT_MISSING,
        DEFAULT,
    )


def test_rollout__outside_what_was_tested__default():
    target = [{"attribute": "country", "op": "eq", "value": "KZ"}]
    audience = {"unit_type": "user", "targeting": target, "seed": SEED, "buckets": list(range(200))}
    book = catalogue(flag(rollout=rollout(audience=audience)))
    tested, untested = unit_in(set(range(200))), unit_in(set(range(200, 1000)))
    assert ask(book, tested, attributes={"country": "KZ"}).served.reason is Reason.ROLLOUT
    assert ask(book, untested, attributes={"country": "KZ"}).served.reason is Reason.DEFAULT
    assert ask(book, tested).served.reason is Reason.NOT_TARGETED


def test_rollout__asked_for_by_its_experiment__still_answers_after_completion():
    book = catalogue(flag(rollout=rollout()))
    assert (
        ask_experiment(book, "old").served.variant
        == ask_experiment(book, "The old experiment").served.variant
        == "winner"
    )
    assert assign_all(book, {"user": "u1"}, {}, NOW) == ()


def test_new_experiment_on_a_rolled_out_flag__takes_its_units_and_leaves_the_rest_the_rollout():
    target = [{"attribute": "country", "op": "eq", "value": "KZ"}]
    book = catalogue(flag(experiment=experiment(targeting=target), rollout=rollout()))
    assert ask(book, attributes={"country": "KZ"}).served.reason is Reason.EXPERIMENT
    assert (ask(book).served.reason, ask(book).served.variant) == (Reason.ROLLOUT, "winner")
    assert ask(book, unit=None, attributes={"country": "KZ"}).served.reason is Reason.ROLLOUT


def test_asked_for_one_experiment__another_decides__its_value_but_not_its_variant():
    target = [{"attribute": "country", "op": "eq", "value": "KZ"}]
    book = catalogue(flag(experiment=experiment(targeting=target), rollout=rollout()))
    untargeted = ask_experiment(book, "ranker")
    assert (untargeted.served.reason, untargeted.served.variant, untargeted.served.value) == (
        Reason.NOT_TARGETED,
        None,
        {"model": "winner"},
    )
    superseded = ask_experiment(book, "old", attributes={"country": "KZ"})
    assert (superseded.served.reason, superseded.served.variant, superseded.served.experiment) == (
        Reason.NOT_SERVING,
        None,
        "old",
    )
    assert superseded.served.value == ask(book, attributes={"country": "KZ"}).served.value


# ---- by experiment, visitor, many


def test_by_experiment__key_or_name__same_answer_as_by_flag():
    book = catalogue(flag(experiment=experiment()))
    assert (
        ask_experiment(book, "ranker") == ask_experiment(book, "The ranker experiment") == ask(book)
    )
    assert ask_experiment(book, "nowhere").served.reason is Reason.NOT_SERVING


def test_by_experiment__one_experiments_name_is_anothers_key__the_key_wins():
    book = catalogue(
        flag(experiment=experiment("a", name="b")),
        flag("other", experiment=experiment("b", name="c")),
    )
    assert ask_experiment(book, "b").served.flag == "other"


def test_visitor__user_before_session():
    book = catalogue(flag(experiment=experiment(unit_type="visitor")))
    both, session = (
        ask(book, units={"user": "u1", "session": "s9"}),
        ask(book, units={"session": "s9"}),
    )
    assert (both.unit_id, both.bucket) == ("u1", bucket_of(SEED, "u1"))
    assert (session.unit_id, session.bucket, session.served.unit_type) == (
        "s9",
        bucket_of(SEED, "s9"),
        "visitor",
    )
    assert ask(book, units={"tenant": "acme"}).served.reason is Reason.UNIT_MISSING


def test_assign_all__every_serving_experiment_once():
    book = catalogue(
        flag("a", experiment=experiment("one")),
        flag("b"),
        flag("c", experiment=experiment("two", seed="0123456789ab")),
    )
    answers = assign_all(book, {"user": "u1"}, {}, NOW)
    assert [a.served.experiment for a in answers] == ["one", "two"]
    assert answers[0] == ask(book, key="a")


# ---- over ten thousand units


@given(st.text(min_size=1, max_size=40))
def test_assign__one_experiment_alone__takes_the_bucket_of_the_one_hash(unit: str):
    book = catalogue(flag("rank", experiment=experiment("ranker")))
    assert (found := ask(book, unit)).bucket == bucket_of(SEED, unit)
    assert found == assignment_of(found.served, unit, bucket_of(SEED, unit))


def test_ramp__1_5_20_50_100_percent__moves_none_of_ten_thousand_units():
    met: dict[str, str] = {}
    for traffic in [10, 50, 200, 500, 1000]:
        book = catalogue(flag(experiment=experiment(traffic=traffic, weights=[500, 300, 200])))
        for unit in UNITS:
            variant_key = ask(book, unit).served.variant
            assert variant_key == met.get(unit, variant_key)
            if variant_key is not None:
                met[unit] = variant_key
    assert len(met) == 10_000


def test_split__declared_proportions__within_chance():
    book = catalogue(flag(experiment=experiment(weights=[500, 300, 200])))
    seen = Counter(ask(book, unit).served.variant for unit in UNITS)
    chi_square = sum(
        (seen[key] - n) ** 2 / n
        for key, n in [("control", 5000), ("treatment", 3000), ("other", 2000)]
    )
    assert chi_square < 13.8  # 2 degrees of freedom, p = .001


def test_layers__two_experiments__are_independent():
    book = catalogue(
        flag("a", experiment=experiment("one")),
        flag("b", experiment=experiment("two", seed="0123456789ab")),
    )
    seen = Counter(
        (ask(book, unit, key="a").served.variant, ask(book, unit, key="b").served.variant)
        for unit in UNITS
    )
    chi_square = sum((count - 2500) ** 2 / 2500 for count in seen.values())
    assert len(seen) == 4
    assert chi_square < 16.3  # 3 degrees of freedom, p = .001


# ---- never an exception

attribute_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
FULL = catalogue(
    flag(
        experiment=dark_experiment(
            "shadow", targeting=[{"attribute": "a", "op": "lt", "value": 3}]
        ),
        rollout=rollout(holdback=[1, 2, 3]),
        overrides=[override()],
    ),
    flag(
        "tenants",
        experiment=experiment("by-tenant", unit_type="tenant"),
        previews=[experiment("next", stage="draft", iteration_id=None)],
    ),
    flag(
        "typed",
        type="float",
        default=1,
        client_visible=True,
        experiment=experiment(
            "x",
            variants=[variant(1, "c", True, 1, main=[1]), variant(2, "t", False, 2.5, main=[2])],
        ),
    ),
    exclusions=[
        {
            "key": "staff",
            "ids": {"visitor": ["boss"]},
            "rules": [[{"attribute": "a", "op": "contains", "value": "x"}]],
        }
    ],
    holdout={
        "unit_type": "user",
        "seed": "401d00000000",
        "buckets": list(range(50)),
        "until": None,
    },
)


@given(
    key=st.sampled_from(["rank", "tenants", "typed", "", "nowhere"]) | st.none(),
    name=st.sampled_from(["ranker", "by-tenant", "next", "old", "nowhere"]) | st.none(),
    units=st.dictionaries(
        st.sampled_from(["user", "tenant", "session"]) | st.text(max_size=5),
        st.text(st.characters(codec=None), max_size=9),
    ),
    attributes=st.dictionaries(st.sampled_from(["a", "b"]), attribute_values),
    environment=st.sampled_from(Environment),
    client=st.booleans(),
)
def test_assign__any_typed_input__answers_with_a_reason_and_flat_metadata(
    key: str | None,
    name: str | None,
    units: dict[str, str],
    attributes: dict[str, object],
    environment: Environment,
    client: bool,
):
    request = AssignmentRequest(key, name, units, attributes, environment, client)
    answer = assign(FULL, request, NOW)
    assert isinstance(answer.served.reason, Reason)
    assert all(isinstance(value, str | int | bool) for value in answer.served.metadata.values())
    assert (answer.served.variant is None) == (answer.served.variant_id is None)
    assert answer == assign(FULL, request, NOW)
    assert len(assign_all(FULL, units, attributes, NOW, environment, client)) == (
        1 if client else 3
    )


@pytest.mark.parametrize("asked", ["paused", "The paused experiment"])
def test_assign__experiment_that_rests__gets_the_flags_value_and_hears_that_it_is_not_serving(
    asked,
):
    resting = [{"key": "paused", "name": "The paused experiment"}]
    alone = catalogue(flag(resting=resting))
    beside_another = catalogue(
        flag(experiment=experiment(targeting=[{"attribute": "x", "op": "exists"}]), resting=resting)
    )
    rolled_out = catalogue(flag(rollout=rollout(), resting=resting))
    request = AssignmentRequest(experiment=asked, units={"user": "u1"})
    for served, value in ((alone, "default"), (beside_another, "default"), (rolled_out, "winner")):
        answer = assign(served, request, NOW)
        assert (answer.served.experiment, answer.served.variant, answer.served.reason) == (
            "paused",
            None,
            Reason.NOT_SERVING,
        )
        assert answer.served.value == {"model": value}
