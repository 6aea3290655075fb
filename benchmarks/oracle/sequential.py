"""Repeated looks, always-valid bounds, Bayes and bandits: cases from rpact, gbstats, confseq, savvi
and scipy.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy.special import ndtr

from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.batch import ManyTotals
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.exploring import bandit, bayes
from analytics.core.stats.intervals import anytime, mixtures
from analytics.core.stats.reconciling import reconcile
from analytics.core.stats.sequential import group_sequential, spending
from analytics.core.stats.sequential.constant_boundaries import Shape, constant_boundaries

from . import Adapter, Case

SPENDING = {"asOF": spending.OBRIEN_FLEMING, "asP": spending.POCOCK}
CONSTANT: dict[str, Shape] = {"OF": "obrien_fleming", "P": "pocock"}


def _counts(i: Case) -> tuple[Totals, Totals]:
    return Totals.of_rate(i["x_c"], i["n_c"]), Totals.of_rate(i["x_t"], i["n_t"])


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _times(i: Case) -> list[float]:
    return i.get("information") or [(k + 1) / i["looks"] for k in range(i["looks"])]


def _peeking(i: Case) -> Case:
    times = _times(i)
    bound = group_sequential.boundaries([1.0], i.get("alpha", 0.05)).z[0]
    ups, downs = group_sequential.crossing_chances(
        times, [bound] * len(times), [-bound] * len(times)
    )
    return {"fpr": float(ups.sum() + downs.sum())}


def _bounds(i: Case) -> Case:
    sides: Literal[1, 2] = 1 if i["sided"] == 1 else 2
    if i["type"] in CONSTANT:
        found = constant_boundaries(
            len(_times(i)), i.get("alpha", 0.05), sides, CONSTANT[i["type"]]
        )
    else:
        family = SPENDING.get(i["type"]) or spending.power_family(i["gammaA"])
        found = group_sequential.boundaries(_times(i), i.get("alpha", 0.05), sides, spending=family)
    return {
        "critical": list(found.z),
        "stage_p": [float(ndtr(-z)) for z in found.z],
        "alpha_spent": list(found.spent),
    }


def _power_family(i: Case) -> Case:
    family = spending.power_family(i["phi"])
    return {
        "z": list(
            group_sequential.boundaries(
                _times(i), i.get("alpha", 0.05), 1 if i["sides"] == 1 else 2, spending=family
            ).z
        )
    }


def _gavi_rho(i: Case) -> Case:
    return {
        "rho_two_sided": anytime.rho(i.get("alpha", 0.05), i.get("n_star", 5000)),
        "rho_one_sided": anytime.rho(2 * i.get("alpha", 0.05), i.get("n_star", 5000)),
    }


def _gavi_width(i: Case) -> Case:
    args = (math.sqrt(i["s2"] / i["n"]), i["n"], i.get("alpha", 0.05), i.get("n_star", 5000))
    return {"two_sided": anytime.half_width(*args), "one_sided": anytime.one_sided_width(*args)}


def _gavi_proportion(i: Case) -> Case:
    found = reconcile.growthbook_rate(i["x_c"], i["n_c"], i["x_t"], i["n_t"])
    if found is None or found.relative is None:
        return {}
    return {"absolute": _watched(found.absolute, i), "relative": _watched(found.relative, i)}


def _watched(effect: reconcile.ReconciledEffect, i: Case) -> Case:
    """Theirs shows it from the first units on; ours not below 100."""
    given = effect.se, i["n_c"] + i["n_t"], i.get("alpha", 0.05), i.get("n_star", 5000)
    half, log_ratio = anytime.half_width(*given), anytime.log_ratio(effect.value, *given)
    shown = {
        "ci_low": effect.value - half,
        "ci_high": effect.value + half,
        "p": math.exp(min(0.0, -log_ratio)),
    }
    return {"effect": effect.value, "se": effect.se} | shown


def _log_bf(i: Case) -> Case:
    given = i["s"], i["v"], i["v_opt"], i.get("alpha_opt", 0.05)
    return {
        "log_bf_two_sided": mixtures.normal_log_mixture(*given),
        "log_bf_one_sided": mixtures.one_sided_normal_log_mixture(*given),
    }


def _normal_bound(i: Case) -> Case:
    given = i["v"], i["v_opt"], i.get("alpha", 0.05), i.get("alpha_opt", 0.05)
    return {
        "two_sided": mixtures.normal_bound(*given),
        "one_sided": mixtures.one_sided_normal_bound(*given),
    }


def _gamma_poisson(i: Case) -> Case:
    alphas = i.get("alpha", 0.05), i.get("alpha_opt", 0.05)
    return {
        "log_mixture": mixtures.gamma_poisson_log_mixture(
            i["s"], i["v"], i["v_opt"], i["c"], alphas[1]
        ),
        "bound": mixtures.gamma_poisson_bound(i["v"], i["v_opt"], i["c"], *alphas),
    }


def _bernoulli(i: Case) -> Case:
    return {
        "ci": _pair(
            mixtures.rate_sequence(
                i["successes"], i["n"], i.get("alpha", 0.05), i.get("t_opt", 1000)
            )
        )
    }


def _linear_model(i: Case) -> Case:
    return {"log_bf": mixtures.linear_model_log_mixture(i["t2"], i["nu"], i["phi"], i["z2"])}


def _beta_binomial(i: Case) -> Case:
    a, b = i.get("prior", (1, 1))
    found = bayes.believe_rates(*_counts(i), prior=(a, b))
    if found.outlook is None:
        return {}
    seen = found.outlook
    return {
        "chance_to_beat": seen.chance_to_win,
        "loss_ship_treatment": seen.risk_if_shipped,
        "loss_keep_control": seen.risk_if_kept,
        "ci_t": _pair(found.treatment),
    }


def _gb_effect(i: Case) -> Case:
    """The prior is on the lift; for an absolute difference it is carried over to the metric's
    units.
    """
    found = reconcile.growthbook_rate(i["x_c"], i["n_c"], i["x_t"], i["n_t"])
    if found is None or found.relative is None:
        return {}
    relative, given = i["difference"] == "relative", i["prior"]
    prior = (
        bayes.NormalPrior(given["mean"], math.sqrt(given["variance"])) if given["proper"] else None
    )
    if prior is not None and not relative:
        prior = prior.in_units_of(i["x_c"] / i["n_c"])
    effect = found.relative if relative else found.absolute
    belief = bayes.update(effect.value, effect.se, prior)
    return {"normal": _as_outlook(belief, "increase"), "inverse": _as_outlook(belief, "decrease")}


def _as_outlook(belief: bayes.Posterior, better: bayes.Better) -> Case:
    seen = bayes.outlook(belief, better)
    return {
        "chance_to_win": seen.chance_to_win,
        "effect": belief.mean,
        "sd": belief.sd,
        "ci": _pair(belief.interval()),
        "risk_keep_control": seen.risk_if_kept,
        "risk_ship_treatment": seen.risk_if_shipped,
    }


def _best_prob(i: Case) -> Case:
    return {"best_prob": bandit.best_chances(i["mean"], i["var_of_mean"]).tolist()}


def _thompson(i: Case) -> Case:
    arms = ManyTotals(
        *(np.array([[arm[key] for arm in i["arms"]]]) for key in ("n", "sum", "sum_sq"))
    )
    best = bandit.best_chances(arms.mean[0], arms.variance[0] / arms.n[0])
    return {
        "best_prob": best.tolist(),
        "weights": bandit.with_floors(best, [i["floor"]] * len(best)).tolist(),
    }


ADAPTERS: dict[str, Adapter] = {
    "aa.peeking_false_positive": _peeking,
    "bandit.gb_thompson_batch": _thompson,
    "bandit.normal_best_prob_exact": _best_prob,
    "bayes.beta_binomial": _beta_binomial,
    "bayes.gb_effect": _gb_effect,
    "sequential.bernoulli_cs": _bernoulli,
    "sequential.gamma_poisson": _gamma_poisson,
    "sequential.gavi_halfwidth": _gavi_width,
    "sequential.gavi_proportion": _gavi_proportion,
    "sequential.gavi_rho": _gavi_rho,
    "sequential.group_bounds": _bounds,
    "sequential.group_power_family": _power_family,
    "sequential.linear_model_log_bf": _linear_model,
    "sequential.msprt_log_bf": _log_bf,
    "sequential.normal_mixture_bound": _normal_bound,
}
LEFT_OUT: dict[str, dict[str, str]] = {}
