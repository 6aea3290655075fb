"""The catalogue as GrowthBook's SDKs read it: their Python SDK answers from it what we answer
ourselves.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from growthbook import GrowthBook
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from experiments.core.hashing import bucket_of
from experiments.core.protocols import growthbook, growthbook_remote
from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.types import Environment
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

NOW = datetime(2026, 5, 2, 12, 0, tzinfo=UTC)
IDS = {"user": "id", "tenant": "tenantId", "session": "sessionId"}
PRODUCTION, TEST = Environment


def payload(built, *, client=False, environment=PRODUCTION, now=NOW):
    found = growthbook.payload(built, environment, now, client=client)
    return json.loads(catalogues.canonical(found.as_json()))


def ask(document, attributes, key="rank"):
    book = GrowthBook(features=document["features"], attributes=attributes)
    try:
        return book.eval_feature(key)
    finally:
        book.destroy()


def ours(built, units, attributes=None, *, key="rank", environment=PRODUCTION, now=NOW):
    known = {IDS[unit_type]: text for unit_type, text in units.items()} | (attributes or {})
    return built.evaluators(environment)[key](units, known, now).served, known


def agree(built, units, attributes=None, **how):
    """Both answers' value; the arm that GrowthBook would report is the one we record."""
    served, known = ours(built, units, attributes, **how)
    key = how.pop("key", "rank")
    found = ask(payload(built, **how), known, key)
    assert found.value == served.value, (units, attributes, served, found.to_dict())
    return found


def unit_in(test, seed=SEED):
    return next(f"u{n}" for n in range(100_000) if test(bucket_of(seed, f"u{n}")))


# ---------------------------------------------------------------- experiments


def test_experiment__is_one_rule_an_arm__with_the_buckets_it_owns():
    arms = [
        variant(71, "control", True, main=[0, 1, 2, 500]),
        variant(72, "treatment", main=[3, 999]),
    ]
    rules = payload(catalogue(flag(experiment=experiment(variants=arms))))["features"]["rank"][
        "rules"
    ]
    control, treatment = rules
    assert control["filters"] == [
        {"seed": SEED, "attribute": "id", "hashVersion": 2, "ranges": [[0, 0.003], [0.5, 0.501]]}
    ]
    assert treatment["filters"][0]["ranges"] == [[0.003, 0.004], [0.999, 1]]
    assert (control["ranges"], treatment["ranges"]) == ([[0, 1], [0, 0]], [[0, 0], [0, 1]])
    for rule in rules:
        shared = ("key", "seed", "hashAttribute", "hashVersion", "variations")
        assert [rule[name] for name in shared] == [
            "ranker",
            SEED,
            "id",
            2,
            [{"model": "control"}, {"model": "treatment"}],
        ]
        assert rule["meta"] == [
            {"key": "control", "name": "Control"},
            {"key": "treatment", "name": "Treatment"},
        ]
        assert "namespace" not in rule


def test_experiment__variation__is_reported_under_its_own_index_and_key():
    built = catalogue(flag(experiment=experiment(weights=[200, 300, 500], traffic=400)))
    seen = set()
    for number in range(400):
        found = agree(built, {"user": f"u{number}"})
        if found.experimentResult is not None:
            seen.add((found.experimentResult.variationId, found.experimentResult.key))
    assert seen == {(0, "control"), (1, "treatment"), (2, "other")}


def test_experiment__of_tenants__hashes_the_tenant():
    built = catalogue(flag(experiment=experiment(unit_type="tenant")))
    found = agree(built, {"user": "u1", "tenant": "acme"})
    assert (found.experimentResult.hashAttribute, found.experimentResult.hashValue) == (
        "tenantId",
        "acme",
    )
    assert agree(built, {"user": "u1"}).source == "defaultValue"


@pytest.mark.parametrize("unit_type", ["visitor", "device"])
def test_experiment__of_units_that_sdks_do_not_know__is_remote_only(unit_type):
    found = payload(catalogue(flag(experiment=experiment(unit_type=unit_type)), flag("plain")))
    assert found["features"].keys() == {"plain"}
    assert unit_type in found["remoteOnly"]["rank"]


def test_flag__switched_off__is_its_default():
    built = catalogue(flag(enabled=False, experiment=experiment(), overrides=[override()]))
    assert payload(built)["features"]["rank"] == {"defaultValue": {"model": "default"}}


def test_float_flag__keeps_its_point():
    built = catalogue(flag(type="float", default=1))
    assert b'"defaultValue":1.0' in catalogues.canonical(
        growthbook.payload(built, PRODUCTION, NOW, client=False).as_json()
    )


def test_payload__hides_saved_groups_and_what_clients_may_not_see():
    built = catalogue(flag(), flag("seen", client_visible=True))
    assert payload(built, client=True) == {
        "status": 200,
        "features": {"seen": {"defaultValue": {"model": "default"}}},
        "savedGroups": {},
        "dateUpdated": "2026-05-01T09:00:00+00:00",
        "remoteOnly": {},
    }


@pytest.mark.parametrize(("rolled_out", "value"), [(None, "default"), (rollout(), "winner")])
def test_arm_stopped_alone__leaves_its_units_to_the_rollout_or_the_default(rolled_out, value):
    built = catalogue(flag(experiment=arm_stopped(experiment(), "treatment"), rollout=rolled_out))
    control = built.flags["rank"].experiment.control.main
    assert agree(built, {"user": unit_in(lambda bucket: bucket not in control)}).value == {
        "model": value
    }
    kept = agree(built, {"user": unit_in(lambda bucket: bucket in control)})
    assert (kept.value, kept.experimentResult.key) == ({"model": "control"}, "control")


def test_sticky_buckets__are_never_kept():
    assert all(
        r["disableStickyBucketing"]
        for r in payload(catalogue(flag(experiment=experiment())))["features"]["rank"]["rules"]
    )


# ---------------------------------------------------------------- dark launches and previews


@pytest.mark.parametrize(("mode", "value"), [("shadow", "control"), ("visible", "treatment")])
def test_dark_launch__shadow_serves_control__and_both_report_the_arm_that_owns_the_bucket(
    mode, value
):
    built = catalogue(flag(experiment=dark_experiment(mode)))
    dark = built.flags["rank"].experiment.variants[1].dark
    found = agree(built, {"user": unit_in(lambda bucket: bucket in dark)})
    assert (found.value, found.experimentResult.key) == ({"model": value}, "treatment")
    twin = agree(
        built,
        {"user": unit_in(lambda bucket: bucket in built.flags["rank"].experiment.control.twin)},
    )
    assert (twin.value, twin.experimentResult.key) == ({"model": "control"}, "control")
    assert (
        agree(
            built,
            {"user": unit_in(lambda bucket: built.flags["rank"].experiment.table[bucket] < 0)},
        ).source
        == "defaultValue"
    )


def test_preview__is_for_test_keys_alone():
    built = catalogue(flag(previews=[experiment("draft", stage="draft", iteration_id=None)]))
    assert "rules" not in payload(built)["features"]["rank"]
    assert agree(built, {"user": "u1"}, environment=TEST).experiment.key == "draft"


# ---------------------------------------------------------------- overrides and exclusions


def test_override__comes_first_and_only_while_it_lasts():
    built = catalogue(
        flag(
            enabled=True,
            experiment=experiment(traffic=10),
            overrides=[override("t1"), override("t2", until=EARLIER)],
        )
    )
    assert agree(built, {"user": "t1"}).value == {"model": "treatment"}
    assert agree(built, {"user": "t2"}).source == "defaultValue"
    late = NOW + timedelta(days=60)
    assert agree(built, {"user": "t1"}, now=late).source == "defaultValue"


def test_override__first_of_several_for_one_unit__wins():
    overrides = [override("t1", until=EARLIER), override("t1", variant="control"), override("t1")]
    assert agree(
        catalogue(flag(experiment=experiment(), overrides=overrides)), {"user": "t1"}
    ).value == {"model": "control"}


def test_override__of_a_draft__is_served_in_production():
    built = catalogue(
        flag(
            previews=[experiment("draft", stage="draft", iteration_id=None)],
            overrides=[override("t1", experiment="draft")],
        )
    )
    assert agree(built, {"user": "t1"}).value == {"model": "treatment"}


def test_id_lists__leave_a_flag_out_of_client_payloads__naming_no_unit():
    staff = [{"key": "staff", "ids": {"user": ["boss"]}, "rules": []}]
    built = catalogue(
        flag(client_visible=True, experiment=experiment()),
        flag("plain", client_visible=True),
        flag("hidden"),
        exclusions=staff,
    )
    found = payload(built, client=True)
    assert found["features"].keys() == {"plain"}
    assert found["remoteOnly"].keys() == {"rank"}
    assert "boss" not in json.dumps(found)
    assert agree(built, {"user": "boss"}).value == {"model": "default"}


def test_exclusion__by_attributes__is_published_to_clients():
    rules = [
        [
            {"attribute": "plan", "op": "eq", "value": "internal"},
            {"attribute": "beta", "op": "ne", "value": True},
        ]
    ]
    built = catalogue(
        flag(client_visible=True, experiment=experiment()),
        exclusions=[{"key": "internal", "ids": {"user": []}, "rules": rules}],
        public_attributes=["beta", "plan"],
    )
    assert payload(built, client=True)["remoteOnly"] == {}
    assert agree(built, {"user": "u1"}, {"plan": "internal"}).value == {"model": "default"}
    assert agree(built, {"user": "u1"}, {"plan": "internal", "beta": True}).source == "experiment"


def test_id_list__of_more_than_a_thousand__is_looked_at_remotely():
    staff = [{"key": "staff", "ids": {"user": [f"u{n}" for n in range(1001)]}, "rules": []}]
    assert (
        "1,001"
        in payload(catalogue(flag(experiment=experiment()), exclusions=staff))["remoteOnly"]["rank"]
    )


# ---------------------------------------------------------------- holdout and rollouts


def holdout(**changes):
    return {
        "unit_type": "user",
        "seed": "401d0071aaaa",
        "buckets": list(range(0, 1000, 4)),
        "until": None,
    } | changes


def test_holdout__is_a_second_filter_of_the_same_unit():
    built = catalogue(flag(experiment=experiment()), holdout=holdout())
    rules = payload(built)["features"]["rank"]["rules"]
    assert [[entry["seed"] for entry in rule["filters"]] for rule in rules] == [
        [SEED, "401d0071aaaa"]
    ] * 2
    held = unit_in(lambda bucket: bucket % 4 == 0, "401d0071aaaa")
    assert agree(built, {"user": held}).source == "defaultValue"
    assert (
        agree(built, {"user": unit_in(lambda bucket: bucket % 4, "401d0071aaaa")}).source
        == "experiment"
    )


@pytest.mark.parametrize("user", [{}, {"user": "held"}, {"user": "free"}])
def test_holdout__of_users__lets_a_tenants_experiment_take_requests_without_one(user):
    names = {
        "held": unit_in(lambda bucket: bucket % 4 == 0, "401d0071aaaa"),
        "free": unit_in(lambda bucket: bucket % 4, "401d0071aaaa"),
    }
    built = catalogue(flag(experiment=experiment(unit_type="tenant")), holdout=holdout())
    found = agree(built, {"tenant": "acme"} | {key: names[value] for key, value in user.items()})
    assert (found.source == "defaultValue") == (user == {"user": "held"})
    # An empty id is none.
    served = built.evaluators()["rank"]({"tenant": "acme"}, {}, NOW).served
    assert ask(payload(built), {"tenantId": "acme", "id": ""}).value == served.value


def test_holdout__over__holds_nobody():
    rules = payload(catalogue(flag(experiment=experiment()), holdout=holdout(until=EARLIER)))[
        "features"
    ]["rank"]["rules"]
    assert [len(rule["filters"]) for rule in rules] == [1, 1]


def test_rollout__gives_the_held_back_control_first__then_everybody_the_variant():
    built = catalogue(flag(rollout=rollout(holdback=[1, 2, 3], holdback_until=LATER)))
    back, rest = payload(built)["features"]["rank"]["rules"]
    assert (back["force"], back["filters"][0]["ranges"]) == ({"model": "loser"}, [[0.001, 0.004]])
    assert (rest["force"], rest["filters"][0]["ranges"]) == ({"model": "winner"}, [[0, 1]])
    held = unit_in(lambda bucket: bucket in (1, 2, 3))
    assert agree(built, {"user": held}).value == {"model": "loser"}
    assert agree(built, {"user": held}, now=NOW + timedelta(days=60)).value == {"model": "winner"}
    assert agree(built, {}).source == "defaultValue"


def test_rollout__that_hashes_nobody__needs_no_unit():
    targeting = [{"attribute": "country", "op": "eq", "value": "DE"}]
    built = catalogue(
        flag(
            rollout=rollout(
                audience={
                    "unit_type": "visitor",
                    "targeting": targeting,
                    "seed": SEED,
                    "buckets": None,
                }
            )
        )
    )
    assert agree(built, {}, {"country": "DE"}).value == {"model": "winner"}
    assert agree(built, {}, {"country": "FR"}).source == "defaultValue"


def test_rollout__serves_whom_the_new_experiment_does_not_take():
    built = catalogue(flag(experiment=experiment(traffic=100), rollout=rollout()))
    values = {json.dumps(agree(built, {"user": f"u{n}"}).value) for n in range(60)}
    assert values == {'{"model": "control"}', '{"model": "treatment"}', '{"model": "winner"}'}


# ---------------------------------------------------------------- what SDKs cannot say


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ({"attribute": "age", "op": "gt", "value": 3}, "gt"),
        ({"attribute": "name", "op": "contains", "value": "a"}, "contains"),
        ({"attribute": "app", "op": "semver_gte", "value": "1.2.3"}, "semver_gte"),
        ({"attribute": "user.plan", "op": "eq", "value": "a"}, "user.plan"),
        ({"attribute": "constructor", "op": "exists"}, "constructor"),
        ({"attribute": "account", "op": "in", "value": [1, 2**53 + 1]}, "account"),
    ],
)
def test_targeting__that_sdks_answer_differently__is_remote_only_and_says_why(condition, named):
    built = catalogue(
        flag(client_visible=True, experiment=experiment(targeting=[condition])),
        public_attributes=[condition["attribute"]],
    )
    for client in (False, True):
        found = payload(built, client=client)
        assert found["features"] == {}
        assert named in found["remoteOnly"]["rank"]


def test_segments__become_their_conditions():
    eu = {
        "key": "eu",
        "ids": {"user": ["vip"]},
        "rules": [[{"attribute": "country", "op": "in", "value": ["DE", "FR"]}]],
    }
    for op, other in (("in_segment", "default"), ("not_in_segment", "experiment")):
        built = catalogue(
            flag(experiment=experiment(targeting=[{"op": op, "value": "eu"}])), segments=[eu]
        )
        inside = [
            agree(built, {"user": "vip"}).source,
            agree(built, {"user": "u1"}, {"country": "DE"}).source,
        ]
        outside = [
            agree(built, {"user": "u1"}, {"country": "US"}).source,
            agree(built, {"user": "u1"}).source,
        ]
        assert (set(inside) == {"experiment"}) == (op == "in_segment")
        assert set(outside) == {"defaultValue" if other == "default" else "experiment"}
        assert (
            payload(built, client=True)["remoteOnly"]
            == payload(built, client=True)["features"]
            == {}
        )


def test_segment__of_nobody__holds_nobody():
    for op, source in (("in_segment", "defaultValue"), ("not_in_segment", "experiment")):
        built = catalogue(
            flag(experiment=experiment(targeting=[{"op": op, "value": "none"}])),
            segments=[{"key": "none", "ids": {}, "rules": []}],
        )
        assert agree(built, {"user": "u1"}).source == source


# ---------------------------------------------------------------- how long it holds


def test_payload__names_when_it_changes_by_itself__and_is_dated_anew_then():
    built = catalogue(
        flag(experiment=experiment(), overrides=[override("t1"), override("t2", until=EARLIER)])
    )
    before = growthbook.payload(built, PRODUCTION, NOW, client=False)
    assert (before.since, before.until) == (built.built_at, datetime.fromisoformat(LATER))
    after = growthbook.payload(built, PRODUCTION, NOW + timedelta(days=60), client=False)
    assert (after.since, after.until) == (datetime.fromisoformat(LATER), None)
    assert before.as_json()["dateUpdated"] != after.as_json()["dateUpdated"]


# ---------------------------------------------------------------- remote evaluation


def remote(built, attributes, *, client=False):
    answers = growthbook_remote.answers(
        built, PRODUCTION, growthbook_remote.asked_in(attributes), NOW, client=client
    )
    served = {key: built.flags[key].served_to(PRODUCTION) for key in answers}
    return {
        key: growthbook_remote.feature(
            answer, served[key], growthbook_remote.asked_in(attributes).units
        )
        for key, answer in answers.items()
    }


def test_remote__reports_what_local_evaluation_reports():
    built = catalogue(
        flag(experiment=dark_experiment("shadow")),
        flag("other", experiment=experiment("other", id=8)),
        flag("bare"),
    )
    dark = built.flags["rank"].experiment.variants[1].dark
    attributes = {"id": unit_in(lambda bucket: bucket in dark)}
    met = []
    local, far = {"features": payload(built)["features"]}, {"features": remote(built, attributes)}
    for document in (local, far):
        seen = []
        book = GrowthBook(
            features=document["features"],
            attributes=attributes,
            on_experiment_viewed=lambda experiment, result, user_context=None, seen=seen: (
                seen.append(
                    (
                        experiment.key,
                        result.key,
                        result.variationId,
                        result.hashAttribute,
                        result.hashValue,
                        result.inExperiment,
                    )
                )
            ),
        )
        values = {key: book.eval_feature(key).value for key in built.flags}
        book.destroy()
        met.append((values, seen))
    assert met[0] == met[1]
    (experiment_key, arm, *_), second = met[0][1]
    assert (experiment_key, arm, second[0]) == ("ranker", "treatment", "other")


def test_remote__answers_what_sdks_cannot__for_the_session_of_a_visitor():
    built = catalogue(
        flag(client_visible=True, experiment=experiment(unit_type="visitor")), flag("hidden")
    )
    found = remote(built, {"sessionId": "s1"}, client=True)
    assert found.keys() == {"rank"}
    result = found["rank"]["rules"][0]["tracks"][0]["result"]
    assert (result["hashAttribute"], result["hashValue"]) == ("sessionId", "s1")
    assert (
        remote(built, {"id": "u1", "sessionId": "s1"})["rank"]["rules"][0]["tracks"][0]["result"][
            "hashAttribute"
        ]
        == "id"
    )


@pytest.mark.parametrize("wrong", [5.5, 2**53, True, ["u1"], {"a": 1}, "x" * 257, "a\u200bb"])
def test_remote__sets_ids_aside_that_are_no_ids(wrong):
    found = growthbook_remote.asked_in({"id": wrong, "tenantId": 7})
    assert (found.units, [problem.field for problem in found.problems]) == (
        {"tenant": "7"},
        ["attributes.id"],
    )


def test_remote__empty_or_null_id__is_none():
    assert growthbook_remote.asked_in(
        {"id": "", "tenantId": None, "sessionId": "s", "other": 1}
    ).units == {"session": "s"}


# ---------------------------------------------------------------- anything at all

VALUES = {"country": ["DE", "FR", ""], "seats": [0, 1, 1.5], "beta": [True, False]}
KINDS = st.sampled_from(["user", "tenant", "session"])
NAMES = [f"u{n}" for n in range(12)]
SOME_NAMES = st.lists(st.sampled_from(NAMES), max_size=3)
BUCKETS = st.sets(st.integers(0, 999), max_size=400).map(sorted)


@st.composite
def conditions(draw):
    name = draw(st.sampled_from(sorted(VALUES)))
    op = draw(st.sampled_from(["eq", "ne", "in", "not_in", "exists", "not_exists"]))
    value = (
        st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=3)
        if "in" in op
        else st.sampled_from(VALUES[name])
    )
    return {"attribute": name, "op": op} | ({} if "exists" in op else {"value": draw(value)})


RULES = st.lists(conditions(), max_size=2)


@st.composite
def experiments(draw):
    unit_type = draw(KINDS)
    if draw(st.booleans()):
        return dark_experiment(draw(st.sampled_from(["shadow", "visible"])), unit_type=unit_type)
    running = experiment(
        traffic=draw(st.sampled_from([100, 600, 1000])), unit_type=unit_type, targeting=draw(RULES)
    )
    stopped = draw(st.sampled_from(["", "control", "treatment"]))
    return arm_stopped(running, stopped) if stopped else running


@st.composite
def rollouts(draw):
    audience = {
        "unit_type": draw(KINDS),
        "targeting": draw(RULES),
        "seed": "a0d1e4ce0000",
        "buckets": draw(st.none() | BUCKETS),
    }
    return rollout(audience=audience, holdback=draw(BUCKETS))


@st.composite
def overrides(draw):
    return override(
        draw(st.sampled_from(NAMES)),
        unit_type=draw(KINDS),
        variant=draw(st.sampled_from(["control", "treatment"])),
    )


@st.composite
def exclusions(draw):
    return {"key": "x", "ids": {draw(KINDS): draw(SOME_NAMES)}, "rules": [draw(RULES)]}


@st.composite
def catalogues_of_one_flag(draw):
    served = flag(
        experiment=draw(st.none() | experiments()),
        rollout=draw(st.none() | rollouts()),
        overrides=draw(st.lists(overrides(), max_size=4)),
    )
    held = holdout(unit_type=draw(KINDS), buckets=draw(BUCKETS)) if draw(st.booleans()) else None
    return catalogue(served, exclusions=draw(st.lists(exclusions(), max_size=2)), holdout=held)


REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        kind: st.sampled_from(NAMES) | st.text("aж🙂", min_size=1, max_size=4) for kind in IDS
    },
)
KNOWN = st.fixed_dictionaries(
    {}, optional={name: st.none() | st.sampled_from(values) for name, values in VALUES.items()}
)


@hypothesis_settings(max_examples=400)
@given(catalogues_of_one_flag(), st.lists(st.tuples(REQUESTS, KNOWN), min_size=1, max_size=6))
def test_any_catalogue__any_request__is_answered_alike(built, requests):
    document = payload(built)
    assert document["remoteOnly"] == {}
    for units, attributes in requests:
        served, known = ours(built, units, attributes)
        assert ask(document, known).value == served.value
