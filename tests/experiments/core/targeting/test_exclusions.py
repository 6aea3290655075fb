"""Exclusions: by id of any of the request's units, or by rule."""

from __future__ import annotations

import pytest

from experiments.core.targeting.exclusions import ExclusionList, Exclusions
from experiments.core.targeting.predicates import Condition, Op

STAFF = ExclusionList(
    "staff",
    {"user": frozenset({"boss"}), "tenant": frozenset({"acme"})},
    rules=((Condition("email", Op.CONTAINS, "@ours.example"),),),
)
KEY_CLIENTS = ExclusionList(
    "key-clients",
    {"visitor": frozenset({"s-big"})},
    rules=((Condition("plan", Op.EQ, "enterprise"),), ()),
)
EXCLUSIONS = Exclusions((STAFF, KEY_CLIENTS))


@pytest.mark.parametrize(
    ("units", "attributes", "expected"),
    [
        ({"user": "boss"}, {}, "staff"),
        ({"user": "u1", "tenant": "acme"}, {}, "staff"),
        ({"user": "acme"}, {}, None),
        ({"session": "s-big"}, {}, "key-clients"),
        ({"user": "u1", "session": "s-big"}, {}, None),
        ({"user": "u1"}, {"email": "a@ours.example"}, "staff"),
        ({"user": "u1"}, {"plan": "enterprise"}, "key-clients"),
        ({}, {}, None),
    ],
)
def test_excluded_by__names_the_list(
    units: dict[str, str], attributes: dict[str, object], expected: str | None
):
    assert EXCLUSIONS.excluded_by(units, attributes) == expected


def test_excluded_by__on_two_lists__names_the_first():
    twice = Exclusions((STAFF, ExclusionList("other", {"user": frozenset({"boss"})})))
    assert twice.excluded_by({"user": "boss"}, {}) == "staff"
