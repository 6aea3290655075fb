"""Several hypotheses, and arms' shares of units: R, statsmodels, scipy, gbstats and savvi."""

from __future__ import annotations

import math

from scipy.special import chdtrc

from analytics.core.stats import multiplicity, srm

from . import Adapter, Case


def _adjusted(i: Case) -> Case:
    p = i["p"]
    return {
        "bonferroni": multiplicity.bonferroni(p),
        "sidak": multiplicity.sidak(p),
        "holm-sidak": multiplicity.holm_sidak(p),
        "holm": multiplicity.holm(p),
        "simes-hochberg": multiplicity.hochberg(p),
        "hommel": multiplicity.hommel(p),
        "fdr_bh": multiplicity.benjamini_hochberg(p),
        "fdr_by": multiplicity.benjamini_yekutieli(p),
    }


def _r_adjust(i: Case) -> Case:
    found = _adjusted(i)
    return found | {
        "hochberg": found["simes-hochberg"],
        "BH": found["fdr_bh"],
        "BY": found["fdr_by"],
    }


def _srm(i: Case) -> Case:
    """The plain χ² p, which ours is too unless an arm expects fewer than five units."""
    found = srm.check_shares(i["observed"], i["weights"])
    p = None if found.chi2 is None else float(chdtrc(found.df, found.chi2))
    return {"chi2": found.chi2, "p": p, "p_gbstats": p}


def _sequential_srm(i: Case) -> Case:
    p = math.exp(-srm.log_bayes_factor(i["observed"], i["weights"], i["k"]))
    return {"p": min(1.0, p), "p_unclipped": p}


ADAPTERS: dict[str, Adapter] = {
    "multiple.adjusted_p": _adjusted,
    "multiple.r_p_adjust": _r_adjust,
    "real.cookie_cats_srm": _srm,
    "srm.chi2": _srm,
    "srm.sequential_multinomial": _sequential_srm,
}
LEFT_OUT: dict[str, dict[str, str]] = {}
