"""Sizes of guardrails: SAFE when there is no harm, margins within reach, the events of the sources."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from analytics.core.errors import ImpossiblePlan
from analytics.core.stats import power
from analytics.core.stats.group_sequential import inflation
from analytics.core.stats.power import Guard
from analytics.core.stats.score import difference_score, ratio_score

GUARDS = st.one_of(
    st.builds(
        Guard,
        baseline=st.floats(0.002, 0.9),
        sd=st.none(),
        relative=st.booleans(),
        better=st.sampled_from(["increase", "decrease"]),
    ),
    st.builds(
        Guard,
        baseline=st.floats(0.1, 1000),
        sd=st.floats(0.1, 1000),
        relative=st.booleans(),
        better=st.sampled_from(["increase", "decrease"]),
    ),
)


def test_events__of_the_sources__are_752_to_detect_and_1240_for_five_guardrails_to_be_safe() -> None:
    assert power.detect_events(0.15) == 752
    assert power.safe_events(0.15, required_guardrails=5) == 1240


@pytest.mark.parametrize(("required", "beta"), [(0, 0.2), (1, 0.1), (5, 0.2 / 6)])
def test_joint_beta__of_so_many_guardrails__leaves_a_share_to_the_primary_metric(required: int, beta: float) -> None:
    assert power.joint_beta(required) == pytest.approx(beta)
    z = float(ndtri(0.95) + ndtri(1 - beta))
    assert power.safe_points_sample(4.0, 0.5, required_guardrails=required).exact_control == pytest.approx(z**2 * 2 * 4 / 0.25)


def test_safe_sample__rate_in_points__is_twice_its_variance_over_the_margin() -> None:
    z = float(ndtri(0.95) + ndtri(0.9))
    found = power.safe_sample(Guard(baseline=0.03), 0.02, ratio=0.5)
    assert found.exact_control == pytest.approx(z**2 * 0.03 * 0.97 * 3 / 0.02**2)
    assert found.treatment == math.ceil(found.exact_control / 2)


def test_safe_sample__rare_rate_with_a_relative_margin__is_the_events_over_the_rate() -> None:
    found = power.safe_sample(Guard(baseline=0.003, relative=True), 0.15, required_guardrails=5)
    assert found.control * 0.003 == pytest.approx(1240 * 0.997, rel=1e-3)
    assert power.safe_relative_sample(0.003, 0.15, required_guardrails=5) == found


def test_safe_sample__mean_with_a_relative_margin__counts_controls_error_for_more() -> None:
    """T − 1.2·C has the variance σ²(1 + 1.44)/n."""
    z = float(ndtri(0.95) + ndtri(0.9))
    found = power.safe_sample(Guard(baseline=10.0, sd=20.0, relative=True), 0.2)
    assert found.exact_control == pytest.approx(z**2 * 400 * 2.44 / 2**2)
    falling = power.safe_sample(Guard(baseline=10.0, sd=20.0, relative=True, better="increase"), 0.2)
    assert falling.exact_control == pytest.approx(z**2 * 400 * 1.64 / 2**2)


def test_safe_sample__looks_covariate_and_clusters__multiply_it() -> None:
    plain = power.safe_sample(Guard(sd=1.0), 0.1).exact_control
    found = power.safe_sample(Guard(sd=1.0), 0.1, looks=8, correlation=0.5, design_effect=2.0).exact_control
    assert found == pytest.approx(plain * 0.75 * 2 * inflation(8, 0.05, 0.9, 1))


@given(GUARDS, st.floats(0.01, 0.9), st.integers(0, 6), st.floats(0.2, 3))
def test_safe_power__at_its_own_sample__is_one_minus_the_share_of_beta(guard: Guard, margin: float, required: int, ratio: float) -> None:
    n = power.safe_sample(guard, margin, required_guardrails=required, ratio=ratio).exact_control
    assert power.safe_power(guard, margin, n, required_guardrails=required, ratio=ratio) == pytest.approx(1 - 0.2 / (1 + required))


@given(GUARDS, st.floats(10, 1e9), st.floats(0.2, 3))
def test_safe_margin__put_back_as_margin__asks_for_the_same_size(guard: Guard, n: float, ratio: float) -> None:
    margin = power.safe_margin(guard, n, ratio=ratio)
    if margin is None or (guard.relative and guard.better == "increase" and margin > 0.99):
        return
    assert power.safe_sample(guard, margin, ratio=ratio).exact_control == pytest.approx(n, rel=1e-6)
    assert (power.safe_margin(guard, 2 * n, ratio=ratio) or 0) < margin


def test_safe_margin__no_margin_would_do__cannot_say() -> None:
    assert power.safe_margin(Guard(baseline=0.9), 3) is None
    assert power.safe_margin(Guard(baseline=1.0, sd=10.0, relative=True), 100) is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Guard(better="increase"),
        lambda: Guard(baseline=0.0),
        lambda: Guard(baseline=1.0),
        lambda: Guard(sd=0.0),
        lambda: Guard(sd=1.0, relative=True),
        lambda: Guard(baseline=-1.0, sd=1.0, relative=True),
        lambda: power.safe_sample(Guard(sd=1.0), 0.0),
        lambda: power.safe_sample(Guard(sd=1.0), math.nan),
        lambda: power.safe_sample(Guard(baseline=0.5, relative=True, better="increase"), 1.0),
        lambda: power.safe_points_sample(0.0, 0.1),
        lambda: power.safe_events(0.0),
        lambda: power.detect_events(-0.1),
        lambda: power.safe_sample(Guard(sd=1.0), 0.1, required_guardrails=-1),
    ],
)
def test_safety__what_cannot_be__is_refused(wrong: Any) -> None:
    with pytest.raises(ImpossiblePlan):
        wrong()


@pytest.mark.parametrize("base", [0.01, 0.1, 0.3])
def test_safe_sample__relative_margin_simulated_by_the_verdicts_own_test__has_its_power(base: float) -> None:
    """No harm, a single look: Miettinen–Nurminen's z below −1.645 with power .9."""
    n = power.safe_sample(Guard(baseline=base, relative=True), 0.15).control
    assert 0.88 <= _safe_share(base, n, lambda c, n_c, t, n_t: ratio_score(c, n_c, t, n_t, 1.15).z) <= 0.92


@pytest.mark.parametrize(("base", "margin"), [(0.03, 0.01), (0.2, 0.02)])
def test_safe_sample__points_simulated_by_the_verdicts_own_test__has_its_power(base: float, margin: float) -> None:
    n = power.safe_sample(Guard(baseline=base), margin).control
    assert 0.87 <= _safe_share(base, n, lambda c, n_c, t, n_t: difference_score(c, n_c, t, n_t, margin).z) <= 0.93


def _safe_share(base: float, n: int, z_of: Callable[[int, int, int, int], float | None], runs: int = 1500) -> float:
    events = np.random.default_rng(21).binomial(n, base, (2, runs))
    critical = float(ndtri(0.05))
    return sum((z_of(int(c), n, int(t), n) or 0.0) < critical for c, t in events.T) / runs
