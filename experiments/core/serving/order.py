"""The order of evaluation, once: who decides before whom.

What answers (``evaluation``), what answers for many at once (``together``), what explains
(``explaining``) and what tells other SDKs (``protocols.growthbook``) are written apart, because each
has its own reader and its own price. Each names its steps as data, in the order in which it takes
them, and asks ``in_order`` about them when it is imported. So a step that moves in one place stops
the others from loading until they follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, TypeVar

T = TypeVar("T")


class StepName(StrEnum):
    """The places of the evaluation order, as they follow each other.

    ``ASKED`` is no place in the order: it says what somebody hears who asked for another experiment.
    """

    FLAG = "flag"
    OVERRIDE = "override"
    EXCLUSIONS = "exclusions"
    TARGETING = "targeting"
    UNIT = "unit"
    HOLDOUT = "holdout"
    BUCKET = "bucket"
    ROLLOUT = "rollout"
    DEFAULT = "default"
    ASKED = "asked"


ORDER: Final = (
    StepName.FLAG,
    StepName.OVERRIDE,
    StepName.EXCLUSIONS,
    StepName.TARGETING,
    StepName.UNIT,
    StepName.HOLDOUT,
    StepName.BUCKET,
    StepName.ROLLOUT,
    StepName.DEFAULT,
)


class OrderBroken(Exception):
    """Somebody takes the steps in another order than everybody else."""


def in_order(who: str, steps: Iterable[tuple[StepName, T]]) -> tuple[T, ...]:
    """What belongs to each step, if the steps follow each other as in ``ORDER``; some may be left out.

    Raises ``OrderBroken``, which names who takes which step too early.
    """
    pairs = tuple(steps)
    places = [ORDER.index(step) for step, _ in pairs]
    for (earlier, _), (later, _), before, after in zip(
        pairs, pairs[1:], places, places[1:], strict=False
    ):
        if before >= after:
            raise OrderBroken(
                f"{who} takes the step {earlier} before {later}; "
                f"the order of evaluation is {', '.join(ORDER)}"
            )
    return tuple(part for _, part in pairs)
