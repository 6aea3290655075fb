"""Quantiles: GrowthBook's p95 over events and over clustered events, scipy's one-sample
interval.
"""

from __future__ import annotations

from typing import Any

from scipy.special import stdtr, stdtrit

from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.mean import WelchT
from analytics.core.stats.arms.quantile import BRACKET, clustered_sd, order_interval
from analytics.core.stats.exploring.estimates import IndependentEstimate, contrast, delta_lift
from benchmarks.oracle import Adapter, Case


def _effect(found: WelchT | None, alpha: float) -> dict[str, float | None]:
    if found is None:
        return dict.fromkeys(("effect", "se", "ci_low", "ci_high", "p"))
    half = float(-stdtrit(found.df, alpha / 2)) * found.se
    return {
        "effect": found.difference,
        "se": found.se,
        "ci_low": found.difference - half,
        "ci_high": found.difference + half,
        "p": float(2 * stdtr(found.df, -abs(found.t))),
    }


def _answer(control: IndependentEstimate, treatment: IndependentEstimate, alpha: float) -> Case:
    return {
        "absolute": _effect(contrast(control, treatment), alpha),
        "relative": _effect(delta_lift(control, treatment), alpha),
    }


def _estimate(
    arm: dict[str, Any], value: float, low: float, high: float, inflation: float = 1.0
) -> IndependentEstimate:
    """GrowthBook brackets q̂ as if n* rows were independent, and counts degrees of freedom by rows,
    not by clusters.
    """
    n = arm["n"]
    sd = (high - low) / (2 * BRACKET)
    return IndependentEstimate(value, sd**2 * arm["n_star"] / n * (n - 1) / n * inflation, n - 1)


def _events(i: Case) -> Case:
    arms = [
        _estimate(i[name], *(i[name][key] for key in ("q", "lower", "upper")))
        for name in ("control", "treatment")
    ]
    return _answer(arms[0], arms[1], i.get("alpha", 0.05))


def _clustered_arm(arm: dict[str, Any], level: float) -> IndependentEstimate:
    """Theirs multiplies the independent variance by how much more the share varies between clusters
    than between rows.
    """
    sums = (
        arm["main_sum"],
        arm["main_sum_squares"],
        arm["denominator_sum"],
        arm["denominator_sum_squares"],
    )
    share_sd = clustered_sd(Totals(arm["n_clusters"], *sums, arm["main_denominator_sum_product"]))
    assert share_sd is not None
    inflation = share_sd**2 / (level * (1 - level) / arm["n"])
    return _estimate(
        arm, arm["quantile_hat"], arm["quantile_lower"], arm["quantile_upper"], inflation
    )


def _clustered(i: Case) -> Case:
    control, treatment = (
        _clustered_arm(i[name], i[name]["nu"]) for name in ("control", "treatment")
    )
    return _answer(control, treatment, i.get("alpha", 0.05))


def _one_sample(i: Case) -> Case:
    low, high = order_interval(i["x"], i["p"], i["confidence"])
    return {"low": low, "high": high}


ADAPTERS: dict[str, Adapter] = {
    "quantile.gb_clustered_p95": _clustered,
    "quantile.gb_event": _events,
    "quantile.one_sample_ci": _one_sample,
}

LEFT_OUT: dict[str, dict[str, str]] = {
    "quantile.anytime_ab_p": {
        "*": "assumes independent rows, and one user's requests are alike; the always-on display uses the clustered error instead"
    },
}
