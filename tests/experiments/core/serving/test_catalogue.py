"""The catalogue: canonical bytes, a round trip, and refusals that name the place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from experiments.core.errors import InvalidInput
from experiments.core.serving.catalogue_parsing import canonical, digest, parse
from tests.experiments.core.serving.catalogues import (
    SEED,
    dark_experiment,
    document,
    experiment,
    flag,
    override,
    rollout,
    variant,
)


def full_document() -> dict[str, Any]:
    target = [{"attribute": "country", "op": "in", "value": ["KZ", "RU"]}]
    return document(
        flag(
            experiment=dark_experiment("visible", targeting=target),
            previews=[experiment("next", stage="draft")],
            overrides=[override("тестер")],
        ),
        flag("on", type="boolean", default=False, client_visible=True),
        flag(
            "rolled", rollout=rollout(holdback=[3, 1], holdback_until="2026-06-01T00:00:00+03:00")
        ),
        exclusions=[{"key": "staff", "ids": {"user": ["boss"]}, "rules": [target]}],
        holdout={"unit_type": "user", "seed": "401d00000000", "buckets": [5, 6], "until": None},
    )


def test_parse__of_its_own_canonical_bytes__is_the_same_catalogue():
    first = full_document()
    again = json.loads(canonical(first))
    assert parse(again) == parse(first)
    assert canonical(again) == canonical(first)


def test_canonical__sorted_keys_no_spaces_utf8():
    assert canonical({"b": 1, "a": ["é", 1.0]}) == '{"a":["é",1.0],"b":1}'.encode()


def test_digest__same_content_in_another_order__same_and_another_content__another():
    first = full_document()
    assert digest(dict(reversed(first.items()))) == digest(first)
    assert digest(first | {"version": 4}) != digest(first)
    assert len(digest(first)) == 64


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
def test_canonical__what_json_cannot_say__is_refused(value: Any):
    with pytest.raises(InvalidInput):
        canonical({"x": value})


def test_parse__reads_version_and_moment():
    book = parse(full_document())
    assert (book.version, book.built_at) == (3, datetime(2026, 5, 1, 9, tzinfo=UTC))
    assert [one.flag.key for one in book.serving()] == ["rank"]


def test_parse__values_take_the_flags_type():
    arms = [variant(1, "control", True, 1), variant(2, "treatment", False, 0.5)]
    book = parse(document(flag(type="float", default=2, experiment=experiment(variants=arms))))
    served = book.flags["rank"].experiment
    assert served is not None
    assert [repr(v.value) for v in served.variants] == ["1.0", "0.5"]
    assert repr(book.flags["rank"].default) == "2.0"


def test_parse__object_flag_without_value__serves_the_config():
    served = parse(document(flag(experiment=experiment()))).flags["rank"].experiment
    assert served is not None
    assert served.variants[1].value == {"model": "treatment"}


@pytest.mark.parametrize(
    ("flag_type", "default"),
    [("boolean", 1), ("boolean", "true"), ("string", 1), ("integer", 1.0), ("integer", True), ("integer", 2**63), ("float", "1"),
     ("float", True), ("float", 10**400), ("object", []), ("object", None), ("string", None)],
)  # fmt: skip
def test_parse__value_of_another_type__is_refused_at_its_place(flag_type: str, default: Any):
    with pytest.raises(InvalidInput) as refused:
        parse(document(flag(type=flag_type, default=default)))
    assert refused.value.field == "catalogue.flags[0].default"


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (document(schema=2), "catalogue.schema"),
        (document(built_at="2026-05-01T09:00:00"), "catalogue.built_at"),
        (document(built_at="yesterday"), "catalogue.built_at"),
        (document(version=True), "catalogue.version"),
        (document(flags={}), "catalogue.flags"),
        (document(flags=[1]), "catalogue.flags[0]"),
        (document(flag(type="json")), "catalogue.flags[0].type"),
        (document(flag(), flag()), "catalogue.flags"),
        (document(flag(experiment={"id": 1})), "catalogue.flags[0].experiment.key"),
        (
            document(flag(experiment=experiment(targeting=[{"attribute": "a", "op": "?"}]))),
            "catalogue.flags[0].experiment.targeting[0].op",
        ),
        (
            document(flag(experiment=experiment(variants=[variant(1, "c", True, main=[1000])]))),
            "catalogue.flags[0].experiment.variants[0].main",
        ),
        (
            document(
                flag(
                    experiment=experiment(
                        variants=[variant(1, "c", True, main=[1]), variant(2, "t", main=[1])]
                    )
                )
            ),
            "buckets",
        ),
        (
            document(flag(experiment=experiment(variants=[variant(1, "c"), variant(2, "t")]))),
            "variants",
        ),
        (
            document(exclusions=[{"key": "x", "ids": {"user": [1]}, "rules": []}]),
            "catalogue.exclusions[0].ids.user",
        ),
    ],
)
def test_parse__broken_document__names_the_place(broken: dict[str, Any], place: str):
    with pytest.raises(InvalidInput) as refused:
        parse(broken)
    assert refused.value.field == place


@pytest.mark.parametrize("broken", [None, [], "x", 1, {}])
def test_parse__no_document__is_refused(broken: Any):
    with pytest.raises(InvalidInput):
        parse(broken)


BETA = {
    "key": "beta",
    "ids": {"user": ["u1"]},
    "rules": [[{"attribute": "plan", "op": "eq", "value": "beta"}]],
}


def test_parse__segments__are_compiled_into_targeting_audience_and_exclusions():
    inside, outside = (
        [{"op": "in_segment", "value": "beta"}],
        [{"op": "not_in_segment", "value": "beta"}],
    )
    audience = {"unit_type": "user", "targeting": outside, "seed": SEED, "buckets": None}
    book = parse(
        document(
            flag(experiment=experiment(targeting=inside)),
            flag("rolled", rollout=rollout(audience=audience)),
            segments=[BETA],
            exclusions=[
                {
                    "key": "no-beta-tenants",
                    "ids": {},
                    "rules": [[*inside, {"attribute": "tenant_plan", "op": "exists"}]],
                }
            ],
        )
    )
    targeted, rolled_out = book.flags["rank"].experiment, book.flags["rolled"].rollout
    assert targeted is not None
    assert rolled_out is not None
    for units, attributes, member in (
        ({"user": "u1"}, {}, True),
        ({"user": "u2"}, {"plan": "beta"}, True),
        ({"user": "u2"}, {}, False),
    ):
        assert targeted.matches(units, attributes) is member
        assert rolled_out.audience.matches(units, attributes) is not member
        assert (
            book.exclusions.excluded_by(units, attributes | {"tenant_plan": 1}) is not None
        ) is member


@pytest.mark.parametrize(
    ("flags", "changes", "place"),
    [
        (
            [flag(experiment=experiment(targeting=[{"op": "in_segment", "value": "beta"}]))],
            {},
            "catalogue.flags[0].experiment.targeting",
        ),
        (
            [],
            {
                "exclusions": [
                    {"key": "x", "ids": {}, "rules": [[{"op": "in_segment", "value": "a"}]]}
                ]
            },
            "catalogue.exclusions[0].rules[0]",
        ),
        (
            [],
            {"segments": [BETA | {"rules": [[{"op": "in_segment", "value": "beta"}]]}]},
            "catalogue.segments[0].rules[0]",
        ),
    ],
)
def test_parse__segment_that_is_not_there_or_names_one__is_refused_at_its_place(
    flags: list[Any], changes: dict[str, Any], place: str
):
    with pytest.raises(InvalidInput) as refused:
        parse(document(*flags, **changes))
    assert refused.value.field == place
