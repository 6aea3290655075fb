"""Rare rates, margins, strata, caps, segments, drift and the primitives of calibration, in other people's numbers."""

from __future__ import annotations

from analytics.core.stats import poisson
from analytics.core.stats.comparison import Interval
from analytics.core.stats.poisson import Rate

from . import Adapter, Case


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _complaints(i: Case) -> Case:
    control = Rate(i["count_c"], i["exposure_c"], round(i["exposure_c"]))
    treatment = Rate(i["count_t"], i["exposure_t"], round(i["exposure_t"]))
    found: Case = {}
    for name, test in (("score", poisson.score_edge), ("wald_log", poisson.wald_log_edge), ("etest_score", poisson.e_test)):
        edge = test(control, treatment, i["ratio_margin"])
        found |= {f"p_larger_{name}": edge.p_above, f"p_smaller_{name}": edge.p_below}
    return found | {
        "ci_ratio_score": _pair(poisson.score_interval(control, treatment)),
        "ci_ratio_wald_log": _pair(poisson.wald_log_interval(control, treatment)),
        "ci_ratio_waldcc": _pair(poisson.wald_log_interval(control, treatment, added=0.5)),
    }


def _poisson_power(i: Case) -> Case:
    def power(n: int) -> float:
        return poisson.rate_ratio_power(i["rate_control"], i["ratio"], n, exposure_per_unit=i["exposure_per_unit"], alpha=i["alpha"])

    return {f"power_at_{n}": power(n) for n in (50_000, 200_000)}


ADAPTERS: dict[str, Adapter] = {
    "guardrail.complaints_per_session_plus_15pct": _complaints,
    "power.poisson_rate_ratio": _poisson_power,
}

LEFT_OUT: dict[str, dict[str, str]] = {}
