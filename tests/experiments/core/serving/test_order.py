"""All who take the steps of the evaluation take them in one order."""

from __future__ import annotations

import importlib
import re

import pytest

from experiments.core.serving import order
from experiments.core.serving.order import ORDER, OrderBroken, StepName, in_order

WHO = (
    "experiments.core.serving.evaluation",
    "experiments.core.serving.together",
    "experiments.core.serving.explaining",
    "experiments.core.protocols.growthbook",
)


def test_in_order__steps_that_follow_each_other__are_taken_as_they_are() -> None:
    assert in_order("a test", ((StepName.FLAG, "a"), (StepName.DEFAULT, "b"))) == ("a", "b")
    assert in_order("a test", ((step, step.value) for step in ORDER)) == tuple(map(str, ORDER))


@pytest.mark.parametrize("later", [StepName.FLAG, StepName.HOLDOUT])
def test_in_order__a_step_too_early_or_twice__is_refused_by_name(later: StepName) -> None:
    with pytest.raises(OrderBroken, match=rf"a test takes the step holdout before {later}; "):
        in_order("a test", ((StepName.HOLDOUT, 1), (later, 2)))


def test_asked__is_a_step_of_explanations_and_no_place_in_the_order() -> None:
    assert set(StepName) - set(ORDER) == {StepName.ASKED}


@pytest.mark.parametrize("who", WHO)
def test_order__that_moves__stops_whoever_does_not_follow(
    monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    module = importlib.import_module(who)
    before = dict(vars(module))
    monkeypatch.setattr(order, "ORDER", tuple(reversed(ORDER)))
    try:
        with pytest.raises(OrderBroken, match=re.escape("takes the step")):
            importlib.reload(module)
    finally:
        vars(module).clear()
        vars(module).update(before)
