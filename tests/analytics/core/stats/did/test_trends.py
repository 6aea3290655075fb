"""What happened before the start, and what hangs on one region."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.multivariate import test_mvmean_2indep as hotelling_of

from analytics.core.stats.did import difference_in_differences, effects
from analytics.core.stats.did.trends import event_study, leave_one_out, pre_trend
from tests.analytics.core.stats.did.panels import drawn, organ_donations, panel, with_gaps


def test_pre_trend__slope__is_that_of_treated_times_time() -> None:
    whole = drawn(3)
    regions, periods = np.nonzero(whole.observed[:, :4])
    treated = whole.treated[regions].astype(float)
    x = np.column_stack([treated * periods, np.ones(len(periods)), treated, periods])
    theirs = sm.OLS(whole.values[:, :4].ravel(), x).fit()
    assert pre_trend(whole, 0.05).slope == pytest.approx(theirs.params[0], rel=1e-9)


def test_pre_trend__joint_test__is_hotellings_two_sample() -> None:
    whole = drawn(3)
    before = whole.values[:, :3] - whole.values[:, 3:4]
    theirs = hotelling_of(before[:5], before[5:])
    found = pre_trend(whole, 0.05)
    assert (found.joint_f, found.joint_p) == pytest.approx(
        (theirs.statistic, theirs.pvalue), rel=1e-8
    )
    assert found.joint_df == (3, 6)


def test_pre_trend__treated_regions_climbed_before__is_pointed_out() -> None:
    whole = drawn(3)
    climbing = panel(whole.values + 2.0 * whole.treated[:, None] * np.arange(8.0), 5, 4)
    found = difference_in_differences(climbing)
    assert found.pre_trend.p < 0.01
    assert "already before the start" in found.notes[-1]


def test_pre_trend__as_many_periods_as_regions__joint_test_cannot_say() -> None:
    found = pre_trend(drawn(3, periods=14, start=10), 0.05)
    assert found.p is not None
    assert found.joint_p is None and "too few for 10 periods" in found.joint_reason


def test_pre_trend__one_period_before__cannot_say() -> None:
    found = difference_in_differences(drawn(3, periods=3, start=1))
    assert (
        found.pre_trend.p is None
        and found.pre_trend.reason == "one period before the start shows no trend"
    )
    assert found.placebos == () and "nothing before the start" in found.notes[-1]


def test_pre_trend__one_treated_region__is_a_permutation() -> None:
    found = difference_in_differences(organ_donations()).pre_trend
    assert (found.method, found.joint_method) == ("permutation", "permutation")
    assert found.p == pytest.approx(20 / 27) and found.joint_p == pytest.approx(17 / 27)


def test_placebos__every_start_before__uses_the_periods_before_alone() -> None:
    whole = drawn(3, effect=100.0)
    found = difference_in_differences(whole).placebos
    assert [p.start for p in found] == ["t1", "t2", "t3"]
    alone = difference_in_differences(panel(whole.values[:, :4], 5, 2))
    assert (found[1].estimate, found[1].p) == pytest.approx((alone.estimate, alone.decision_p))


def test_event_study__balanced__is_the_gap_against_the_last_period_before() -> None:
    whole = drawn(3, effect=1.0)
    gap = whole.values[:5].mean(axis=0) - whole.values[5:].mean(axis=0)
    found = event_study(whole, 0.05)
    assert [p.estimate for p in found] == pytest.approx((gap - gap[3]).tolist())
    assert [p.position for p in found] == [-4, -3, -2, -1, 0, 1, 2, 3]
    assert found[3].ci is None and all(p.ci is not None for p in found if p.position != -1)


def test_event_study__mean_of_the_points__is_the_effect_of_a_balanced_panel() -> None:
    whole = drawn(3, effect=1.0)
    points = np.array([p.estimate for p in event_study(whole, 0.05)])
    assert points[4:].mean() - points[:4].mean() == pytest.approx(
        difference_in_differences(whole).estimate
    )


@pytest.mark.parametrize("gaps", [(), ((0, 1), (3, 6), (7, 0))])
def test_leave_one_out__each_region__is_the_effect_fitted_without_it(gaps) -> None:
    whole = with_gaps(drawn(3, treated=3), *gaps)
    for position, found in enumerate(leave_one_out(whole)):
        rest = np.delete(whole.values, position, axis=0)
        model = effects.two_way(panel(rest, 2 if position < 3 else 3, 4))
        assert found.estimate == pytest.approx(
            float(model.design.influence[:, 0] @ model.swept(rest)), rel=1e-8
        )


def test_leave_one_out__the_only_treated_region__cannot_say() -> None:
    found = {
        row.region: row.estimate
        for row in difference_in_differences(organ_donations()).leave_one_out
    }
    assert found["California"] is None
    assert sum(value is not None for value in found.values()) == 26


def test_did__unbalanced__uses_the_cells_there_are_and_names_the_regions() -> None:
    found = difference_in_differences(with_gaps(drawn(3, effect=1.0), (2, 1), (6, 5)))
    assert found.missing == 2 and any(
        "2 of 80 cells are missing (r2, r6)" in note for note in found.notes
    )


def test_did__region_without_a_period_before__is_named_and_left_out() -> None:
    found = difference_in_differences(with_gaps(drawn(3), *((8, t) for t in range(4))))
    assert found.left_out == ("r8",) and found.regions == 9
    assert found.notes[0] == "left out, since not seen both before and after the start: r8"
