"""Sample sizes and power against R (pwr, rpact), statsmodels, tea-tasting and gbstats."""

from __future__ import annotations

import math

from analytics.core.moments import Moments
from analytics.core.stats import power
from analytics.core.stats.cuped import linearised_with_history
from benchmarks.oracle import Adapter, Case


def _two_proportions(i: Case) -> Case:
    p1, p2, alpha, wanted, ratio = i["p1"], i["p2"], i["alpha"], i["power"], i["ratio_t_over_c"]
    terms: power.Given = {"alpha": alpha, "power": wanted, "ratio": ratio}
    return {
        "n_control_arcsine": power.arcsine_sample(p1, p2, **terms).exact_control,
        "n_control_unpooled": power.unpooled_sample(p1, p2, **terms).exact_control,
        "power_at_1000_per_arm": power.proportion_power(p1, p2, 1000, alpha=alpha, wrong_way=True),
        "n_pooled_one_tail": power.proportion_sample(p1, p2, **terms).exact_control,
    }


def _two_means(i: Case) -> Case:
    d = i["cohens_d"]
    terms: power.Given = {"alpha": i["alpha"], "power": i["power"], "ratio": i["ratio"]}
    return {
        "n_z": power.mean_sample(1.0, d, **terms).exact_control,
        "n_t": power.student_sample(1.0, d, **terms).exact_control,
        "mde_at_5000": power.student_mde(1.0, 5000, **terms),
        "power_at_500": power.student_power(1.0, d, 500, wrong_way=True, **terms),
    }


def _pwr_2p(i: Case) -> Case:
    return {"n_per_arm": power.arcsine_sample(i["p1"], i["p2"], alpha=i["alpha"], power=i["power"]).exact_control}


def _rpact_rates(i: Case) -> Case:
    n = power.proportion_sample(i["p1"], i["p2"], alpha=i["alpha"], power=i["power"]).exact_control
    return {"n_per_arm": n, "n_total": 2 * n}


def _rpact_means(i: Case) -> Case:
    return {"n_total": 2 * power.student_sample(i["sd"], i["delta"], alpha=i["alpha"], power=i["power"]).exact_control}


def _ratio_metric(i: Case) -> Case:
    """y per x of one sample of both arms together; with a covariate, y0 per x0."""
    moments = _moments(i["sample"])
    now = Moments.of_totals(moments.of("y", "d"), ("y", "d"))
    ratio, sd = now.sum("y") / now.sum("d"), power.ratio_sd(now)
    assert sd is not None
    rho = 0.0
    if i["covariate"]:
        past = linearised_with_history(moments)
        rho = (power.correlation(past.known) if past is not None else None) or 0.0
    terms: power.Given = {"alpha": i["alpha"], "power": i["power"], "correlation": rho}
    effect = i["rel_effect"] * ratio
    return {
        "power_at_sample": power.student_power(sd, effect, moments.n / 2, wrong_way=True, **terms),
        "n_obs_total": math.ceil(2 * power.student_sample(sd, effect, **terms).exact_control),
    }


_THEIRS = {"y": "y", "d": "x", "y0": "y0", "d0": "x0"}


def _moments(sample: Case) -> Moments:
    names = tuple(_THEIRS)
    squares, products = sample["sum_sq"], sample["sum_prod"]

    def product(one: str, two: str) -> float:
        a, b = _THEIRS[one], _THEIRS[two]
        return float(squares[a] if a == b else products.get(f"{a}*{b}", products.get(f"{b}*{a}")))

    pairs = [(one, two) for k, one in enumerate(names) for two in names[k:]]
    return Moments(sample["n"], names, tuple(sample["sum"][_THEIRS[name]] for name in names), tuple(product(*pair) for pair in pairs))


def _mid_experiment(i: Case) -> Case:
    """Rates, the lift's standard error by the delta method; units are those of both arms."""
    rate_c, rate_t = i["x_c"] / i["n_c"], i["x_t"] / i["n_t"]
    variance_c, variance_t = rate_c * (1 - rate_c) / i["n_c"], rate_t * (1 - rate_t) / i["n_t"]
    se = math.sqrt(variance_t / rate_c**2 + rate_t**2 * variance_c / rate_c**4)
    found = power.mid_experiment(se, i["target_rel_mde"], alpha=i["alpha"], power=i["power"])
    assert found is not None
    more = (i["n_c"] + i["n_t"]) * found.missing
    # Theirs has no number of users where none are missing.
    return {"additional_users": more or None, "scaling": found.missing, "power_now": found.power}


ADAPTERS: dict[str, Adapter] = {
    "power.mid_experiment": _mid_experiment,
    "power.pwr_2p": _pwr_2p,
    "power.ratio_metric": _ratio_metric,
    "power.rpact_means": _rpact_means,
    "power.rpact_rates": _rpact_rates,
    "power.two_means": _two_means,
    "power.two_proportions": _two_proportions,
}
LEFT_OUT: dict[str, dict[str, str]] = {}
