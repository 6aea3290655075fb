"""The shipped examples have plans that can finish: each within the horizon, with the units that it
shows.
"""

from __future__ import annotations

import pytest

from analytics.core.planner import Rules, SizePlan, Traffic, plan
from analytics.services.examples.base import Example
from analytics.services.examples.plans import EXAMPLES
from analytics.services.planning.planning import _metric
from experiments.core.design.design import DesignMetric, MetricPlan
from experiments.core.design.policies import SHIPPED
from experiments.core.library.metrics import LIBRARY

DEFINITIONS = {one.key: one for one in LIBRARY}
POLICIES = {one.key: one.rules for one in SHIPPED}


def _design(use: MetricPlan) -> DesignMetric:
    """A planned use with its definition, as a frozen design has it."""
    known = DEFINITIONS[use.metric]
    return DesignMetric(
        key=known.key,
        version=1,
        kind=known.kind.value,
        role=use.role,
        direction=known.direction.value,
        window_hours=known.window_hours,
        baseline=use.baseline,
        baseline_sd=use.baseline_sd,
        mde=use.mde,
        mde_kind=use.mde_kind,
        required_improvement=use.required_improvement,
        margin=use.margin,
        margin_kind=use.margin_kind,
        rule=use.rule,
        action=use.action,
    )


def _planned(example: Example) -> SizePlan:
    spec, policy = example.spec, POLICIES[example.spec.policy_key]
    control, *tests = [variant.weight for variant in spec.variants]
    traffic = Traffic(
        units_per_day=float(example.units_per_day), control=control, tests=tuple(tests)
    )
    rules = Rules(
        power=float(spec.power),
        looks=1 + 7 * policy.weeks,
        clock_weeks=policy.weeks,
        floor=spec.min_sample_size,
    )
    return plan([_metric(_design(use), policy) for use in spec.metrics], traffic, rules)


@pytest.mark.parametrize(
    "example", [one for one in EXAMPLES if one.units_per_day], ids=lambda one: one.spec.key
)
def test_example__with_its_own_traffic__finishes_within_the_horizon(example: Example) -> None:
    found = _planned(example)
    assert found.out_of_reach == ()
    assert found.weeks is not None
    assert found.weeks <= found.horizon_weeks
