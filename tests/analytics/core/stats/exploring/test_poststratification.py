"""Post-stratification: regression on rows as the judge, merging by hand, coverage, and nothing
where nothing can be said.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.exploring.poststratification import Stratum, merge, post_stratify

EMPTY = Totals(0, 0.0, 0.0)


def _stratum(key: str, control: list[float], treatment: list[float]) -> Stratum:
    return Stratum(key, Totals.of_values(control), Totals.of_values(treatment))


def test_post_stratify__two_strata_by_hand__weighs_differences_by_units() -> None:
    # a: 6 + 6 units, 1 → 2; b: 12 + 6 units, 10 → 13; weights .4 and .6.
    low = _stratum("a", [0.0, 2.0] * 3, [1.0, 3.0] * 3)
    high = _stratum("b", [9.0, 11.0] * 6, [12.0, 14.0] * 3)
    found = post_stratify([high, low])
    assert found.strata == ("a", "b")
    assert found.weights == pytest.approx((0.4, 0.6))
    assert found.comparison.difference == pytest.approx(0.4 * 1 + 0.6 * 3)
    variance = 0.16 * (1.2 / 6 + 1.2 / 6) + 0.36 * (12 / 11 / 12 + 1.2 / 6)
    assert found.comparison.se == pytest.approx(variance**0.5)
    parts = [
        (0.16 * 1.2 / 6, 5),
        (0.16 * 1.2 / 6, 5),
        (0.36 * 12 / 11 / 12, 11),
        (0.36 * 1.2 / 6, 5),
    ]
    assert found.comparison.df == pytest.approx(
        variance**2 / sum(part**2 / df for part, df in parts)
    )
    assert found.comparison.lift == pytest.approx((0.4 * 2 + 0.6 * 13) / (0.4 * 1 + 0.6 * 10) - 1)


def test_post_stratify__one_stratum__is_the_plain_comparison() -> None:
    control, treatment = Totals.of_values(range(20)), Totals.of_values(range(3, 40))
    found, plain = (
        post_stratify([Stratum("all", control, treatment)]).comparison,
        compare_means(control, treatment),
    )
    assert (found.difference, found.se, found.lift) == pytest.approx(
        (plain.difference, plain.se, plain.lift)
    )


def test_post_stratify__confounded_arms__shows_no_effect_where_pooling_shows_one() -> None:
    few, many = [9.0, 10.0, 11.0] * 10, [9.0, 10.0, 11.0] * 100
    high = _stratum("heavy", few, many)
    low = _stratum("light", [v - 8 for v in many], [v - 8 for v in few])
    pooled = compare_means(low.control + high.control, low.treatment + high.treatment)
    assert pooled.difference is not None and pooled.difference > 6
    assert post_stratify([high, low]).comparison.difference == pytest.approx(0.0, abs=1e-12)


def test_merge__small_strata__become_one_and_are_named() -> None:
    tiny = [_stratum("z", [1.0], [2.0]), _stratum("c", [1.0], [3.0, 4.0])]
    large = [_stratum(key, [1.0] * n, [2.0] * n) for key, n in (("b", 5), ("a", 9))]
    used, merged = merge([*tiny, *large, Stratum("empty", EMPTY, EMPTY)])
    assert ([s.key for s in used], merged) == (["a", "b", "c + z"], ("c", "z"))
    assert (used[2].control.n, used[2].treatment.n) == (2, 3)


def test_merge__small_ones_without_an_arm__take_in_the_smallest_of_the_others() -> None:
    strata = [
        _stratum("x", [1.0], []),
        _stratum("y", [1.0] * 5, [1.0] * 5),
        _stratum("w", [1.0] * 5, [1.0] * 5),
    ]
    used, merged = merge(strata)
    assert ([s.key for s in used], merged) == (["w + x", "y"], ("w", "x"))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=7), st.randoms()
)
def test_merge__any_strata_in_any_order__keeps_every_unit_and_the_same_answer(
    sizes: list[tuple[int, int]], random: Random
) -> None:
    strata = [
        _stratum(f"s{k}", [float(k)] * c, [float(k + 1)] * t) for k, (c, t) in enumerate(sizes)
    ]
    shuffled = list(strata)
    random.shuffle(shuffled)
    used, merged = merge(strata)
    assert merge(shuffled) == (used, merged)
    assert sum(s.n for s in used) == sum(c + t for c, t in sizes)
    assert len(used) <= 1 or all(s.smallest >= 2 for s in used)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=12, max_size=60),
    st.floats(0.1, 10.0),
    st.floats(-50.0, 50.0),
)
def test_post_stratify__values_scaled_and_shifted__keep_p(
    values: list[int], scale: float, shift: float
) -> None:
    rows = [(k % 3, (k // 3) % 2, float(v)) for k, v in enumerate([*values, *range(24)])]

    def p_value(scale: float, shift: float) -> float | None:
        arms = [
            [[scale * y + shift for s, t, y in rows if (s, t) == (k, arm)] for arm in (0, 1)]
            for k in range(3)
        ]
        return post_stratify([_stratum(str(k), *a) for k, a in enumerate(arms)]).comparison.p

    assert p_value(scale, shift) == pytest.approx(p_value(1.0, 0.0), rel=1e-6)


def test_post_stratify__sampled_shares__add_the_spread_of_effects() -> None:
    strata = [
        Stratum(k, Totals.of_rate(x, 100), Totals.of_rate(y, 100))
        for k, x, y in (("a", 10, 12), ("b", 50, 80))
    ]
    known, sampled = (
        post_stratify(strata, kind="proportion", shares=how).comparison
        for how in ("known", "sampled")
    )
    assert known.difference == sampled.difference == pytest.approx(0.16)
    assert known.se is not None and sampled.se is not None
    assert sampled.se**2 - known.se**2 == pytest.approx(
        (0.5 * 0.02**2 + 0.5 * 0.3**2 - 0.16**2) / 400
    )


def test_post_stratify__strata_that_explain_much__narrows_and_covers() -> None:
    rng, hits, narrower = np.random.default_rng(5), 0, 0
    sims, n = 1_500, 200
    for _ in range(sims):
        stratum, arm = rng.integers(0, 4, n), rng.integers(0, 2, n)
        y = 3.0 * stratum + 0.5 * arm + rng.normal(size=n)
        strata = [
            _stratum(
                str(k),
                y[(stratum == k) & (arm == 0)].tolist(),
                y[(stratum == k) & (arm == 1)].tolist(),
            )
            for k in range(4)
        ]
        found = post_stratify(strata).comparison
        plain = compare_means(Totals.of_values(y[arm == 0]), Totals.of_values(y[arm == 1]))
        assert found.ci is not None and found.se is not None and plain.se is not None
        hits, narrower = hits + found.ci.holds(0.5), narrower + (found.se < plain.se / 2)
    assert narrower == sims
    assert 0.9315 < hits / sims < 0.9685


@pytest.mark.parametrize(
    "strata",
    [
        [],
        [Stratum("a", EMPTY, Totals(20, 20.0, 30.0))],
        [Stratum("a", Totals(1, 1.0, 1.0), Totals(1, 1.0, 1.0))],
        [Stratum("a", Totals(50, 50.0, 50.0), Totals(50, 50.0, 50.0))],
    ],
)
def test_post_stratify__without_units_or_spread__cannot_say(strata: list[Stratum]) -> None:
    found = post_stratify(strata).comparison
    assert found.p is None and found.difference is None and found.reason is not None


def test_post_stratify__control_below_zero__has_no_lift() -> None:
    found = post_stratify([_stratum("a", [-3.0, -1.0] * 10, [1.0, 3.0] * 10)])
    assert (
        found.comparison.lift is None
        and found.comparison.lift_reason is not None
        and found.relative_se is None
    )
    assert found.comparison.difference == pytest.approx(4.0)


def test_post_stratify__trillions_of_units__stays_a_number() -> None:
    n = 10**12
    found = post_stratify(
        [Stratum(k, Totals.of_rate(n // 3, n), Totals.of_rate(n // 3 + 10**6, n)) for k in "ab"],
        kind="proportion",
    )
    assert found.comparison.difference == pytest.approx(1e-6, rel=1e-3)


def test_strata__named_twice__are_refused() -> None:
    with pytest.raises(ImpossibleTotals, match="named once"):
        post_stratify([Stratum("a", EMPTY, EMPTY), Stratum("a", EMPTY, EMPTY)])
