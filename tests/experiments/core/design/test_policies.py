"""Policies as data: what ships, and what cannot be stored."""

from __future__ import annotations

import pytest

from experiments.core.design.policies import SHIPPED, PolicyRules, rules_from_json
from experiments.core.errors import InvalidInput
from experiments.core.types import Item

BY_KEY = {shipped.key: shipped.rules for shipped in SHIPPED}


def test_standard__asks_for__a_valid_design_only():
    assert BY_KEY["standard"].requires == ()
    assert not BY_KEY["standard"].dark_launch
    assert BY_KEY["standard"].holdback == 0


@pytest.mark.parametrize(("key", "most"), [("ai-low", 200), ("ai-medium", 100), ("ai-high", 50)])
def test_ai_policy__asks_for__every_item_and_bounded_shares(key, most):
    rules = BY_KEY[key]

    assert rules.requires == tuple(Item)
    assert (rules.min_control, rules.min_test, rules.max_test) == (50, 50, most)
    assert (rules.dark_launch, rules.weeks, rules.holdback) == (True, 2, 50)


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda s: s.key)
def test_rules__through_json__come_back_the_same(shipped):
    assert rules_from_json(shipped.rules.as_json()) == shipped.rules


@pytest.mark.parametrize(
    "change",
    [
        {"weeks": -1},
        {"weeks": True},
        {"nope": 1},
        {"requires": ["prayer"]},
        {"min_test": 300, "max_test": 200},
        {"min_control": 700, "min_test": 400},
        {"requires": ["dark_launch"], "dark_launch": False},
        {"window": {"days": [7], "from_hour": 0, "to_hour": 24}},
        {"window": {"days": [1], "from_hour": 16, "to_hour": 10}},
        {"guardrail_rule": "hope"},
    ],
)
def test_rules__that_make_no_sense__are_refused(change):
    with pytest.raises(InvalidInput):
        rules_from_json({**PolicyRules().as_json(), **change})
