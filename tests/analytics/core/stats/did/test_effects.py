"""Estimates and clustered standard errors: by hand, against statsmodels on rows, and by what cannot
change them.
"""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.arms.mean import welch_t
from analytics.core.stats.did import difference_in_differences, effects
from analytics.core.stats.did.cluster import cr1, cr2, sandwich, satterthwaite
from tests.analytics.core.stats.did.panels import drawn, panel, with_gaps

GAPS = ((0, 1), (3, 6), (7, 0), (7, 1), (9, 7))


def _dummies(whole):
    """Two-way fixed effects written out: every region and period a column, the effect first."""
    regions, periods = np.nonzero(whole.observed)
    effect = (whole.treated[regions] & whole.post[periods]).astype(float)
    x = np.column_stack(
        [effect, np.eye(len(whole.regions))[regions], np.eye(len(whole.periods))[periods][:, 1:]]
    )
    return x, whole.values[whole.observed], regions


def test_two_way__four_cells__is_the_difference_of_changes() -> None:
    model = effects.two_way(panel([[1, 4], [2, 3]], 1, 1))
    assert float(
        model.design.influence[:, 0] @ model.swept(np.array([[1.0, 4.0], [2.0, 3.0]]))
    ) == pytest.approx(3 - 1)


@pytest.mark.parametrize("gaps", [(), GAPS])
def test_two_way__rows__agree_with_statsmodels_clustered_by_region(gaps) -> None:
    whole = with_gaps(drawn(5, effect=1.0), *gaps)
    x, y, regions = _dummies(whole)
    theirs = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": regions}, use_t=True)
    model = effects.two_way(whole)
    ours = cr1(model.design, model.swept(whole.values), 0)
    assert (ours.value, ours.se) == pytest.approx((theirs.params[0], theirs.bse[0]), rel=1e-9)
    assert ours.p == pytest.approx(theirs.pvalues[0], rel=1e-7)


@pytest.mark.parametrize("gaps", [(), GAPS])
def test_cr2__region_means_swept_out__equal_region_columns_written_out(gaps) -> None:
    whole = with_gaps(drawn(5, effect=1.0), *gaps)
    x, y, regions = _dummies(whole)
    model = effects.two_way(whole)
    swept, written = (
        cr2(model.design, model.swept(whole.values), 0),
        cr2(sandwich(x, regions), y, 0),
    )
    assert (swept.value, swept.se, swept.df) == pytest.approx(
        (written.value, written.se, written.df), rel=1e-8
    )


def test_satterthwaite__closed_form__equals_the_definition() -> None:
    whole = with_gaps(drawn(5), *GAPS)
    x, _, regions = _dummies(whole)
    design = sandwich(x, regions)
    hat = x @ np.linalg.pinv(x.T @ x) @ x.T
    columns = np.column_stack(
        [
            (np.eye(len(x)) - hat)[:, regions == g] @ design.adjusted[regions == g, 0]
            for g in range(len(whole.regions))
        ]
    )
    gamma = columns.T @ columns
    assert satterthwaite(design, 0) == pytest.approx(
        np.trace(gamma) ** 2 / (gamma**2).sum(), rel=1e-8
    )


def test_cr2__balanced_panel__is_welch_of_the_regions_changes() -> None:
    """The published standard error of Card and Krueger is of this form: each restaurant's change,
    two variances.
    """
    whole = drawn(8, regions=11, treated=4, effect=0.5)
    changes = whole.values[:, whole.post].mean(axis=1) - whole.values[:, ~whole.post].mean(axis=1)
    of = lambda d: Totals(len(d), float(d.sum()), float((d**2).sum()))  # noqa: E731
    welch = welch_t(of(changes[~whole.treated]), of(changes[whole.treated]))
    found = difference_in_differences(whole)
    assert welch is not None
    assert (found.estimate, found.se) == pytest.approx((welch.difference, welch.se), rel=1e-9)
    a, b = 1 / 4, 1 / 7
    assert found.df == pytest.approx((a + b) ** 2 / (a**2 / 3 + b**2 / 6), rel=1e-9)


def test_two_by_two__agrees_with_two_way_on_a_balanced_panel() -> None:
    whole = drawn(3, effect=2.0)
    regions, periods = np.nonzero(whole.observed)
    design = effects.two_by_two(
        whole.treated[regions].astype(float), whole.post[periods].astype(float), regions
    )
    model = effects.two_way(whole)
    rows, fixed = (
        cr2(design, whole.values.ravel(), 0),
        cr2(model.design, model.swept(whole.values), 0),
    )
    assert (rows.value, rows.se, rows.df) == pytest.approx(
        (fixed.value, fixed.se, fixed.df), rel=1e-9
    )


@settings(max_examples=25)
@given(st.integers(0, 200), st.floats(-50, 50), st.floats(0.1, 20), st.booleans())
def test_did__levels_of_regions_and_periods__change_nothing_and_scale_scales(
    seed, level, scale, gaps
) -> None:
    whole = with_gaps(drawn(seed), *(GAPS if gaps else ()))
    rng = np.random.default_rng(seed)
    shifted = (
        scale * whole.values + level * rng.normal(size=(10, 1)) + level * rng.normal(size=(1, 8))
    )
    before, after = (
        difference_in_differences(whole),
        difference_in_differences(panel(shifted, 5, 4)),
    )
    assert after.estimate == pytest.approx(scale * before.estimate, rel=1e-6, abs=1e-9)
    assert (after.se, after.df) == pytest.approx((scale * before.se, before.df), rel=1e-6)
    assert after.decision_p == pytest.approx(before.decision_p, rel=1e-6)
    assert after.pre_trend.joint_p == pytest.approx(before.pre_trend.joint_p, rel=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 200))
def test_did__groups_swapped__turns_the_sign_alone(seed) -> None:
    whole = drawn(seed, treated=4)
    swapped = panel(whole.values[::-1], 6, 4)
    one, other = difference_in_differences(whole), difference_in_differences(swapped)
    assert other.estimate == pytest.approx(-one.estimate, rel=1e-9)
    assert other.decision_p == pytest.approx(one.decision_p, rel=1e-6)
    assert other.ci.low == pytest.approx(-one.ci.high, rel=1e-6, abs=1e-8)


def test_sandwich__rows_of_a_cluster_apart__is_refused() -> None:
    with pytest.raises(ImpossibleTotals, match="stand apart"):
        sandwich(np.ones((3, 1)), [0, 1, 0])
    with pytest.raises(ImpossibleTotals, match="cluster labels"):
        sandwich(np.ones((3, 1)), [0, 1])
