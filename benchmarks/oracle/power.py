"""Sample sizes and power against R (pwr, rpact), statsmodels, tea-tasting and gbstats."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import nctdtr, stdtrit

from analytics.core.ground.moments import UnitMoments
from analytics.core.stats import power
from analytics.core.stats.arms.cuped import linearised_with_history
from benchmarks.oracle import Adapter, Case


def _two_proportions(i: Case) -> Case:
    p1, p2, alpha, wanted, ratio = (
        i["p1"],
        i["p2"],
        i.get("alpha", 0.05),
        i.get("power", 0.8),
        i.get("ratio_t_over_c", 1.0),
    )
    terms: power.Given = {"alpha": alpha, "power": wanted, "ratio": ratio}
    return {
        "n_control_arcsine": _either_way(1.0, power.arcsine_effect(p1, p2), terms),
        "n_control_unpooled": power.unpooled_sample(p1, p2, **terms).exact_control,
        "power_at_1000_per_arm": power.proportion_power(p1, p2, 1000, alpha=alpha, wrong_way=True),
        "n_pooled_one_tail": power.proportion_sample(p1, p2, **terms).exact_control,
    }


def _two_means(i: Case) -> Case:
    d = abs(i["cohens_d"])
    terms: power.Given = {
        "alpha": i.get("alpha", 0.05),
        "power": i.get("power", 0.8),
        "ratio": i.get("ratio", 1.0),
    }
    return {
        "n_z": _either_way(1.0, d, terms),
        "n_t": _either_way(1.0, d, terms, student=True),
        "mde_at_5000": _statsmodels_mde(5000, terms),
        "power_at_500": power.student_power(1.0, d, 500, wrong_way=True, **terms),
    }


def _either_way(sd: float, effect: float, terms: power.Given, student: bool = False) -> float:
    """Control's size by calculators that count a significant result in the wrong direction as
    found; planning does not.
    """
    planned = power.student_sample if student else power.mean_sample
    chance = power.student_power if student else power.mean_power
    most = planned(sd, effect, **terms).exact_control
    fewest = max(most / 1000, 3 / (1 + terms["ratio"]) if student else 0.0)

    def short(n: float) -> float:
        return chance(sd, effect, n, wrong_way=True, **terms) - terms["power"]

    return (
        float(brentq(short, fewest, most, xtol=1e-9, rtol=1e-13))
        if short(fewest) < 0 < short(most)
        else most
    )


def _statsmodels_mde(n: int, terms: power.Given) -> float:
    """Where statsmodels' search for the smallest effect stops: up to 1e-5 beside it
    (``power.student_mde``).

    Which way depends on every step, so also on where scipy's noncentral t has no answer, which it
    takes for infinite.
    """
    ratio, wanted = terms["ratio"], terms["power"]
    df = n * (1 + ratio) - 2
    critical = float(-stdtrit(df, terms["alpha"] / 2))

    def short(effect: float) -> float:
        shift = effect * math.sqrt(n * ratio / (1 + ratio))
        found = 1 - float(nctdtr(df, shift, critical)) + float(nctdtr(df, shift, -critical))
        return math.inf if math.isnan(found) else found - wanted

    return float(brentq(short, 1e-8, 1.0, xtol=1e-5))


def _pwr_2p(i: Case) -> Case:
    terms: power.Given = {"alpha": i.get("alpha", 0.05), "power": i.get("power", 0.8), "ratio": 1.0}
    return {"n_per_arm": _either_way(1.0, power.arcsine_effect(i["p1"], i["p2"]), terms)}


def _rpact_rates(i: Case) -> Case:
    n = power.proportion_sample(
        i["p1"], i["p2"], alpha=i.get("alpha", 0.05), power=i.get("power", 0.8)
    ).exact_control
    return {"n_per_arm": n, "n_total": 2 * n}


def _rpact_means(i: Case) -> Case:
    return {
        "n_total": 2
        * power.student_sample(
            i["sd"], i["delta"], alpha=i.get("alpha", 0.05), power=i.get("power", 0.8)
        ).exact_control
    }


def _ratio_metric(i: Case) -> Case:
    """y per x of one sample of both arms together; with a covariate, y0 per x0."""
    moments = _moments(i["sample"])
    now = UnitMoments.of_totals(moments.of("y", "d"), ("y", "d"))
    ratio, sd = now.sum("y") / now.sum("d"), power.ratio_sd(now)
    assert sd is not None
    rho = 0.0
    if i["covariate"]:
        past = linearised_with_history(moments)
        rho = (power.correlation(past.known) if past is not None else None) or 0.0
    terms: power.Given = {
        "alpha": i.get("alpha", 0.05),
        "power": i.get("power", 0.8),
        "correlation": rho,
    }
    effect = i["rel_effect"] * ratio
    return {
        "power_at_sample": power.student_power(sd, effect, moments.n / 2, wrong_way=True, **terms),
        "n_obs_total": math.ceil(2 * power.student_sample(sd, effect, **terms).exact_control),
    }


_THEIRS = {"y": "y", "d": "x", "y0": "y0", "d0": "x0"}


def _moments(sample: Case) -> UnitMoments:
    names = tuple(_THEIRS)
    squares, products = sample["sum_sq"], sample["sum_prod"]

    def product(one: str, two: str) -> float:
        a, b = _THEIRS[one], _THEIRS[two]
        return float(squares[a] if a == b else products.get(f"{a}*{b}", products.get(f"{b}*{a}")))

    pairs = [(one, two) for k, one in enumerate(names) for two in names[k:]]
    return UnitMoments(
        sample["n"],
        names,
        tuple(sample["sum"][_THEIRS[name]] for name in names),
        tuple(product(*pair) for pair in pairs),
    )


def _mid_experiment(i: Case) -> Case:
    """Rates, the lift's standard error by the delta method; units are those of both arms."""
    rate_c, rate_t = i["x_c"] / i["n_c"], i["x_t"] / i["n_t"]
    variance_c, variance_t = rate_c * (1 - rate_c) / i["n_c"], rate_t * (1 - rate_t) / i["n_t"]
    se = math.sqrt(variance_t / rate_c**2 + rate_t**2 * variance_c / rate_c**4)
    found = power.mid_experiment(
        se, i["target_rel_mde"], alpha=i.get("alpha", 0.05), power=i.get("power", 0.8)
    )
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
