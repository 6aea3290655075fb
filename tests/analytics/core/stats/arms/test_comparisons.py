"""Proportions and means against control: goldens, properties and totals meant to break them."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.comparison import Comparison, Interval, disagreement, word_of
from analytics.core.stats.arms.mean import compare_means, delta_lift, fieller, welch_t
from analytics.core.stats.arms.normal import t_as_z, two_sided_p
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.exploring.omnibus import compare_all
from tests.places import VECTORS

GOLDEN = json.loads((VECTORS / "stats.json").read_text(encoding="utf-8"))

RATE = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
ROWS = st.lists(st.floats(-1e3, 1e3).map(lambda v: round(v, 3)), min_size=10, max_size=40)


def _rates(x_c: int, n_c: int, x_t: int, n_t: int) -> Comparison:
    return compare_proportions(Totals.of_rate(x_c, n_c), Totals.of_rate(x_t, n_t))


@pytest.mark.parametrize("metric", ["retention_1", "retention_7"])
def test_proportion__cookie_cats__gives_the_published_p(metric: str) -> None:
    data = GOLDEN["cookie_cats"]
    c = _rates(
        data[metric]["gate_30"],
        data["units"]["gate_30"],
        data[metric]["gate_40"],
        data["units"]["gate_40"],
    )
    assert c.p == pytest.approx(data[metric]["p"], abs=5e-5 if metric == "retention_1" else 5e-6)


def test_proportion__cookie_cats_retention_7__gives_the_published_rates() -> None:
    c = _rates(8502, 44700, 8279, 45489)
    assert (round(100 * (c.control_mean or 0), 2), round(100 * (c.treatment_mean or 0), 2)) == (
        19.02,
        18.20,
    )
    assert c.ci is not None and c.ci.high < 0


@pytest.mark.parametrize("metric", ["visit", "conversion"])
def test_proportion__hillstrom__gives_the_rates_of_three_arms(metric: str) -> None:
    data = GOLDEN["hillstrom"]
    for arm in ("Mens E-Mail", "Womens E-Mail"):
        c = _rates(
            data[metric]["No E-Mail"],
            data["units"]["No E-Mail"],
            data[metric][arm],
            data["units"][arm],
        )
        digits = 2 if metric == "visit" else 3
        assert round(100 * (c.treatment_mean or 0), digits) == data["percent"][metric][arm]
        assert round(100 * (c.control_mean or 0), digits) == data["percent"][metric]["No E-Mail"]


def test_mean__hillstrom_spend__gives_the_means_of_three_arms() -> None:
    data = GOLDEN["hillstrom"]
    totals = {arm: Totals(data["units"][arm], *data["spend"][arm]) for arm in data["units"]}
    for arm in ("Mens E-Mail", "Womens E-Mail"):
        c = compare_means(totals["No E-Mail"], totals[arm])
        assert round(c.treatment_mean or 0, 3) == data["mean_spend"][arm]
        assert c.lift_ci is not None and c.lift is not None and c.lift_ci.holds(c.lift)


@pytest.mark.parametrize("row", GOLDEN["printed_p"])
def test_proportion__examples_printed_wrong_elsewhere__give_the_right_score_p(
    row: dict[str, Any],
) -> None:
    found = _rates(row["x_c"], row["n_c"], row["x_t"], row["n_t"]).score_p
    assert found == pytest.approx(row["p"], rel=5e-3)


def test_chi_square__of_four_point_two_one__is_four_percent_and_not_what_was_printed() -> None:
    assert two_sided_p(4.21**0.5) == pytest.approx(0.0402, abs=5e-5)


def test_accuracy__of_two_prompts_printed_with_a_p_of_one_percent__is_far_surer_as_means_and_still_sure_as_rates() -> (
    None
):
    def totals(n: int, mean: float, sd: float) -> Totals:
        return Totals(n, n * mean, (n - 1) * sd**2 + n * mean**2)

    assert compare_means(totals(150, 0.72, 0.15), totals(148, 0.85, 0.12)).p == pytest.approx(
        5e-15, rel=0.1
    )
    assert _rates(108, 150, 126, 148).score_p == pytest.approx(0.0058, rel=0.01)


def test_proportion__small_or_sparse_tables__are_tested_exactly() -> None:
    assert _rates(9, 45, 12, 48).method == "Barnard exact"
    assert _rates(1, 5_000_000, 6, 5_000_000).method == "Fisher exact"
    assert _rates(100, 200, 120, 200).method == "score"


def test_fisher__rare_events_among_millions__is_the_binomial_of_the_events() -> None:
    # Seven events, each equally likely to fall in either arm: P(≤ 1 or ≥ 6) = 2·(1 + 7)/2⁷.
    assert _rates(1, 10**9, 6, 10**9).fisher_p == pytest.approx(0.125, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(RATE, RATE)
def test_proportion__arms_swapped__turns_the_sign_only(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    here, there = _rates(*one, *other), _rates(*other, *one)
    assert here.p == pytest.approx(there.p, rel=1e-6) if here.p is not None else there.p is None
    assert here.difference == pytest.approx(-(there.difference or 0.0))
    assert here.ci is not None and there.ci is not None
    assert (here.ci.low, here.ci.high) == pytest.approx((-there.ci.high, -there.ci.low), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS, st.floats(0.01, 100.0))
def test_mean__values_scaled__scales_the_difference_and_keeps_p(
    a: list[float], b: list[float], scale: float
) -> None:
    plain = compare_means(Totals.of_values(a), Totals.of_values(b))
    scaled = compare_means(
        Totals.of_values([scale * v for v in a]), Totals.of_values([scale * v for v in b])
    )
    assume(plain.p is not None and (plain.se or 0) > 1e-3)
    assert scaled.p == pytest.approx(plain.p, rel=1e-6, abs=1e-9)
    assert scaled.difference == pytest.approx(scale * (plain.difference or 0), rel=1e-6, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS)
def test_mean__from_totals__agrees_with_statsmodels_on_rows(a: list[float], b: list[float]) -> None:
    ours = compare_means(Totals.of_values(a), Totals.of_values(b))
    assume(ours.p is not None and ours.se is not None and ours.se > 1e-3)
    theirs = CompareMeans(DescrStatsW(b), DescrStatsW(a))
    assert ours.p == pytest.approx(theirs.ttest_ind(usevar="unequal")[1], rel=1e-6, abs=1e-12)
    assert ours.ci is not None
    assert (ours.ci.low, ours.ci.high) == pytest.approx(
        theirs.tconfint_diff(usevar="unequal"), rel=1e-6, abs=1e-6
    )
    assert ours.ci.holds(0.0) == (ours.p >= 0.05)  # type: ignore[operator]  # an estimate with an interval has a p


def test_fieller__its_ends__are_the_ratios_just_not_rejected() -> None:
    control, treatment = Totals.of_values(range(1, 41)), Totals.of_values(range(5, 55))
    found = fieller(control, treatment)
    plain = welch_t(control, treatment)
    assert found is not None and plain is not None
    for end in (found.low, found.high):
        at_end = welch_t(control, treatment, factor=1 + end)
        assert at_end is not None
        assert abs(at_end.t) == pytest.approx(2.0, abs=0.05)
    assert delta_lift(control, treatment) is not None


def test_mean__control_mean_not_separated_from_zero__lift_is_unbounded() -> None:
    control = Totals.of_values([-10.0, 11.0] * 20)
    c = compare_means(control, Totals.of_values([5.0, 6.0] * 20))
    assert c.lift is not None and c.lift_ci is None
    assert c.lift_reason is not None and "unbounded" in c.lift_reason
    assert delta_lift(control, Totals.of_values([5.0, 6.0] * 20)) is None


@pytest.mark.parametrize("level", [-1.0, 0.0])
def test_mean__control_mean_not_above_zero__has_a_difference_but_no_lift(level: float) -> None:
    c = compare_means(
        Totals.of_values([level - 1, level + 1] * 10), Totals.of_values([3.0, 4.0] * 10)
    )
    assert c.difference == pytest.approx(3.5 - level)
    assert c.lift is None and c.lift_reason is not None


def test_mean__below_ten_units_in_an_arm__cannot_say() -> None:
    c = compare_means(Totals.of_values(range(9)), Totals.of_values(range(50)))
    assert c.p is None and c.ci is None
    assert c.reason == "control has 9 units; below 10 an arm nothing can be said"


HOSTILE = [
    (0, 0), (0, 1), (1, 1), (0, 2), (2, 2), (0, 10**12), (10**12, 10**12), (1, 10**12), (5 * 10**11, 10**12),
    (10**12 - 1, 10**12), (3, 150), (0, 150), (150, 150), (7, 10**6),
]  # fmt: skip


@pytest.mark.parametrize("control", HOSTILE)
@pytest.mark.parametrize("treatment", HOSTILE)
def test_comparisons__hostile_totals__never_crash_and_never_fake(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    totals = (Totals.of_rate(*control), Totals.of_rate(*treatment))
    for c in (compare_proportions(*totals), compare_means(*totals)):
        _assert_honest(c)
    omnibus = compare_all(totals)
    assert (omnibus.p is None) == (omnibus.reason is not None)


def _assert_honest(c: Comparison) -> None:
    assert (c.p is None) == (c.reason is not None)
    for field in fields(c):
        value = getattr(c, field.name)
        numbers = (
            [value.low, value.high]
            if isinstance(value, Interval)
            else [value]
            if isinstance(value, float)
            else []
        )
        assert all(math.isfinite(v) for v in numbers), field.name
    if c.ci is not None and c.difference is not None:
        assert c.ci.low <= c.difference <= c.ci.high
    if c.lift_ci is not None and c.lift is not None:
        assert c.lift_ci.low <= c.lift <= c.lift_ci.high


def test_t_as_z__large_df__is_t_itself_and_small_df_is_less() -> None:
    assert t_as_z(2.5, 1e9) == pytest.approx(2.5, abs=1e-6)
    assert t_as_z(-2.5, 10) == pytest.approx(-2.152, abs=1e-3)
    assert math.isfinite(t_as_z(1e6, 1e12))


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        ((0, 2000), (1, 200)),
        ((1, 200), (0, 2000)),
        ((19, 585), (112, 2148)),
        ((112, 2148), (19, 585)),
    ],
)
def test_word__where_test_and_interval_disagree__is_unclear_and_says_why(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    found = compare_proportions(Totals.of_rate(*control), Totals.of_rate(*treatment))
    assert (word_of(found, "increase"), word_of(found, "decrease")) == ("unclear", "unclear")
    said = disagreement(found)
    assert said is not None
    assert found.p is not None
    assert f"p = {found.p:.2g}" in said


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([0.01, 0.05, 0.1]),
)
def test_word__of_any_rates__agrees_with_the_p_and_the_interval_beside_it(
    n_c: int, n_t: int, c: float, t: float, alpha: float
) -> None:
    found = compare_proportions(
        Totals.of_rate(round(c * n_c), n_c), Totals.of_rate(round(t * n_t), n_t), alpha
    )
    word = word_of(found, "increase")
    if word in ("better", "worse"):
        assert found.p is not None
        assert found.ci is not None
        assert found.p <= alpha + 1e-9
        assert (found.ci.low > 0) if word == "better" else (found.ci.high < 0)
        assert word_of(found, "decrease") == ("worse" if word == "better" else "better")
    if found.ci is not None and disagreement(found) is not None:
        assert word == "unclear"


def test_word__of_a_mean__is_that_of_its_p() -> None:
    """One formula gives both, so they cannot disagree."""
    for shift in (0.0, 1.5, 3.0, 4.5):
        found = compare_means(
            Totals.of_values(range(10, 30)), Totals.of_values([x + shift for x in range(10, 30)])
        )
        assert disagreement(found) is None
        assert (word_of(found, "increase") == "better") == (found.p is not None and found.p < 0.05)
