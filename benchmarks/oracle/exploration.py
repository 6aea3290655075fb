"""Rare rates, margins, strata, caps, segments, drift and the primitives of calibration, in other people's numbers."""

from __future__ import annotations

import math

from analytics.core.stats import equivalence, poisson
from analytics.core.stats.comparison import Interval
from analytics.core.stats.equivalence import RatioMethod
from analytics.core.stats.poisson import Rate
from analytics.core.totals import Totals

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


def _totals(arm: Case) -> Totals:
    return Totals(arm["n"], arm["sum"]["y"], arm["sum_sq"]["y"])


def _rates(i: Case) -> tuple[Totals, Totals]:
    return Totals.of_rate(i["x_c"], i["n_c"]), Totals.of_rate(i["x_t"], i["n_t"])


def _error_rate(i: Case) -> Case:
    wald = equivalence.difference_edge(*_rates(i), i["margin"], "wald")
    added = equivalence.difference_edge(*_rates(i), i["margin"], "agresti-caffo")
    return {
        "p_noninferior_wald": wald.p_below,
        "p_breach_wald": wald.p_above,
        "p_noninferior_agresti_caffo": added.p_below,
        "p_breach_agresti_caffo": added.p_above,
    }


def _optout(i: Case) -> Case:
    found: Case = {}
    methods: tuple[RatioMethod, ...] = ("score", "log", "log-adjusted")
    for method in methods:
        edge, name = equivalence.ratio_edge(*_rates(i), i["ratio_margin"], method), method.replace("-", "_")
        found |= {f"p_larger_{name}": edge.p_above, f"p_smaller_{name}": edge.p_below}
    return found


def _cost(i: Case) -> Case:
    edge = equivalence.mean_edge(_totals(i["control"]), _totals(i["treatment"]), factor=i["ratio_margin"])
    return {"p_breach": edge.p_above, "p_noninferior": edge.p_below}


def _non_inferior(i: Case) -> Case:
    found = equivalence.non_inferior_rates(*_rates(i), i["nim_relative"], i["preferred"], relative=True)
    return {"diff": found.difference, "p": found.p, "ci_low": _limit(found.low), "ci_high": _limit(found.high)}


def _limit(value: float | None) -> float | str | None:
    """Cases spell a missing limit in words."""
    return value if value is None or math.isfinite(value) else "inf" if value > 0 else "-inf"


def _poisson_power(i: Case) -> Case:
    def power(n: int) -> float:
        return poisson.rate_ratio_power(i["rate_control"], i["ratio"], n, exposure_per_unit=i["exposure_per_unit"], alpha=i["alpha"])

    return {f"power_at_{n}": power(n) for n in (50_000, 200_000)}


ADAPTERS: dict[str, Adapter] = {
    "guardrail.complaints_per_session_plus_15pct": _complaints,
    "guardrail.cost_relative_margin": _cost,
    "guardrail.error_rate_plus_2pp": _error_rate,
    "guardrail.optout_plus_10pct_relative": _optout,
    "guardrail.spotify_nim_relative": _non_inferior,
    "power.poisson_rate_ratio": _poisson_power,
}

WRONG_CUBIC = (
    "statsmodels 0.15 solves a wrong cubic for the rates on the edge (it has control's events where Miettinen and Nurminen have its "
    "units), so its score numbers are not at the likeliest rates; ours are: tests/core/stats/test_score.py"
)
LEFT_OUT: dict[str, dict[str, str]] = {
    "guardrail.equivalence_tost": {"*": WRONG_CUBIC},
    "guardrail.error_rate_plus_2pp": {"p_noninferior_score": WRONG_CUBIC, "p_breach_score": WRONG_CUBIC},
}
