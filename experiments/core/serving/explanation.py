"""What an explanation consists of: steps, each with what was asked, what was found and what
followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from experiments.core.serving.order import StepName
from experiments.core.types import JSON, Reason

Outcome: TypeAlias = Literal["passed", "barred", "decided"]
"""``barred``: the experiment (or the rollout) does not take this unit, and what comes after it may
still.
"""
Detail: TypeAlias = "dict[str, JSON]"


@dataclass(frozen=True)
class Step:
    """One step: a sentence for a person, and the same as data."""

    step: StepName
    outcome: Outcome
    message: str
    detail: Detail = field(default_factory=dict)

    def as_json(self) -> dict[str, JSON]:
        return {
            "step": self.step.value,
            "outcome": self.outcome,
            "message": self.message,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class Explanation:
    """What a unit gets of a flag, and every step up to the one that decided; fields as in an
    assignment's answer.
    """

    flag: str | None
    experiment: str | None
    reason: Reason
    value: JSON
    variant: str | None = None
    unit_id: str | None = None
    bucket: int | None = None
    steps: tuple[Step, ...] = ()

    @property
    def decided_by(self) -> StepName:
        """The step after which nothing more was asked."""
        return next(step.step for step in self.steps if step.outcome == "decided")

    def as_json(self) -> dict[str, JSON]:
        return {
            "flag": self.flag,
            "experiment": self.experiment,
            "variant": self.variant,
            "value": self.value,
            "reason": self.reason.value,
            "unit": self.unit_id,
            "bucket": self.bucket,
            "decided_by": self.decided_by.value,
            "steps": [step.as_json() for step in self.steps],
        }
