"""Means, ratios and CUPED: scipy, statsmodels, R's estimatr, GrowthBook and tea-tasting from the
same totals.
"""

from __future__ import annotations

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.arms.cuped import Covaried, adjusted_t
from analytics.core.stats.arms.mean import compare_means, welch_t
from analytics.core.stats.reconciling import reconcile, robust
from analytics.core.stats.reconciling.reconcile import GrowthBook, ReconciledEffect, TeaTasting

from . import Adapter, Case

OURS = {"y": "y", "x": "d", "y0": "y0", "x0": "d0"}
"""Cases call a ratio's denominator x; ours is d, and x a covariate."""


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _totals(i: Case) -> tuple[Totals, Totals]:
    arms = (i["control"], i["treatment"])
    control, treatment = (Totals(arm["n"], arm["sum"]["y"], arm["sum_sq"]["y"]) for arm in arms)
    return control, treatment


def _covaried(i: Case) -> tuple[Totals, Totals]:
    control, treatment = (
        _moments(i[arm], {"y": "y", "x": "x"}).of("y", "x") for arm in ("control", "treatment")
    )
    return control, treatment


def _ratios(i: Case) -> tuple[UnitMoments, UnitMoments]:
    return _moments(i["control"], OURS), _moments(i["treatment"], OURS)


def _moments(arm: Case, names: dict[str, str]) -> UnitMoments:
    squares, crossed = arm["sum_sq"], arm["sum_prod"]

    def product(one: str, two: str) -> float:
        return float(
            squares[one] if one == two else crossed.get(f"{one}*{two}", crossed.get(f"{two}*{one}"))
        )

    theirs = list(names)
    products = [product(one, two) for k, one in enumerate(theirs) for two in theirs[k:]]
    return UnitMoments(
        arm["n"], tuple(names.values()), tuple(arm["sum"][name] for name in theirs), tuple(products)
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


def _growthbook(found: GrowthBook | None) -> Case:
    return (
        {}
        if found is None
        else {"absolute": _effect(found.absolute), "relative": _effect(found.relative)}
    )


def _tea_tasting(found: TeaTasting | None) -> Case:
    if found is None:
        return {}
    return {
        "control": found.control,
        "treatment": found.treatment,
        "effect_size": found.absolute.value,
        "effect_size_ci_lower": found.absolute.ci.low,
        "effect_size_ci_upper": found.absolute.ci.high,
        "rel_effect_size": found.lift,
        "rel_effect_size_ci_lower": found.lift_ci and found.lift_ci.low,
        "rel_effect_size_ci_upper": found.lift_ci and found.lift_ci.high,
        "pvalue": found.absolute.p,
        "statistic": found.absolute.t,
    }


def _welch(i: Case) -> Case:
    arms = _totals(i)
    welch, student = (
        reconcile.welch(*arms, i.get("alpha", 0.05)),
        reconcile.student(*arms, i.get("alpha", 0.05)),
    )
    found: Case = (
        {}
        if welch is None
        else {"diff": welch.value, "t": welch.t, "p": welch.p, "ci": _pair(welch.ci)}
    )
    return (
        found
        if student is None
        else found
        | {"t_student": student.t, "p_student": student.p, "ci_student": _pair(student.ci)}
    )


def _hillstrom(i: Case) -> Case:
    ours, welch = compare_means(*_totals(i)), welch_t(*_totals(i))
    means = {"mean_c": ours.control_mean, "mean_t": ours.treatment_mean}
    return means | {"diff": ours.difference, "t": welch and welch.t, "p": ours.p}


def _lalonde(i: Case) -> Case:
    ours, student = compare_means(*_totals(i)), reconcile.student(*_totals(i))
    return {"effect": ours.difference, "se_ols": student and student.se, "p_welch": ours.p}


def _regression(i: Case) -> Case:
    c, t = _covaried(i)
    ours = adjusted_t(Covaried(c), Covaried(t))
    theta = reconcile.within_arm_slope(c, t)
    plain = (
        None
        if theta is None
        else reconcile.welch(reconcile.with_slope(c, theta), reconcile.with_slope(t, theta))
    )
    return {
        "ancova": {"effect": plain and plain.value},
        "lin": {"effect": ours and ours.difference},
    }


def _estimatr(i: Case) -> Case:
    """Lin's effect also comes from totals; its error by HC2 needs the rows, which this case
    gives.
    """
    columns = dict(zip(i["columns"], zip(*i["rows"], strict=True), strict=True))
    arms, y, x = columns["t"], columns["y"], columns["x"]
    rows = {arm: [(b, c) for a, b, c in zip(arms, y, x, strict=True) if a == arm] for arm in (0, 1)}
    c, t = (
        Totals.of_values([b for b, _ in rows[arm]], [c for _, c in rows[arm]]) for arm in (0, 1)
    )
    ours, plain = adjusted_t(Covaried(c), Covaried(t)), compare_means(c, t)
    lin, ancova = robust.lin_effect(arms, y, x), robust.ancova_effect(arms, y, x)
    return {
        "lin": {
            "effect": ours and ours.difference,
            "se": lin and lin.se,
            "df": lin and lin.df,
            "p": lin and lin.p,
        },
        "ancova": {
            "effect": ancova and ancova.value,
            "se": ancova and ancova.se,
            "p": ancova and ancova.p,
        },
        "dim": {"effect": plain.difference, "se": plain.se, "p": plain.p, "df": plain.df},
    }


ADAPTERS: dict[str, Adapter] = {
    "cuped.estimatr": _estimatr,
    "cuped.mean_gb": lambda i: _growthbook(
        reconcile.growthbook_cuped(*_covaried(i), i.get("alpha", 0.05))
    ),
    "cuped.mean_tea_tasting": lambda i: _tea_tasting(
        reconcile.tea_tasting_cuped(*_covaried(i), i.get("alpha", 0.05))
    ),
    "cuped.ratio_gb": lambda i: _growthbook(
        reconcile.growthbook_ratio_cuped(*_ratios(i), i.get("alpha", 0.05))
    ),
    "cuped.ratio_tea_tasting": lambda i: _tea_tasting(
        reconcile.tea_tasting_ratio_cuped(*_ratios(i), i.get("alpha", 0.05))
    ),
    "cuped.regression_adjustment": _regression,
    "mean.gb": lambda i: _growthbook(reconcile.growthbook_mean(*_totals(i), i.get("alpha", 0.05))),
    "mean.tea_tasting": lambda i: _tea_tasting(
        reconcile.tea_tasting_mean(*_totals(i), i.get("alpha", 0.05))
    ),
    "mean.welch": _welch,
    "ratio.gb_delta": lambda i: _growthbook(
        reconcile.growthbook_ratio(*_ratios(i), i.get("alpha", 0.05))
    ),
    "ratio.tea_tasting": lambda i: _tea_tasting(
        reconcile.tea_tasting_ratio(*_ratios(i), i.get("alpha", 0.05))
    ),
    "real.hillstrom": _hillstrom,
    "real.lalonde_nsw_dw": _lalonde,
}

LEFT_OUT: dict[str, dict[str, str]] = {}
