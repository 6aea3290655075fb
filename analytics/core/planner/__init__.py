"""The power planner: how many units, how many weeks, and what is within reach with this traffic."""

from analytics.core.planner.inputs import (
    MOST_LOOKS,
    MOST_WEEKS,
    EffectKind,
    MetricInputs,
    Role,
    Rules,
    Traffic,
)
from analytics.core.planner.planning import MetricSize, SizePlan, plan

__all__ = [
    "MOST_LOOKS",
    "MOST_WEEKS",
    "EffectKind",
    "MetricInputs",
    "MetricSize",
    "Role",
    "Rules",
    "SizePlan",
    "Traffic",
    "plan",
]
