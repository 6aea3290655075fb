"""How many units does a plan need, how surely does it answer, and how long does that take?

Sizes are per arm, for fixed samples times the inflation of looking repeatedly: ``effects`` to find
an effect, ``safety`` to show that a guardrail is kept, ``spread`` for one unit's standard
deviation, ``student`` for t tests, ``calendar`` for days and weeks, ``midway`` for an experiment
under way.
"""

from analytics.core.stats.power.calendar import Duration, duration, matured_units
from analytics.core.stats.power.effects import (
    arcsine_effect,
    arcsine_sample,
    mean_mde,
    mean_power,
    mean_sample,
    proportion_mde,
    proportion_power,
    proportion_sample,
    unpooled_sample,
)
from analytics.core.stats.power.midway import Midway, mid_experiment
from analytics.core.stats.power.safety import (
    JOINT_BETA,
    SAFE_ALPHA,
    Guard,
    detect_events,
    joint_beta,
    safe_events,
    safe_margin,
    safe_points_sample,
    safe_power,
    safe_relative_sample,
    safe_sample,
)
from analytics.core.stats.power.spread import (
    correlation,
    density_between,
    quantile_sd,
    ratio_sd,
    sd_from_se,
)
from analytics.core.stats.power.student import student_mde, student_power, student_sample
from analytics.core.stats.power.terms import Given, SampleSize, Terms, design_effect

__all__ = [
    "JOINT_BETA", "SAFE_ALPHA", "Duration", "Given", "Guard", "Midway", "SampleSize", "Terms", "arcsine_effect", "arcsine_sample",
    "correlation", "density_between", "design_effect", "detect_events", "duration", "joint_beta", "matured_units", "mean_mde",
    "mean_power", "mean_sample", "mid_experiment", "proportion_mde", "proportion_power", "proportion_sample", "quantile_sd", "ratio_sd",
    "safe_events", "safe_margin", "safe_points_sample", "safe_power", "safe_relative_sample", "safe_sample", "sd_from_se",
    "student_mde", "student_power", "student_sample", "unpooled_sample",
]  # fmt: skip
