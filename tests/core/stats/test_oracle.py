"""Agreement with other people's statistics: numbers from R (rpact, stats), statsmodels, scipy and gbstats."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.special import ndtr, stdtr

from analytics.core.stats import anytime, group_sequential, multiplicity, omnibus, power, srm
from analytics.core.stats.exact import barnard_p, fisher_p
from analytics.core.stats.mean import compare_means, welch_t
from analytics.core.stats.normal import two_sided_p
from analytics.core.stats.proportion import compare_proportions, newcombe, pooled_z, wilson
from analytics.core.stats.score import ratio_interval, ratio_score
from analytics.core.totals import Totals

VECTORS = Path(__file__).parents[2] / "vectors" / "stats_oracle.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]

Case = dict[str, Any]
"""One case's inputs, or the part of the expected answer that we compute."""


def _totals(arm: Case) -> Totals:
    return Totals(arm["n"], arm["sum"]["y"], arm["sum_sq"]["y"])


def _counts(i: Case) -> tuple[int, int, int, int]:
    return i["x_c"], i["n_c"], i["x_t"], i["n_t"]


def _pair(interval: Any) -> list[float]:
    return [interval.low, interval.high]


def _peeking(i: Case) -> Case:
    looks = i["looks"]
    bound = group_sequential.boundaries([1.0], i["alpha"]).z[0]
    ups, downs = group_sequential.crossing_chances([(k + 1) / looks for k in range(looks)], [bound] * looks, [-bound] * looks)
    return {"fpr": float(ups.sum() + downs.sum())}


def _bounds(i: Case) -> Case:
    times = i.get("information") or [(k + 1) / i["looks"] for k in range(i["looks"])]
    found = group_sequential.boundaries(times, i["alpha"], i["sided"])
    return {"critical": list(found.z)}


def _ci_2indep(i: Case) -> Case:
    alpha, counts = i["alpha"], _counts(i)
    return {"diff_newcomb": _pair(newcombe(*counts, alpha)), "ratio_score": _pair(ratio_interval(*counts, alpha, correction=True))}


def _one_sample(i: Case) -> Case:
    return {"wilson": _pair(wilson(i["x"], i["n"], i["alpha"]))}


def _chi2(i: Case) -> Case:
    x_c, n_c, x_t, n_t = _counts(i)
    found = omnibus.compare_all([Totals.of_rate(x_c, n_c), Totals.of_rate(x_t, n_t)])
    return {"chi2": found.chi2, "p": found.p}


def _chi2_kx2(i: Case) -> Case:
    found = omnibus.compare_all([Totals.of_rate(yes, yes + no) for yes, no in i["table"]])
    return {"chi2": found.chi2, "dof": found.df, "p": found.p}


def _exact(i: Case) -> Case:
    (x_t, x_c), (no_t, no_c) = i["table"]
    counts = (x_c, x_c + no_c, x_t, x_t + no_t)
    return {"fisher_two": fisher_p(*counts), "barnard_two": barnard_p(*counts)}


def _ztest(i: Case) -> Case:
    z = pooled_z(*_counts(i))
    assert z is not None
    return {"z": z, "p_two_sided": two_sided_p(z)}


def _pairs(i: Case) -> Case:
    (yes_c, no_c), *arms = i["table"]
    raw = [two_sided_p(pooled_z(yes_c, yes_c + no_c, yes, yes + no) or 0.0) for yes, no in arms]
    return {"p_raw": raw, "p_holm": multiplicity.holm(raw)}


def _welch(i: Case) -> Case:
    c = compare_means(_totals(i["control"]), _totals(i["treatment"]), i["alpha"])
    welch = welch_t(_totals(i["control"]), _totals(i["treatment"]))
    assert welch is not None
    return {"diff": c.difference, "t": welch.t, "p": c.p, "ci": _pair(c.ci)}


def _hillstrom(i: Case) -> Case:
    c = compare_means(_totals(i["control"]), _totals(i["treatment"]))
    welch = welch_t(_totals(i["control"]), _totals(i["treatment"]))
    assert welch is not None
    return {"mean_c": c.control_mean, "mean_t": c.treatment_mean, "diff": c.difference, "t": welch.t, "p": c.p}


def _lalonde(i: Case) -> Case:
    c = compare_means(_totals(i["control"]), _totals(i["treatment"]))
    return {"effect": c.difference, "p_welch": c.p}


def _cookie_r1(i: Case) -> Case:
    x_c, n_c, x_t, n_t = _counts(i)
    c = compare_proportions(Totals.of_rate(x_c, n_c), Totals.of_rate(x_t, n_t))
    return {"rate_c": c.control_mean, "rate_t": c.treatment_mean, "z": c.z, "p": c.p, "ci_diff_newcomb": _pair(c.ci)}


def _adjusted(i: Case) -> Case:
    return {"holm": multiplicity.holm(i["p"]), "fdr_bh": multiplicity.benjamini_hochberg(i["p"])}


def _r_adjust(i: Case) -> Case:
    return {"holm": multiplicity.holm(i["p"]), "BH": multiplicity.benjamini_hochberg(i["p"])}


def _spotify(i: Case) -> Case:
    control, *arms = i["groups"]
    found = [welch_t(Totals.of_rate(control["x"], control["n"]), Totals.of_rate(a["x"], a["n"])) for a in arms]
    return {"diff": [f.difference for f in found if f]}


def _srm(i: Case) -> Case:
    found = srm.check_shares(i["observed"], i["weights"])
    return {"chi2": found.chi2, "p": found.p}


def _sequential_srm(i: Case) -> Case:
    return {"p_unclipped": math.exp(-srm.log_bayes_factor(i["observed"], i["weights"], i["k"]))}


def _two_proportions(i: Case) -> Case:
    n = power.proportion_sample(i["p1"], i["p2"], alpha=i["alpha"], power=i["power"], ratio=i["ratio_t_over_c"])
    return {"n_pooled_one_tail": n.exact_control}


def _rates(i: Case) -> Case:
    n = power.proportion_sample(i["p1"], i["p2"], alpha=i["alpha"], power=i["power"])
    return {"n_per_arm": n.exact_control, "n_total": 2 * n.exact_control}


def _two_means(i: Case) -> Case:
    n = power.mean_sample(1.0, i["cohens_d"], alpha=i["alpha"], power=i["power"], ratio=i["ratio"])
    return {"n_z": n.exact_control}


def _gavi_rho(i: Case) -> Case:
    return {"rho_two_sided": anytime.rho(i["alpha"], i["n_star"]), "rho_one_sided": anytime.rho(2 * i["alpha"], i["n_star"])}


def _gavi_width(i: Case) -> Case:
    se = math.sqrt(i["s2"] / i["n"])
    args = (se, i["n"], i["alpha"], i["n_star"])
    return {"two_sided": anytime.half_width(*args), "one_sided": anytime.one_sided_width(*args)}


def _gavi_proportion(i: Case) -> Case:
    x_c, n_c, x_t, n_t = _counts(i)
    c = compare_proportions(Totals.of_rate(x_c, n_c), Totals.of_rate(x_t, n_t))
    assert c.difference is not None and c.se is not None
    shown = anytime.interval(c.difference, c.se, n_c + n_t, i["alpha"], i["n_star"])
    p = anytime.p_value(c.difference, c.se, n_c + n_t, i["alpha"], i["n_star"])
    assert shown is not None
    return {"absolute": {"effect": c.difference, "se": c.se, "ci_low": shown.low, "ci_high": shown.high, "p": p}}


def _error_rate(i: Case) -> Case:
    """The Wald numbers; the case's score numbers rest on a wrong cubic (see test_score.py)."""
    x_c, n_c, x_t, n_t = _counts(i)
    c = compare_proportions(Totals.of_rate(x_c, n_c), Totals.of_rate(x_t, n_t))
    assert c.difference is not None and c.se is not None
    z = (c.difference - i["margin"]) / c.se
    return {"p_noninferior_wald": float(ndtr(z)), "p_breach_wald": float(ndtr(-z))}


def _optout(i: Case) -> Case:
    z = ratio_score(*_counts(i), i["ratio_margin"]).z
    assert z is not None
    return {"p_smaller_score": float(ndtr(z)), "p_larger_score": float(ndtr(-z))}


def _cost(i: Case) -> Case:
    welch = welch_t(_totals(i["control"]), _totals(i["treatment"]), factor=i["ratio_margin"])
    assert welch is not None
    return {"p_noninferior": float(stdtr(welch.df, welch.t)), "p_breach": float(stdtr(welch.df, -welch.t))}


OURS: dict[str, Callable[[Case], Case]] = {
    "aa.peeking_false_positive": _peeking,
    "guardrail.cost_relative_margin": _cost,
    "guardrail.error_rate_plus_2pp": _error_rate,
    "guardrail.optout_plus_10pct_relative": _optout,
    "mean.welch": _welch,
    "multiple.adjusted_p": _adjusted,
    "multiple.r_p_adjust": _r_adjust,
    "multiple.spotify_ztest_holm": _spotify,
    "power.rpact_rates": _rates,
    "power.two_means": _two_means,
    "power.two_proportions": _two_proportions,
    "proportion.chi2_2x2": _chi2,
    "proportion.chi2_kx2": _chi2_kx2,
    "proportion.ci_2indep": _ci_2indep,
    "proportion.ci_one_sample": _one_sample,
    "proportion.exact_2x2": _exact,
    "proportion.pairs_vs_control": _pairs,
    "proportion.ztest_pooled": _ztest,
    "real.cookie_cats_r1": _cookie_r1,
    "real.cookie_cats_srm": _srm,
    "real.hillstrom": _hillstrom,
    "real.lalonde_nsw_dw": _lalonde,
    "sequential.gavi_halfwidth": _gavi_width,
    "sequential.gavi_proportion": _gavi_proportion,
    "sequential.gavi_rho": _gavi_rho,
    "sequential.group_bounds": _bounds,
    "srm.chi2": _srm,
    "srm.sequential_multinomial": _sequential_srm,
}


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_statistics__case_with_known_answer__agrees(case: Case) -> None:
    found = OURS[case["method"]](case["inputs"])
    _agree(found, case["expected"], case["tolerance"], case["id"])


def _agree(found: Any, expected: Any, tolerance: dict[str, float], where: str) -> None:
    if isinstance(found, dict):
        assert found, where
        for key, value in found.items():
            _agree(value, expected[key], tolerance, f"{where}.{key}")
    elif isinstance(found, list):
        assert len(found) == len(expected), where
        for k, value in enumerate(found):
            _agree(value, expected[k], tolerance, f"{where}[{k}]")
    else:
        assert found == pytest.approx(expected, rel=tolerance["rtol"], abs=tolerance["atol"]), where
