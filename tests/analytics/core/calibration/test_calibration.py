"""Calibration holds what engines do against what they promise, and says so when one does something
else.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from analytics.core.calibration import covering, guarding, looking, promotion, shares, walk
from analytics.core.calibration.check import Check, CheckResult, result_of
from analytics.core.calibration.limits import (
    Around,
    Binomial,
    Stated,
    Within,
    at_least,
    at_most,
    rate,
)
from analytics.core.calibration.registry import CHECKS, chosen
from analytics.core.calibration.run import calibrate, size_of
from analytics.core.calibration.simulate import Rng
from analytics.core.deciding.decision import Decision
from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.kinds import means
from analytics.core.stats.arms.comparison import Comparison, Interval
from analytics.core.stats.arms.mean import WelchT, welch_t
from analytics.core.stats.arms.normal import t_as_z
from analytics.core.stats.arms.ratio import compare_ratios
from analytics.core.stats.arms.score import MarginScore
from analytics.core.stats.power import Guard, SampleSize, safe_sample


def heads(rng: Rng, sims: int, chance: float = 0.5) -> int:
    return int(rng.binomial(sims, chance))


COIN = Check("coin", "heads", "50 %", rate(0.5), heads, sims=10_000, quick=1_000, piece=300)


def only(name: str) -> Check:
    return chosen([name])[0]


def result(check: Check, sims: int, **changes: Any) -> CheckResult:
    """One check, perhaps broken, on so many simulations."""
    return calibrate(
        [replace(check, quick=sims, **changes)], quick=True, seed=7, workers=1
    ).results[0]


@pytest.mark.parametrize(
    ("sims", "chance", "low", "high"),
    [
        (10_000, 0.05, 0.0430, 0.0573),
        (2_000, 0.025, 0.0145, 0.0370),
        (10_000, 0.025, 0.0200, 0.0303),
        (100_000, 0.001, 0.00069, 0.00134),
        (2_000, 0.95, 0.9335, 0.9655),
        (2_000, 0.05, 0.0345, 0.0665),
        (10_000, 0.8, 0.7867, 0.8131),
    ],
)
def test_rate__range__is_that_of_the_specification(
    sims: int, chance: float, low: float, high: float
) -> None:
    assert rate(chance).at(sims) == pytest.approx((low, high))


def test_rate__leaves_out_a_twentieth_of_a_percent_at_each_end() -> None:
    low, high = rate(0.05).at(10_000)
    drawn = np.random.default_rng(1).binomial(10_000, 0.05, size=400_000) / 10_000
    assert (drawn < low).mean() < 0.0006 and (drawn > high).mean() < 0.0006
    assert (drawn <= low).mean() > 0.0004 and (drawn >= high).mean() > 0.0004


def test_bounds__have_one_open_end() -> None:
    assert at_most(0.05).at(10_000) == (0.0, 0.0573)
    assert at_least(0.05).at(10_000) == (0.043, 1.0)
    assert Binomial(0.11, 0.16).at(10_000) == (
        at_least(0.11).at(10_000)[0],
        at_most(0.16).at(10_000)[1],
    )


def test_stated__at_its_own_size__is_what_was_stated_and_elsewhere_follows_the_binomial() -> None:
    stated = Stated(0.93, 0.966, 2_000, 0.95)
    assert stated.at(2_000) == (0.93, 0.966)
    low, high = stated.at(200)
    plain = rate(0.95).at(200)
    assert low < plain[0] < plain[1] < high < 1


def test_around__narrows_with_the_root_of_the_simulations() -> None:
    assert Around(0.64, 0.13, 2_000).at(2_000) == pytest.approx((0.5568, 0.7232))
    assert Around(0.64, 0.13, 2_000).at(8_000) == pytest.approx((0.5984, 0.6816))


def test_limits__without_simulations__are_refused() -> None:
    with pytest.raises(ImpossiblePlan, match="found 0"):
        rate(0.05).at(0)


def test_result__that_is_no_number__is_out_of_range() -> None:
    found = result_of(
        replace(COIN, read=lambda sums, sims: float("nan")), [np.array([1.0])], 10, 0.0
    )
    assert not found.in_range


def test_calibrate__on_two_processes__gives_the_numbers_of_one() -> None:
    checks = [only("aa-rate"), only("srm")]
    alone = calibrate(checks, sims=200, seed=3, workers=1)
    assert calibrate(checks, sims=200, seed=3, workers=2) == alone
    assert calibrate(checks[1:], sims=200, seed=3, workers=1).results == alone.results[1:]
    assert calibrate(checks, sims=200, seed=4, workers=1) != alone


def test_calibrate__tells_how_far_it_is() -> None:
    told: list[tuple[str, float]] = []
    calibrate(
        [COIN], quick=True, workers=1, progress=lambda name, share: told.append((name, share))
    )
    assert told == [("coin", 0.25), ("coin", 0.5), ("coin", 0.75), ("coin", 1.0)]


def test_sims__scale_every_check_alike() -> None:
    assert [
        size_of(replace(COIN, sims=sims), 1_000, quick=False)
        for sims in (10_000, 2_000, 100_000, 10)
    ] == [1_000, 200, 10_000, 20]
    assert (size_of(COIN, None, quick=True), size_of(COIN, None, quick=False)) == (1_000, 10_000)
    with pytest.raises(ImpossiblePlan, match="sims=0"):
        size_of(COIN, 0, quick=False)


def test_chosen__unknown_name__is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ImpossiblePlan, match="no check is called nonsense; there are aa-rate"):
        chosen(["aa-rate", "nonsense"])
    assert [check.name for check in chosen(["srm", "aa-rate"])] == ["aa-rate", "srm"]


def test_registry__names_are_unique_and_every_check_can_fail() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        low, high = check.limits.at(check.sims)
        assert 0 <= low < high and (low > 0 or high < 1 or isinstance(check.limits, Within)), (
            check.name
        )


def test_fixed_boundary__in_place_of_the_sequential_one__is_out_of_range() -> None:
    check = only("sequential-14")
    assert result(check, 1_000).in_range
    broken = result(check, 1_000, count=partial(looking.crossed, boundary=[1.96] * 14))
    assert broken.got > broken.high


def test_boundary_that_is_never_reached__is_out_of_range() -> None:
    broken = result(
        only("sequential-14"), 1_000, count=partial(looking.crossed, boundary=[6.0] * 14)
    )
    assert broken.got < broken.low


def test_machine_that_never_promotes__is_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    check = only("promote-day-4")
    assert result(check, 500).in_range
    monkeypatch.setattr(walk, "decide", lambda facts: Decision("keep", "never"))
    broken = result(check, 500)
    assert broken.got == 0 < broken.low


def test_machine_that_spends_four_times_its_error__is_out_of_range() -> None:
    broken = result(
        only("promote-day-4"),
        500,
        count=partial(promotion.promoted, trial=replace(promotion.EARLY, alpha=0.2)),
    )
    assert broken.got > broken.high


def test_srm_against_wrong_shares__is_out_of_range() -> None:
    broken = result(only("srm"), 2_000, count=partial(shares.called_off, planned=(360, 320, 320)))
    assert broken.got > broken.high


def test_interval_half_as_wide__is_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    check = only("cover-ratio")
    assert result(check, 300).in_range
    monkeypatch.setattr(covering, "compare_ratios", lambda *arms: halved(compare_ratios(*arms)))
    broken = result(check, 300)
    assert broken.got < broken.low


def halved(found: Comparison) -> Comparison:
    assert found.ci is not None
    quarter = (found.ci.high - found.ci.low) / 4
    return replace(
        found, ci=Interval(found.ci.low + quarter, found.ci.high - quarter, found.ci.level)
    )


def test_covariate_that_says_nothing__takes_out_no_variance__is_out_of_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(covering, "CORRELATION", 1e-3)
    broken = result(only("cuped-variance"), 500)
    assert broken.got > broken.high


def test_safe_read_off_the_plain_bound_each_day__is_out_of_range() -> None:
    broken = result(
        only("safe-rate"), 500, count=partial(guarding.safe_by_plain_bound, days=28, per_day=200)
    )
    assert broken.got > broken.high


def test_requests_taken_for_independent__are_out_of_range_of_the_units_test() -> None:
    broken = result(
        only("safe-requests"), 1_000, count=partial(guarding.safe_by_request, users=1_400)
    )
    assert broken.got > broken.high


def test_harm_mid_run__without_the_recent_series__is_out_of_range() -> None:
    check = only("mid-run")
    assert result(check, 20).in_range
    broken = result(check, 20, count=partial(guarding.hours_to_alarm, per_day=2_400, recent=False))
    assert broken.got > 5 > broken.high


def test_safe_sample__planned_with_the_plain_variance__is_out_of_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The size of before: p(1 − p)(1 + 1/k)(z + z)²/margin², without the rates on the margin's
    edge.
    """

    def plain(guard: Guard, margin: float, **given: Any) -> SampleSize:
        assert guard.baseline is not None
        return safe_sample(
            Guard(sd=(guard.baseline * (1 - guard.baseline)) ** 0.5), margin, **given
        )

    assert result(only("power-safe-rare"), 1_000).in_range
    monkeypatch.setattr(guarding, "safe_sample", plain)
    broken = result(only("power-safe-rare"), 1_000)
    assert not broken.in_range
    assert broken.got < 0.8


def test_uneven_means__with_the_degrees_of_freedom_of_equal_arms__are_out_of_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """n_T + n_C − 2, as it was."""

    def pooled(welch: WelchT | None) -> MarginScore | None:
        return (
            None if welch is None else MarginScore(welch.difference, welch.se, t_as_z(welch.t, 398))
        )

    assert result(only("uneven-20-380"), 20_000).in_range
    monkeypatch.setattr(means, "scored", pooled)
    assert result(only("uneven-20-380"), 20_000).got > 0.002


@pytest.mark.parametrize("name", ["skew-worsening", "skew-breach"])
def test_skewed_cost__read_by_welchs_t__is_out_of_range(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert result(only(name), 250).in_range
    monkeypatch.setattr(means, "uneven_t", welch_t)
    assert not result(replace(only(name), limits=Within(0.0, 0.0375)), 250).in_range
