"""What the nightly scan says of totals: effects that wear, segments, drift, interactions."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from analytics.core.ground.encoding import plain, restored
from analytics.core.ground.totals import Totals
from analytics.core.scans import scans
from analytics.core.scans.nights import night_of
from analytics.core.scans.scans import Baseline, ScanResult
from analytics.core.stats.exploring.interactions import Pair


def spread(n: int, mean: float, variance: float = 1.0) -> Totals:
    return Totals(n, n * mean, n * (variance + mean * mean))


def test_night_of__before_two_in_the_morning__is_the_night_before() -> None:
    assert night_of(datetime(2026, 3, 3, 1, 59, tzinfo=UTC)) == date(2026, 3, 2)
    assert night_of(datetime(2026, 3, 3, 2, 0, tzinfo=UTC)) == date(2026, 3, 3)


def test_wearing__the_first_week_gained_more__is_novelty() -> None:
    contrasts = {"control": spread(1000, 0.0), "treatment": spread(1000, 0.2)}
    [one] = scans.read_wearing("orders", "increase", "control", contrasts, 0.05)
    [finding] = scans.findings_of(ScanResult(wearing=(one,)))
    assert one.found.says == "wears off"
    assert (finding.code, finding.severity) == ("novelty", "yellow") and finding.actions


def test_wearing__less_is_better__a_saving_that_shrinks_is_novelty_too() -> None:
    contrasts = {"control": spread(1000, 0.0), "treatment": spread(1000, -0.2)}
    [better] = scans.read_wearing("cost", "decrease", "control", contrasts, 0.05)
    [worse] = scans.read_wearing("orders", "increase", "control", contrasts, 0.05)
    assert (better.found.says, worse.found.says) == ("wears off", "grows")


def test_wearing__nothing_proven__says_nothing() -> None:
    wearing = scans.read_wearing(
        "orders",
        "increase",
        "control",
        {"control": spread(1000, 0.0), "treatment": spread(1000, 0.01)},
        0.05,
    )
    assert scans.findings_of(ScanResult(wearing=wearing)) == ()


def rates(control: int, treatment: int, n: int = 2000) -> dict[str, Totals]:
    return {"control": Totals.of_rate(control, n), "treatment": Totals.of_rate(treatment, n)}


def test_breakdowns__one_value_gains_and_the_other_loses__differ() -> None:
    tables = {
        "language": {"de": rates(200, 300), "en": rates(300, 200)},
        "plan": {"free": rates(200, 210), "pro": rates(200, 205)},
    }
    found = scans.read_breakdowns("apply", "proportion", "control", tables, 0.05)
    [finding] = scans.findings_of(ScanResult(breakdowns=found))
    assert [one.by for one in found] == ["language", "plan"]
    assert (
        finding.code == "segments"
        and "language" in finding.evidence
        and "de +0.05" in finding.evidence
    )


def test_breakdowns__q_is_adjusted_over_all_that_was_asked() -> None:
    edge = {"de": rates(200, 235), "en": rates(200, 190)}
    alike = {"a": rates(200, 210), "b": rates(200, 211)}
    [alone] = scans.read_breakdowns("apply", "proportion", "control", {"language": edge}, 0.05)
    among, *_ = scans.read_breakdowns(
        "apply",
        "proportion",
        "control",
        {"language": edge, **{f"x{i}": alike for i in range(4)}},
        0.05,
    )
    assert alone.adjusted_p == alone.found.heterogeneity.p
    assert (
        among.adjusted_p is not None
        and alone.adjusted_p is not None
        and among.adjusted_p > 2 * alone.adjusted_p
    )


def test_drift__words_unknown_to_the_baseline_go_to_its_last_place() -> None:
    baseline = Baseline("covariates", "language", (500, 500, 20), words=("de", "en", "…"))
    counts = scans.in_words(baseline, {"de": 200, "fr": 500, "it": 100, "…": 5})
    drifting = scans.read_drift(baseline, counts)
    [finding] = scans.findings_of(ScanResult(drift=(drifting,)))
    assert counts == (200, 0, 605)
    assert (finding.code, finding.severity) == (
        "drift",
        "red",
    ) and "language (covariates): PSI" in finding.evidence


def test_drift__edges_leave_out_deciles_that_hold_the_largest() -> None:
    assert scans.baseline_edges((0, 0, 0, 1, 1, 2, 3, 3, 3, 3)) == (0, 1, 2)
    assert scans.baseline_edges(()) == ()


def pair(first: str, second: str, both: float) -> Pair:
    cells = {
        (a, b): spread(500, both if (a, b) == ("t", "t") else 0.0)
        for a in ("c", "t")
        for b in ("c", "t")
    }
    return Pair(first, second, ("c", "c"), cells)


def test_pairs__an_alert_is_told_to_both_of_its_experiments_alone() -> None:
    pairs = scans.read_pairs(
        [("orders", pair("one", "two", 0.6)), ("orders", pair("one", "three", 0.0))]
    )
    assert [len(scans.pair_findings(pairs, key)) for key in ("one", "two", "three")] == [1, 1, 0]
    [finding] = scans.pair_findings(pairs, "two")
    assert (
        finding.severity == "red" and "one × two" in finding.evidence and "+0.6" in finding.evidence
    )


def test_result__stored_and_restored__is_the_same() -> None:
    wearing = scans.read_wearing(
        "orders",
        "increase",
        "control",
        {"control": spread(1000, 0.0), "treatment": spread(1000, 0.2)},
        0.05,
    )
    tables = {"language": {"de": rates(200, 300), "en": rates(300, 200)}}
    breakdowns = scans.read_breakdowns("apply", "proportion", "control", tables, 0.05)
    drift = (scans.read_drift(Baseline("covariates", "age", (50, 50), edges=(30.0,)), (10, 90)),)
    result = ScanResult(
        scans.findings_of(ScanResult(wearing=wearing)), breakdowns, wearing, drift, ("nothing",)
    )
    assert restored(plain(result), ScanResult) == result


def mixed(
    first: tuple[int, int], second: tuple[int, int], others: tuple[int, int]
) -> dict[str, Totals]:
    return {
        "free": Totals.of_rate(*first),
        "pro": Totals.of_rate(*second),
        "others": Totals.of_rate(*others),
    }


def test_strata__arms_with_another_mix__are_compared_as_if_they_had_the_same() -> None:
    """Within each stratum the rates are alike; treatment has more paying units, so the plain rates
    differ by 12 points.
    """
    arms = {
        "control": mixed((60, 600), (120, 200), (20, 100)),
        "treatment": mixed((30, 300), (300, 500), (20, 100)),
    }
    tables = {
        "plan": {
            value: {arm: parts[value] for arm, parts in arms.items()} for value in ("free", "pro")
        }
    }
    whole = {arm: parts["free"] + parts["pro"] + parts["others"] for arm, parts in arms.items()}
    (found,) = scans.read_strata("apply", "proportion", "control", tables, whole, 0.05)
    assert (found.by, found.arm, found.found.strata) == (
        "plan",
        "treatment",
        ("free", "others", "pro"),
    )
    assert found.found.weights == pytest.approx((0.5, 200 / 1800, 700 / 1800))
    assert found.found.comparison.difference == pytest.approx(0.0, abs=1e-12)
    assert found.found.comparison.p == pytest.approx(1.0)


def test_strata__of_a_mean__agree_with_a_regression_on_the_strata() -> None:
    """With one treatment effect and equal shares of arms in every stratum, weighing is what dummies
    do (statsmodels).
    """
    rng = np.random.default_rng(3)
    stratum, treated = np.repeat([0, 1, 2], 200), np.tile([0, 1], 300)
    y = 5.0 * stratum + 0.3 * treated + rng.standard_normal(600)
    arms = {"control": 0, "treatment": 1}
    tables = {
        "plan": {
            value: {
                arm: Totals.of_values(y[(stratum == place) & (treated == one)].tolist())
                for arm, one in arms.items()
            }
            for place, value in enumerate(("free", "pro"))
        }
    }
    whole = {arm: Totals.of_values(y[treated == one].tolist()) for arm, one in arms.items()}
    (found,) = scans.read_strata("spent", "mean", "control", tables, whole, 0.05)
    dummies = np.column_stack([stratum == 0, stratum == 1, stratum == 2, treated]).astype(float)
    model = OLS(y, dummies).fit()
    comparison = found.found.comparison
    assert comparison.difference == pytest.approx(float(model.params[3]), abs=1e-9)
    assert comparison.se == pytest.approx(float(model.bse[3]), rel=0.02)


def test_strata__kinds_without_one_number_a_unit__are_not_asked() -> None:
    assert scans.read_strata("errors", "ratio", "control", {"plan": {}}, {}, 0.05) == ()
