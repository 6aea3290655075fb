"""Sizes of guardrails: SAFE when there is no harm, margins within reach, the events of the
sources.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import ndtri
from scipy.stats import binom

from analytics.core.deciding.guardrails import GuardrailPlan, Margin, harm
from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.totals import Totals
from analytics.core.stats import power
from analytics.core.stats.arms.score import ratio_score
from analytics.core.stats.power import Guard
from analytics.core.stats.sequential.group_sequential import inflation

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


def test_events__of_the_sources__are_752_to_detect_and_1240_for_five_guardrails_to_be_safe() -> (
    None
):
    assert power.detect_events(0.15) == 752
    assert power.safe_events(0.15, required_guardrails=5) == 1240


@pytest.mark.parametrize(("required", "beta"), [(0, 0.2), (1, 0.1), (5, 0.2 / 6)])
def test_joint_beta__of_so_many_guardrails__leaves_a_share_to_the_primary_metric(
    required: int, beta: float
) -> None:
    assert power.joint_beta(required) == pytest.approx(beta)
    z = float(ndtri(0.95) + ndtri(1 - beta))
    assert power.safe_points_sample(
        4.0, 0.5, required_guardrails=required
    ).exact_control == pytest.approx(z**2 * 2 * 4 / 0.25)


@pytest.mark.parametrize(
    ("base", "margin", "required", "published"),
    [(0.02, 0.02, 0, 682.2), (0.02, 0.02, 1, 929), (0.001, 0.005, 1, 1375)],
)
def test_safe_sample__rate_in_points__agrees_with_published_sizes(
    base: float, margin: float, required: int, published: float
) -> None:
    """Farrington and Manning's size, as rpact gives it: 1,364.5 in both arms at power .8."""
    found = power.safe_sample(Guard(baseline=base), margin, required_guardrails=required)
    assert found.exact_control == pytest.approx(published, abs=0.5)


@pytest.mark.parametrize(
    ("base", "margin", "ratio"),
    [(0.03, 0.02, 0.5), (0.001, 0.005, 0.25), (0.4, 0.1, 3.0), (0.99, 0.005, 1.0)],
)
def test_safe_sample__rate_in_points__uses_the_rates_likeliest_on_the_edge(
    base: float, margin: float, ratio: float
) -> None:
    """The edge's rates are found here by maximising the likelihood, without our formula."""

    def unlikely(rate: float) -> float:
        control, treatment = (
            base * np.log(r) + (1 - base) * np.log1p(-r) for r in (rate, rate + margin)
        )
        return float(-(control + ratio * treatment))

    edge = float(
        minimize_scalar(
            unlikely, bounds=(1e-12, 1 - margin - 1e-12), method="bounded", options={"xatol": 1e-12}
        ).x
    )
    on_edge = edge * (1 - edge) + (edge + margin) * (1 - edge - margin) / ratio
    true = base * (1 - base) * (1 + 1 / ratio)
    wanted = (
        float(ndtri(0.95)) * math.sqrt(on_edge) + float(ndtri(0.9)) * math.sqrt(true)
    ) ** 2 / margin**2
    found = power.safe_sample(Guard(baseline=base), margin, ratio=ratio)
    assert found.exact_control == pytest.approx(wanted, rel=1e-6)
    assert found.treatment == math.ceil(found.exact_control * ratio)


def test_safe_sample__rare_rate_with_a_relative_margin__is_about_the_events_over_the_rate() -> None:
    found = power.safe_sample(Guard(baseline=0.003, relative=True), 0.15, required_guardrails=5)
    assert found.control * 0.003 == pytest.approx(1240 * 0.997, rel=5e-3)
    assert power.safe_relative_sample(0.003, 0.15, required_guardrails=5) == found


def test_safe_sample__mean_with_a_relative_margin__counts_controls_error_for_more() -> None:
    """T − 1.2·C has the variance σ²(1 + 1.44)/n."""
    z = float(ndtri(0.95) + ndtri(0.9))
    found = power.safe_sample(Guard(baseline=10.0, sd=20.0, relative=True), 0.2)
    assert found.exact_control == pytest.approx(z**2 * 400 * 2.44 / 2**2)
    falling = power.safe_sample(
        Guard(baseline=10.0, sd=20.0, relative=True, better="increase"), 0.2
    )
    assert falling.exact_control == pytest.approx(z**2 * 400 * 1.64 / 2**2)


def test_safe_sample__looks_covariate_and_clusters__multiply_it() -> None:
    plain = power.safe_sample(Guard(sd=1.0), 0.1).exact_control
    found = power.safe_sample(
        Guard(sd=1.0), 0.1, looks=8, correlation=0.5, design_effect=2.0
    ).exact_control
    assert found == pytest.approx(plain * 0.75 * 2 * inflation(8, 0.05, 0.9, 1))


@given(GUARDS, st.floats(0.01, 0.9), st.integers(0, 6), st.floats(0.2, 3))
def test_safe_power__at_its_own_sample__is_one_minus_the_share_of_beta(
    guard: Guard, margin: float, required: int, ratio: float
) -> None:
    n = power.safe_sample(guard, margin, required_guardrails=required, ratio=ratio).exact_control
    assert power.safe_power(
        guard, margin, n, required_guardrails=required, ratio=ratio
    ) == pytest.approx(1 - 0.2 / (1 + required))


@pytest.mark.parametrize("looks", [2, 8, 14])
@pytest.mark.parametrize(("base", "margin", "ratio"), [(0.02, 0.02, 1.0), (0.001, 0.005, 0.25)])
def test_safety__with_looks__size_power_and_margin_agree(
    base: float, margin: float, ratio: float, looks: int
) -> None:
    guard = Guard(baseline=base)
    n = power.safe_sample(guard, margin, ratio=ratio, looks=looks).exact_control
    assert power.safe_power(guard, margin, n, ratio=ratio, looks=looks) == pytest.approx(
        0.9, abs=1e-6
    )
    assert power.safe_margin(guard, n, ratio=ratio, looks=looks) == pytest.approx(margin, rel=1e-6)


@given(GUARDS, st.floats(10, 1e9), st.floats(0.2, 3))
def test_safe_margin__put_back_as_margin__asks_for_the_same_size(
    guard: Guard, n: float, ratio: float
) -> None:
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


@pytest.mark.parametrize(
    ("base", "relative", "margin", "ratio"),
    [
        (0.02, False, 0.02, 1.0),
        (0.02, False, 0.02, 0.25),
        (0.02, False, 0.02, 1 / 9),
        (0.001, False, 0.005, 0.25),
        (0.001, False, 0.005, 1 / 9),
        (0.2, False, 0.05, 1.0),
        (0.02, True, 1.0, 0.25),
        (0.5, True, 0.5, 0.25),
    ],
)
def test_safe_sample__exact_power_of_the_verdicts_own_test__is_within_a_hundredth(
    base: float, relative: bool, margin: float, ratio: float
) -> None:
    """No harm, a single look: every pair of counts, weighted with its binomial chance by scipy."""
    size = power.safe_sample(Guard(baseline=base, relative=relative), margin, ratio=ratio)
    assert 0.89 <= _exactly_safe(base, size.control, size.treatment, relative, margin) <= 0.91


def test_safe_sample__two_events_in_all__has_more_than_its_power_and_never_less() -> None:
    """A rate of .001 and equal arms: about 1.4 events an arm, whole numbers, so .928 where .9 was
    asked for.
    """
    size = power.safe_sample(Guard(baseline=0.001), 0.005)
    assert 0.9 <= _exactly_safe(0.001, size.control, size.treatment, False, 0.005) <= 0.935


@pytest.mark.parametrize("base", [0.01, 0.1, 0.3])
def test_safe_sample__relative_margin_simulated_by_the_verdicts_own_test__has_its_power(
    base: float,
) -> None:
    """No harm, a single look: Miettinen–Nurminen's z below −1.645 with power .9."""
    n = power.safe_sample(Guard(baseline=base, relative=True), 0.15).control
    events = np.random.default_rng(21).binomial(n, base, (2, 1500))
    critical = float(ndtri(0.05))
    assert (
        0.88
        <= sum((ratio_score(int(c), n, int(t), n, 1.15).z or 0.0) < critical for c, t in events.T)
        / 1500
        <= 0.92
    )


def _exactly_safe(base: float, n_c: int, n_t: int, relative: bool, margin: float) -> float:
    plan = GuardrailPlan(
        "errors", "proportion", "decrease", Margin("relative" if relative else "points", margin)
    )
    critical, chance = float(ndtri(0.05)), 0.0
    arms = [[(x, float(binom.pmf(x, n, base))) for x in _likely(n, base)] for n in (n_c, n_t)]
    for (c, of_c), (t, of_t) in product(*arms):
        z = harm(plan, Totals.of_rate(c, n_c), Totals.of_rate(t, n_t)).z
        chance += of_c * of_t * (z is not None and z < critical)
    return chance


def _likely(n: int, rate: float) -> range:
    return range(int(binom.ppf(1e-5, n, rate)), int(binom.ppf(1 - 1e-5, n, rate)) + 1)
