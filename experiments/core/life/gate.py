"""The gate: what stands between an experiment and a verb. Every door shows this same list."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from experiments.core.design import allocation, rules
from experiments.core.errors import Problem
from experiments.core.life.checklist import LaunchFacts, open_items
from experiments.core.life.lifecycle import BEFORE_DARK_LAUNCH, Need, Verb, transition_for
from experiments.core.types import DARK_BUCKETS, Item, Origin


def blockers(verb: Verb, facts: LaunchFacts) -> list[Problem]:
    """Everything that stops this verb now; empty means the rules allow it.

    Permission, a reason and a second person are asked of whoever presses, not of the experiment.
    """
    step = transition_for(verb, facts.status, facts.cause)
    if step is None:
        return [Problem("wrong_status", _no_arrow(verb, facts), "status")]
    return _each_once({need: _NEEDS[need](facts) for need in step.needs if need in _NEEDS})


def _each_once(found: Mapping[Need, list[Problem]]) -> list[Problem]:
    """What the design lacks is left to the checklist item that says the same (a missing flag)."""
    by_items = {
        (problem.code, problem.field)
        for need, some in found.items()
        if need is not Need.DESIGN
        for problem in some
    }
    return [
        p
        for need, some in found.items()
        for p in some
        if need is not Need.DESIGN or (p.code, p.field) not in by_items
    ]


def _no_arrow(verb: Verb, facts: LaunchFacts) -> str:
    return f"{facts.design.key}: cannot {verb.value.replace('_', ' ')} while {facts.status.value.replace('_', ' ')}"


def _design(facts: LaunchFacts) -> list[Problem]:
    found = rules.problems(facts.design, facts.rules, for_launch=True)
    if facts.planned_end_over:
        found.append(
            Problem(
                "planned_end_over",
                "the planned end is over; move it or leave it empty",
                "planned_end",
            )
        )
    return found


def _dark_launch_policy(facts: LaunchFacts) -> list[Problem]:
    if facts.rules.dark_launch:
        return []
    return [
        Problem(
            "no_dark_launch",
            f"policy {facts.design.policy_key} has no dark launch; start directly",
            "policy",
        )
    ]


def _no_dark_launch_policy(facts: LaunchFacts) -> list[Problem]:
    if not facts.rules.dark_launch:
        return []
    return [
        Problem(
            "dark_launch_first",
            f"policy {facts.design.policy_key} wants a dark launch first",
            "policy",
        )
    ]


def _free_flag(facts: LaunchFacts) -> list[Problem]:
    return [*_flag_taken(facts), *_control_is_rolled_out(facts), *_layer_has_room(facts)]


def _flag_taken(facts: LaunchFacts) -> list[Problem]:
    if not facts.flag_busy_with:
        return []
    message = f"flag {facts.design.flag_key} is taken by {facts.flag_busy_with}; conclude that one or take another flag"
    return [Problem("flag_taken", message, "flag")]


def _control_is_rolled_out(facts: LaunchFacts) -> list[Problem]:
    """A flag with a rollout is served its value; comparing against anything else would take it back
    unseen.
    """
    control, rolled_out = facts.design.control, facts.rolled_out
    if rolled_out is None or control is None or control.served == rolled_out.value:
        return []
    message = (
        f"control {control.key} is not what flag {facts.design.flag_key} now serves: {rolled_out.experiment_key} rolled out another value; "
        "give control that value or return to control first"
    )
    return [Problem("control_not_rolled_out", message, "variants")]


def _layer_has_room(facts: LaunchFacts) -> list[Problem]:
    if facts.layer_free is None:
        return []
    wanted = wanted_buckets(facts)
    if wanted <= facts.layer_free:
        return []
    message = f"layer {facts.design.layer} has {facts.layer_free} free buckets, {wanted} are wanted; lower the traffic or wait"
    return [Problem("layer_full", message, "layer")]


def wanted_buckets(facts: LaunchFacts) -> int:
    """Buckets a launch takes: the main ones and, with a dark launch, twenty on top."""
    reserved = 2 * DARK_BUCKETS if facts.rules.dark_launch else 0
    return allocation.main_buckets(facts.design.traffic, reserved) + reserved


def _before_dark_launch(facts: LaunchFacts) -> list[Problem]:
    return open_items(facts, BEFORE_DARK_LAUNCH)


def _all_items(facts: LaunchFacts) -> list[Problem]:
    return [] if facts.design.origin == Origin.IMPORT.value else open_items(facts, tuple(Item))


_NEEDS: Mapping[Need, Callable[[LaunchFacts], list[Problem]]] = {
    Need.DESIGN: _design,
    Need.DARK_LAUNCH_POLICY: _dark_launch_policy,
    Need.NO_DARK_LAUNCH_POLICY: _no_dark_launch_policy,
    Need.ITEMS_BEFORE_DARK_LAUNCH: _before_dark_launch,
    Need.ALL_ITEMS: _all_items,
    Need.FREE_FLAG: _free_flag,
}
