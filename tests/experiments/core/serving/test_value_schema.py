"""What a flag's schema reads, and what it says of a value."""

from __future__ import annotations

import pytest

from experiments.core.design.advice import AdvisedArm, AdvisedDesign, advice
from experiments.core.errors import InvalidInput
from experiments.core.serving.value_schema import Schema, outside, parse_schema, suggested

DOCUMENT = {
    "type": "object",
    "properties": {
        "model": {"type": "string", "enum": ["small", "large"], "title": "Model"},
        "temperature": {"type": "number", "minimum": 0, "maximum": 2},
        "top_k": {"type": "integer", "minimum": 1},
        "prompt": {"type": "string", "format": "multiline", "maxLength": 20},
        "stream": {"type": "boolean"},
    },
    "required": ["model"],
    "additionalProperties": False,
}
SCHEMA = parse_schema(DOCUMENT)


def test_schema__is_read_in_the_documents_order():
    assert [one.name for one in SCHEMA.properties] == [
        "model",
        "temperature",
        "top_k",
        "prompt",
        "stream",
    ]
    assert SCHEMA.properties[0].choices == ("small", "large")
    assert (SCHEMA.properties[1].low, SCHEMA.properties[1].high) == (0.0, 2.0)
    assert SCHEMA.properties[3].multiline
    assert [one.required for one in SCHEMA.properties] == [True, False, False, False, False]
    assert SCHEMA.closed
    assert parse_schema({}) == Schema()


def test_outside__within_everything__is_silent():
    assert (
        outside(
            SCHEMA,
            {"model": "small", "temperature": 1, "top_k": 3, "prompt": "Hello", "stream": True},
        )
        == ()
    )
    assert outside(Schema(), {"anything": 1}) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": None}, "wanted a string"),
        ({"model": "huge"}, "wanted one of small, large"),
        ({"temperature": 2.5}, "above 2"),
        ({"temperature": -1}, "below 0"),
        ({"temperature": True}, "wanted a number"),
        ({"top_k": 1.5}, "wanted an integer"),
        ({"prompt": "x" * 21}, "longer than 20 characters"),
        ({"stream": "yes"}, "wanted a boolean"),
        ({"strange": 1}, "has the key 'strange'"),
    ],
)
def test_outside__one_thing_wrong__is_named(change, said):
    [found] = outside(SCHEMA, {"model": "small"} | change)
    assert said in found


def test_outside__a_key_that_is_needed_and_a_value_that_is_no_object():
    assert outside(SCHEMA, {}) == ("lacks model",)
    assert outside(SCHEMA, 3) == ("is no object",)


def test_suggested__the_narrowest_type_of_each_plain_key():
    values = [
        {"a": 1, "b": True, "c": "x", "d": [1]},
        {"a": 0.5, "b": False, "e": "y", "d": {}},
        {"a": 2, "b": True, "c": 3},
        7,
    ]
    found = suggested(values)
    assert found["properties"] == {
        "a": {"type": "number"},
        "b": {"type": "boolean"},
        "e": {"type": "string"},
    }
    assert found["required"] == ["a", "b"]
    assert [one.name for one in parse_schema(found).properties] == ["a", "b", "e"]
    assert suggested([{}, {"only": [1]}]) == {}


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "schema"),
        ({"type": "array"}, "schema.type"),
        ({"type": "object", "patternProperties": {}}, "schema"),
        ({"type": "object", "properties": []}, "schema.properties"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "schema.properties.a.type"),
        (
            {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}},
            "schema.properties.a",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "number", "minimum": 2, "maximum": 1}}},
            "schema.properties.a.minimum",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "number", "minimum": True}}},
            "schema.properties.a.minimum",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string", "enum": [1]}}},
            "schema.properties.a.enum",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string", "maxLength": 0}}},
            "schema.properties.a.maxLength",
        ),
        ({"type": "object", "properties": {"": {"type": "string"}}}, "schema.properties."),
        ({"type": "object", "properties": {}, "required": ["a"]}, "schema.required"),
        ({"type": "object", "properties": {}, "required": [["a"]]}, "schema.required"),
        (
            {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(41)}},
            "schema.properties",
        ),
    ],
)
def test_schema__what_it_does_not_read__is_refused_by_place(document, place):
    with pytest.raises(InvalidInput) as refusal:
        parse_schema(document)
    assert str(refusal.value).startswith(f"{place}:")


def test_advice__a_value_outside_the_schema__is_told():
    arms = [
        AdvisedArm("Control", True, {"model": "small"}),
        AdvisedArm("Hot", False, {"model": "small", "temperature": 9}),
    ]
    assert advice(AdvisedDesign("feature", arms, 1, 0, schema=SCHEMA)) == (
        "Hot sets temperature to 9, above 2: mend it, or change the flag's schema.",
    )
