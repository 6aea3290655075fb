"""What experience would say of a design: advice beside the plan. Nothing is refused by it; what
refuses is in ``design_rules``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from experiments.core.life.unchecked import unchecked
from experiments.core.serving.value_schema import NO_SCHEMA, Schema, outside
from experiments.core.types import JSON

MANY_AT_ONCE = 3
"""Experiments on the same kind of unit beside this one; with more, effects get entangled."""
FAR_FROM = 10.0
"""A number that a variant multiplies or divides by so much is an extreme value for a first try."""


@dataclass(frozen=True)
class AdvisedArm:
    """A variant as advice reads it."""

    name: str
    is_control: bool
    config: JSON


@dataclass(frozen=True)
class AdvisedDesign:
    """A design as advice reads it; ``beside`` are the names of live experiments on the same unit
    type outside its layer.

    ``undecided``: why it can never decide, if so.
    """

    experiment_type: str
    arms: Sequence[AdvisedArm]
    guardrails: int
    required_items: int
    beside: Sequence[str] = ()
    schema: Schema = NO_SCHEMA
    undecided: str = ""


def advice(plan: AdvisedDesign) -> tuple[str, ...]:
    """Sentences, each naming what it is about and what to do."""
    never = (plan.undecided,) if plan.undecided else ()
    return (
        *never,
        *_entangled(plan),
        *_several_changes(plan),
        *_extremes(plan),
        *_outside(plan),
        *_unguarded(plan),
    )


def changed_keys(control: JSON, config: JSON) -> tuple[str, ...]:
    """The keys of a config that differ from control's, nested ones with dots."""
    before, after = _flat(control), _flat(config)
    return tuple(
        key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)
    )


def _flat(config: JSON, path: str = "") -> Mapping[str, JSON]:
    if not isinstance(config, dict):
        return {path: config} if path else {}
    found: dict[str, JSON] = {}
    for key, value in config.items():
        found |= _flat(value, f"{path}.{key}" if path else key) or {
            f"{path}.{key}" if path else key: value
        }
    return found


def _entangled(plan: AdvisedDesign) -> Iterable[str]:
    if len(plan.beside) > MANY_AT_ONCE:
        shown = (
            ", ".join(plan.beside[:MANY_AT_ONCE]) + f" and {len(plan.beside) - MANY_AT_ONCE} more"
        )
        yield f"{len(plan.beside)} experiments run on the same units ({shown}): put those that touch one surface into one layer."


def _several_changes(plan: AdvisedDesign) -> Iterable[str]:
    control = next((arm for arm in plan.arms if arm.is_control), None)
    for arm in plan.arms:
        keys = () if control is None or arm is control else changed_keys(control.config, arm.config)
        if len(keys) > 1:
            yield f"{arm.name} differs from control in {len(keys)} keys ({', '.join(keys[:4])}): a result cannot say which of them did it."


def _extremes(plan: AdvisedDesign) -> Iterable[str]:
    control = next((arm for arm in plan.arms if arm.is_control), None)
    before = {} if control is None else _flat(control.config)
    for arm in plan.arms:
        for key, value in _flat(arm.config).items():
            was = before.get(key)
            if arm is not control and _number(was) and _number(value) and _far(was, value):
                yield f"{arm.name} sets {key} from {was} to {value}: begin with a value nearer to today's, or launch it dark first."


def _outside(plan: AdvisedDesign) -> Iterable[str]:
    for arm in plan.arms:
        for said in outside(plan.schema, arm.config):
            yield f"{arm.name} {said}: mend it, or change the flag's schema."


def _number(value: JSON) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _far(was: float, now: float) -> bool:
    small, large = sorted((abs(was), abs(now)))
    return small > 0 and large / small >= FAR_FROM


def _unguarded(plan: AdvisedDesign) -> Iterable[str]:
    if unchecked(plan.experiment_type, plan.required_items):
        yield f"A {plan.experiment_type} experiment under a policy without launch checks: choose an AI policy, or say in the PRD why not."
    if plan.guardrails == 0:
        yield "No guardrail is planned: nothing stops it when it harms. Error rate, latency, cost and complaints ship as presets."
