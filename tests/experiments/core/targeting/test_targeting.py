"""Targeting: what each operator says of present, missing and mistyped attributes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.core.errors import InvalidInput
from experiments.core.targeting.conditions import SEGMENT_OPS, SEMVER_OPS
from experiments.core.targeting.predicates import (
    Condition,
    Op,
    Segment,
    compile_conditions,
    conditions_json,
    first_look,
    parse_conditions,
    segments_named,
)

VALUES: dict[Op, Any] = {
    Op.EQ: "x", Op.NE: "x", Op.IN: ["x", "y"], Op.NOT_IN: ["x", "y"], Op.GT: 3, Op.GTE: 3, Op.LT: 3, Op.LTE: 3,
    Op.CONTAINS: "x", Op.STARTS_WITH: "x", Op.EXISTS: None, Op.NOT_EXISTS: None,
    **dict.fromkeys(SEMVER_OPS, "1.2.0"),
}  # fmt: skip

ATTRIBUTE_OPS = [op for op in Op if op not in SEGMENT_OPS]

scalars = st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
json_values = st.recursive(
    st.one_of(st.none(), scalars),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
)


def holds(op: str, value: Any, attributes: dict[str, Any]) -> bool:
    entry = (
        {"attribute": "a", "op": op}
        if value is None
        else {"attribute": "a", "op": op, "value": value}
    )
    return compile_conditions(parse_conditions([entry]))({}, attributes)


@pytest.mark.parametrize(
    ("op", "value", "found", "expected"),
    [
        ("eq", "ru", "ru", True), ("eq", "ru", "RU", False), ("eq", 1, 1.0, True), ("eq", True, True, True),
        ("ne", "ru", "kk", True), ("ne", "ru", "ru", False),
        ("in", ["a", "b"], "b", True), ("in", [1, 2], 2.0, True), ("in", ["a"], "c", False),
        ("not_in", ["a", "b"], "c", True), ("not_in", ["a"], "a", False),
        ("gt", 3, 3, False), ("gt", 3, 3.5, True), ("gte", 3, 3, True), ("lt", 3, 2, True), ("lt", 3, 3, False), ("lte", 3, 3, True),
        ("contains", "bot", "robots", True), ("contains", "Bot", "robots", False),
        ("starts_with", "ro", "robots", True), ("starts_with", "bo", "robots", False),
        ("exists", None, 0, True), ("exists", None, "", True), ("not_exists", None, 0, False),
        ("exists", None, ["list"], True),
        ("semver_eq", "2.1.0", "2.1.0", True), ("semver_eq", "2.1.0", "2.1.0+build.7", True), ("semver_eq", "2.1.0", "2.1.0-rc.1", False),
        ("semver_gt", "2.9.0", "2.10.0", True), ("semver_gt", "2.9.0", "2.9.0", False), ("semver_gte", "2.9.0", "2.9.0", True),
        ("semver_gte", "2.9.0", "2.9.0-rc.1", False), ("semver_lt", "2.10.0", "2.9.0", True), ("semver_lte", "2.9.0", "2.9.0+x", True),
        ("semver_gt", "1.0.0", "v2.0.0", True), ("semver_lt", "1.0.0", "0.9", True), ("semver_lt", "1.0.0", "0.9.0.1", False),
        ("semver_lte", "9.9.9", 1, False),
    ],
)  # fmt: skip
def test_operator__present_attribute(op: str, value: Any, found: Any, expected: bool):
    assert holds(op, value, {"a": found}) is expected


@pytest.mark.parametrize("op", ATTRIBUTE_OPS)
@pytest.mark.parametrize("attributes", [{}, {"a": None}, {"b": "x"}])
def test_operator__missing_or_null_attribute__only_the_negative_ones_hold(
    op: Op, attributes: dict[str, Any]
):
    assert holds(op, VALUES[op], attributes) is (op in {Op.NE, Op.NOT_IN, Op.NOT_EXISTS})


@pytest.mark.parametrize("op", [op for op in ATTRIBUTE_OPS if op not in {Op.EXISTS, Op.NOT_EXISTS}])
@pytest.mark.parametrize("found", [True, [1], {"x": 1}, float("nan")])
def test_operator__attribute_of_another_type__does_not_hold(op: Op, found: Any):
    assert holds(op, VALUES[op], {"a": found}) is False


@pytest.mark.parametrize(("value", "found"), [(1, True), (True, 1), (0, False), ("1", 1), (1, "1")])
def test_eq__a_boolean_is_not_a_number_nor_a_number_a_text(value: Any, found: Any):
    assert holds("eq", value, {"a": found}) is False
    assert holds("in", [value], {"a": found}) is False


def test_rule__all_conditions_must_hold():
    rule = compile_conditions(
        parse_conditions(
            [
                {"attribute": "country", "op": "eq", "value": "KZ"},
                {"attribute": "age", "op": "gte", "value": 18},
            ]
        )
    )
    assert rule({}, {"country": "KZ", "age": 18})
    assert not rule({}, {"country": "KZ", "age": 17})
    assert not rule({}, {"age": 18})


def test_rule__without_conditions__meets_everyone():
    assert compile_conditions(parse_conditions(None))({}, {})
    assert parse_conditions([]) == ()


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"attribute": "a"}, "targeting"),
        (["x"], "targeting[0]"),
        ([{"attribute": "a", "op": "matches", "value": ".*"}], "targeting[0].op"),
        ([{"attribute": "a", "op": ["eq"], "value": 1}], "targeting[0].op"),
        (
            [{"attribute": "a", "op": "exists"}, {"attribute": "", "op": "exists"}],
            "targeting[1].attribute",
        ),
        ([{"attribute": "a" * 65, "op": "exists"}], "targeting[0].attribute"),
        ([{"attribute": "a", "op": "eq", "value": None}], "targeting[0].value"),
        ([{"attribute": "a", "op": "eq", "value": [1]}], "targeting[0].value"),
        ([{"attribute": "a", "op": "eq", "value": float("nan")}], "targeting[0].value"),
        ([{"attribute": "a", "op": "eq", "value": "x" * 1025}], "targeting[0].value"),
        ([{"attribute": "a", "op": "gt", "value": "3"}], "targeting[0].value"),
        ([{"attribute": "a", "op": "gt", "value": True}], "targeting[0].value"),
        ([{"attribute": "a", "op": "contains", "value": 3}], "targeting[0].value"),
        ([{"attribute": "a", "op": "exists", "value": True}], "targeting[0].value"),
        ([{"attribute": "a", "op": "in", "value": []}], "targeting[0].value"),
        ([{"attribute": "a", "op": "in", "value": "x"}], "targeting[0].value"),
        ([{"attribute": "a", "op": "in", "value": ["x", [1]]}], "targeting[0].value[1]"),
        ([{"attribute": "a", "op": "in", "value": ["x", 1]}], "targeting[0].value"),
        ([{"attribute": "a", "op": "in", "value": list(range(1001))}], "targeting[0].value"),
        ([{"attribute": "a", "op": "exists", "regex": "x"}], "targeting[0]"),
        ([{"attribute": "a", "op": "exists"}] * 51, "targeting"),
        ([{"attribute": "a", "op": "semver_gt", "value": "2.1.0.4"}], "targeting[0].value"),
        ([{"attribute": "a", "op": "semver_gt", "value": 2}], "targeting[0].value"),
        ([{"attribute": "a", "op": "in_segment", "value": "beta"}], "targeting[0].attribute"),
        ([{"op": "in_segment"}], "targeting[0].value"),
        ([{"op": "not_in_segment", "value": "Beta Testers"}], "targeting[0].value"),
    ],
)
def test_parse__bad_condition__names_its_place(document: Any, path: str):
    with pytest.raises(InvalidInput) as refused:
        parse_conditions(document)
    assert refused.value.field == path
    assert refused.value.message.startswith(path + ":")


def test_parse__round_trip():
    rule = (
        Condition("country", Op.IN, ("KZ", "RU")),
        Condition("plan", Op.NOT_EXISTS),
        Condition("age", Op.GT, 17.5),
        Condition("", Op.IN_SEGMENT, "beta"),
    )
    assert parse_conditions(conditions_json(rule)) == rule


@given(document=json_values)
def test_parse__any_json__gives_conditions_or_a_refusal(document: Any):
    try:
        parse_conditions(document)
    except InvalidInput as refused:
        assert refused.field.startswith("targeting")


@given(attributes=st.dictionaries(st.sampled_from(["a", "b"]), json_values))
def test_rule__any_attributes__never_raises(attributes: dict[str, Any]):
    for op, value in VALUES.items():
        assert holds(op, value, attributes) in {True, False}


BETA = Segment(
    "beta",
    {"user": frozenset({"u1"}), "tenant": frozenset({"acme"})},
    ((Condition("plan", Op.EQ, "beta"),), (Condition("age", Op.GT, 90),)),
)


@pytest.mark.parametrize(
    ("units", "attributes", "inside"),
    [
        ({"user": "u1"}, {}, True),
        ({"user": "u2", "tenant": "acme"}, {}, True),
        ({"user": "acme"}, {}, False),
        ({"user": "u2"}, {"plan": "beta"}, True),
        ({}, {"age": 91}, True),
        ({"user": "u2"}, {"plan": "free", "age": 3}, False),
        ({}, {}, False),
    ],
)
def test_segment__by_id_or_by_any_rule__and_not_in_segment_is_the_opposite(
    units: dict[str, str], attributes: dict[str, Any], inside: bool
):
    for op, expected in ((Op.IN_SEGMENT, inside), (Op.NOT_IN_SEGMENT, not inside)):
        rule = parse_conditions([{"op": op.value, "value": "beta"}])
        assert compile_conditions(rule, {"beta": BETA})(units, attributes) is expected


def test_segment__visitor_ids__are_the_users_else_the_sessions():
    guests = Segment("guests", {"visitor": frozenset({"s1"})})
    assert guests.holds({"session": "s1"}, {})
    assert not guests.holds({"user": "u1", "session": "s1"}, {})


def test_segment__without_ids_and_rules_or_with_an_empty_rule__holds_nobody():
    assert not Segment("nobody").holds({"user": "u1"}, {"a": 1})
    assert not Segment("nobody", rules=((),)).holds({"user": "u1"}, {"a": 1})


def test_segment__that_names_another__is_refused():
    with pytest.raises(InvalidInput, match="name another segment"):
        Segment("outer", rules=((Condition("", Op.IN_SEGMENT, "beta"),),))


def test_compile__unknown_segment__is_refused():
    rule = parse_conditions([{"op": "in_segment", "value": "beta"}])
    assert segments_named(rule) == {"beta"}
    with pytest.raises(InvalidInput, match="beta"):
        compile_conditions(rule)


_RULES = (
    [],
    [Condition("plan", Op.EQ, "pro")],
    [Condition("plan", Op.EQ, 1)],
    [Condition("plan", Op.NE, "pro")],
    [Condition("id", Op.EQ, "pro")],
    [Condition("plan", Op.EQ, "pro"), Condition("id", Op.EXISTS)],
)


@pytest.mark.parametrize("rule", _RULES)
@given(
    found=st.none() | st.sampled_from(["pro", "free", "", 1, True]),
    name=st.sampled_from(["plan", "id", ""]),
)
def test_first_look__when_it_finds_its_value__the_rule_holds(
    rule: list[Condition], name: str, found: Any
):
    attribute, wanted = first_look(rule)
    attributes = {name: found}
    if attributes.get(attribute) == wanted:
        assert compile_conditions(rule)({}, attributes)


def test_first_look__at_the_two_most_frequent_rules__answers_without_the_predicate():
    assert [
        {"plan": "pro"}.get(attribute) == wanted for attribute, wanted in map(first_look, _RULES)
    ] == [True, True, *[False] * 4]
