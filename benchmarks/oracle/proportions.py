"""Rates: scipy's, statsmodels' and GrowthBook's tests and intervals of yes/no units."""

from __future__ import annotations

from scipy.special import ndtr

from analytics.core.ground.totals import Totals
from analytics.core.stats import multiplicity
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.arms.exact import barnard_p, fisher_lower_p, fisher_p
from analytics.core.stats.arms.normal import two_sided_p
from analytics.core.stats.arms.proportion import compare_proportions, newcombe, pooled_z, wilson
from analytics.core.stats.arms.score import ratio_interval
from analytics.core.stats.exploring import omnibus
from analytics.core.stats.reconciling import reconcile
from analytics.core.stats.reconciling import reconcile_rates as rates
from analytics.core.stats.reconciling.reconcile import ReconciledEffect

from . import Adapter, Case

Counts = tuple[int, int, int, int]


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _counts(i: Case) -> Counts:
    return i["x_c"], i["n_c"], i["x_t"], i["n_t"]


def _chi2(i: Case) -> Case:
    x_c, n_c, x_t, n_t = _counts(i)
    plain = rates.pearson_chi2([(x_c, n_c), (x_t, n_t)])
    yates, g = rates.yates_chi2(*_counts(i)), rates.g_test(*_counts(i))
    found: Case = {"chi2": plain and plain.statistic, "p": plain and plain.p}
    found |= {"chi2_yates": yates and yates.statistic, "p_yates": yates and yates.p}
    return found | {"g": g and g.statistic, "p_g": g and g.p}


def _chi2_kx2(i: Case) -> Case:
    arms = [(yes, yes + no) for yes, no in i["table"]]
    found, ours = (
        rates.pearson_chi2(arms),
        omnibus.compare_all([Totals.of_rate(*arm) for arm in arms]),
    )
    return {"chi2": found and found.statistic, "dof": ours.df, "p": found and found.p}


def _ci_2indep(i: Case) -> Case:
    counts, alpha = _counts(i), i.get("alpha", 0.05)
    return {
        "diff_wald": _pair(rates.wald_difference(*counts, alpha)),
        "diff_agresti_caffo": _pair(rates.agresti_caffo(*counts, alpha)),
        "diff_newcomb": _pair(newcombe(*counts, alpha)),
        "ratio_log": _pair(rates.log_ratio(*counts, alpha)),
        "ratio_log_adjusted": _pair(rates.log_ratio(*counts, alpha, added=0.5)),
        "ratio_score": _pair(ratio_interval(*counts, alpha, correction=True)),
    }


def _ci_one_sample(i: Case) -> Case:
    given = i["x"], i["n"], i.get("alpha", 0.05)
    return {
        "normal": _pair(rates.wald_rate(*given)),
        "wilson": _pair(wilson(*given)),
        "beta": _pair(rates.clopper_pearson(*given)),
        "jeffreys": _pair(rates.jeffreys(*given)),
        "agresti_coull": _pair(rates.agresti_coull(*given)),
    }


def _exact(i: Case) -> Case:
    (x_t, x_c), (no_t, no_c) = i["table"]
    counts = (x_c, x_c + no_c, x_t, x_t + no_t)
    found = {"fisher_two": fisher_p(*counts), "fisher_less": fisher_lower_p(*counts)}
    return found | {"barnard_two": barnard_p(*counts), "boschloo_two": rates.boschloo_p(*counts)}


def _growthbook(i: Case) -> Case:
    found = reconcile.growthbook_rate(*_counts(i), i.get("alpha", 0.05))
    return (
        {}
        if found is None
        else {"absolute": _effect(found.absolute), "relative": _effect(found.relative)}
    )


def _effect(found: ReconciledEffect | None) -> Case | None:
    if found is None:
        return None
    return {
        "effect": found.value,
        "se": found.se,
        "ci_low": found.ci.low,
        "ci_high": found.ci.high,
        "p": found.p,
    }


def _pairs(i: Case) -> Case:
    (yes_c, no_c), *arms = i["table"]
    z = [pooled_z(yes_c, yes_c + no_c, yes, yes + no) for yes, no in arms]
    raw = [None if one is None else two_sided_p(one) for one in z]
    return {"p_raw": raw, "p_holm": multiplicity.holm(raw)}


def _ztest(i: Case) -> Case:
    z = pooled_z(*_counts(i))
    return (
        {"z": z}
        if z is None
        else {"z": z, "p_two_sided": two_sided_p(z), "p_larger": float(ndtr(-z))}
    )


def _cookie_r1(i: Case) -> Case:
    x_c, n_c, x_t, n_t = _counts(i)
    c = compare_proportions(Totals.of_rate(x_c, n_c), Totals.of_rate(x_t, n_t))
    return {
        "rate_c": c.control_mean,
        "rate_t": c.treatment_mean,
        "z": c.z,
        "p": c.p,
        "ci_diff_newcomb": _pair(c.ci),
    }


def _spotify(i: Case) -> Case:
    control, *arms = i["groups"]
    found = [rates.unpooled_z(control["x"], control["n"], arm["x"], arm["n"]) for arm in arms]
    p = [None if one is None else one.p for one in found]
    return {
        "diff": [one and one.difference for one in found],
        "p": p,
        "adjusted_p": multiplicity.holm(p),
    }


ADAPTERS: dict[str, Adapter] = {
    "multiple.spotify_ztest_holm": _spotify,
    "proportion.chi2_2x2": _chi2,
    "proportion.chi2_kx2": _chi2_kx2,
    "proportion.ci_2indep": _ci_2indep,
    "proportion.ci_one_sample": _ci_one_sample,
    "proportion.exact_2x2": _exact,
    "proportion.gb_delta_ttest": _growthbook,
    "proportion.pairs_vs_control": _pairs,
    "proportion.ztest_pooled": _ztest,
    "real.cookie_cats_r1": _cookie_r1,
}

NO_HOLM_INTERVAL = (
    "a step-down test has no interval of its own, and theirs is empty; ours are at α/m"
)

LEFT_OUT: dict[str, dict[str, str]] = {
    "multiple.spotify_ztest_holm": {"ci_low": NO_HOLM_INTERVAL, "ci_high": NO_HOLM_INTERVAL},
    "proportion.ci_2indep": {
        "diff_score": "statsmodels 0.15 has a count for a size in Miettinen and Nurminen's cubic: its rates are not the likeliest"
    },
}
