"""The sequential test that stops for harm: by hand, in batches and alone, and how often it stops
what.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.stats.sequential import sprt
from analytics.core.stats.sequential.sprt import (
    HarmBatch,
    SprtPlan,
    SprtState,
    fold,
    watch,
    watch_many,
)

FIVE = SprtPlan(guardrails=5)
HORIZON, SIMS = 6_000, 2_000
BATCHES = st.lists(
    st.builds(HarmBatch, st.integers(0, 60), st.integers(0, 60), st.floats(0.1, 9.0)),
    min_size=1,
    max_size=12,
)


def _rounding(found: float) -> object:
    return pytest.approx(found, rel=1e-9, abs=1e-9)


def test_plan__five_guardrails_on_one_arm__have_a_hundredth_each() -> None:
    assert FIVE.level == pytest.approx(0.01)
    assert FIVE.threshold == pytest.approx(math.log(100))
    assert SprtPlan(2, 3, alpha=0.06).level == pytest.approx(0.01)


def test_llr__equal_arms__is_the_sum_by_hand() -> None:
    # π0 = 1/2, π1 = 5/9: a unit of treatment moves by ln(10/9), one of control by ln(8/9).
    found = watch(FIVE, [HarmBatch(30, 20, 1.0)])
    assert found.llr == pytest.approx(30 * math.log(10 / 9) + 20 * math.log(8 / 9))
    assert (found.x_t, found.x_c, found.observed_ratio, found.crossed) == (30, 20, 1.5, False)


def test_llr__a_tenth_in_treatment__uses_the_ratio_of_that_time() -> None:
    # r = 1/9: π0 = 1/10, π1 = (1.25/9)/(1 + 1.25/9) = 1.25/10.25.
    of_t, of_c = sprt.steps(FIVE, 1 / 9)
    assert of_t == pytest.approx(math.log(1.25 / 10.25 * 10))
    assert of_c == pytest.approx(math.log(9 / 10.25 / 0.9))


def test_watch__plain_harm__is_proven_and_says_how_much() -> None:
    found = watch(FIVE, [HarmBatch(200, 100, 1.0), HarmBatch(0, 500, 1.0)])
    # Then the arm was stopped after the first batch, and what came later changes nothing.
    assert found.crossed
    assert (found.x_t, found.x_c) == (200, 100)
    assert found.message == "harm proven, observed +100.0 %"


def test_watch__likelihood_high_but_ratio_below__goes_on() -> None:
    # Given 2,400 against 2,000: +20 %, far beyond ln 100 in the plain form.
    found = watch(FIVE, [HarmBatch(2_400, 2_000, 1.0)])
    assert found.llr > FIVE.threshold
    assert (found.crossed, found.message) == (False, None)


def test_watch__ratio_high_but_few_events__goes_on() -> None:
    assert not watch(FIVE, [HarmBatch(20, 10, 1.0)]).crossed


def test_watch__no_events_in_control__is_no_division_by_nothing() -> None:
    assert SprtState().observed_ratio is None
    found = watch(FIVE, [HarmBatch(10**12, 0, 1.0)])
    assert found.crossed and found.message is not None and "none in control" in found.message
    assert watch(FIVE, [HarmBatch(0, 10**12, 1.0)]).observed_ratio == 0.0


def test_watch__shares_changed_on_the_way__compares_like_with_like() -> None:
    # Given no effect at all: first a tenth of the units in treatment with many errors, then half
    # with few.
    found = watch(FIVE, [HarmBatch(100, 900, 1 / 9), HarmBatch(100, 100, 1.0)])
    assert found.observed_ratio == pytest.approx(1.0)
    # Ignoring the change would have seen θ = .2 or, with the last ratio, five times the harm that
    # is not there.
    assert abs(found.llr) < 5


@given(BATCHES)
def test_watch__event_by_event__ends_where_batches_do(batches: list[HarmBatch]) -> None:
    never = SprtPlan(alpha=1e-300)
    singles = [
        HarmBatch(a, 1 - a, b.exposure_ratio) for b in batches for a in [1] * b.x_t + [0] * b.x_c
    ]
    one, other = watch(never, singles), watch(never, batches)
    assert one.llr == _rounding(other.llr)
    assert (one.x_t, one.x_c) == (other.x_t, other.x_c)


@given(BATCHES)
def test_watch_many__the_same_batches__says_the_same(batches: list[HarmBatch]) -> None:
    found = watch_many(
        FIVE,
        [b.x_t for b in batches],
        [b.x_c for b in batches],
        [b.exposure_ratio for b in batches],
    )
    states = [watch(FIVE, batches[: k + 1]) for k in range(len(batches))]
    first = next((k for k, state in enumerate(states) if state.crossed), -1)
    assert found.first_crossing == first
    for k, (before, now) in enumerate(pairwise([SprtState(), *states])):
        if not before.crossed:
            assert found.llr[k] == _rounding(now.llr)
            ratio = math.nan if now.observed_ratio is None else now.observed_ratio
            assert found.observed_ratio[k] == pytest.approx(ratio, nan_ok=True)


@given(BATCHES)
def test_fold__one_more_event_in_treatment__only_ever_speaks_for_harm(
    batches: list[HarmBatch],
) -> None:
    state = watch(FIVE, batches)
    if not state.crossed:
        assert (
            fold(FIVE, state, HarmBatch(1, 0, 1.0)).llr
            > state.llr
            > fold(FIVE, state, HarmBatch(0, 1, 1.0)).llr
        )


@pytest.mark.parametrize(
    ("direction", "kind", "adds_values", "watched"),
    [
        ("decrease", "proportion", False, True),
        ("decrease", "count", False, True),
        ("decrease", "ratio", False, True),
        ("decrease", "ratio", True, False),  # cost per request
        ("decrease", "quantile", False, False),  # latency
        ("decrease", "mean", False, False),
        ("increase", "proportion", False, False),  # a falling primary
    ],
)
def test_why_not_watched__only_bad_events_are(
    direction: str, kind: str, adds_values: bool, watched: bool
) -> None:
    reason = sprt.why_not_watched(
        "decrease" if direction == "decrease" else "increase", kind, adds_values=adds_values
    )
    assert (reason is None) == watched


@pytest.mark.parametrize(
    "wrong",
    [
        {"guardrails": 0},
        {"test_arms": 0},
        {"alpha": 0.0},
        {"alpha": math.nan},
        {"harmful_ratio": 1.0},
        {"harmful_ratio": math.inf},
    ],
)
def test_plan__nonsense__is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ImpossiblePlan):
        SprtPlan(**wrong)


@pytest.mark.parametrize("wrong", [(-1, 0, 1.0), (0, 1.5, 1.0), (1, 1, 0.0), (1, 1, math.nan)])
def test_batch__nonsense__is_refused(wrong: tuple[int, int, float]) -> None:
    with pytest.raises(ImpossibleTotals):
        HarmBatch(*wrong)
    if not isinstance(wrong[1], float):
        with pytest.raises(ImpossibleTotals):
            watch_many(FIVE, [wrong[0]], [wrong[1]], [wrong[2]])


def _stopped(plan: SprtPlan, theta: float, seed: int, *, ratio: float = 1.0) -> tuple[float, float]:
    """Share of 2,000 tests stopped within 6,000 events, looked at after every five: by ours, and by
    the plain form.
    """
    t = np.random.default_rng(seed).binomial(
        5, theta * ratio / (1 + theta * ratio), (SIMS, HORIZON // 5)
    )
    found = watch_many(plan, t, 5 - t, ratio)
    return float(found.crossed.mean()), float((found.llr >= plan.threshold).any(axis=-1).mean())


def _slack(rate: float) -> float:
    return 3.29 * math.sqrt(rate * (1 - rate) / SIMS)


@pytest.mark.parametrize("ratio", [1.0, 1 / 9])
def test_sprt__no_effect__stops_as_rarely_as_promised(ratio: float) -> None:
    assert _stopped(FIVE, 1.0, 1, ratio=ratio)[0] <= 0.01 + _slack(0.01)


def test_sprt__no_effect_but_clumped_events__is_kept_honest_by_counting_units() -> None:
    # Given units whose bad events come in clumps of three on average, and no effect.
    rng = np.random.default_rng(5)
    t = rng.random((SIMS // 2, HORIZON // 10)) < 0.5
    clump = rng.geometric(1 / 3, t.shape)
    assert watch_many(FIVE, t, ~t).crossed.mean() <= 0.01 + _slack(0.01)
    # Then counting the events themselves would have stopped many.
    assert watch_many(FIVE, t * clump, ~t * clump).crossed.mean() > 0.1


def test_sprt__harmless_tenth__is_left_alone_where_the_plain_form_stops_it() -> None:
    assert _stopped(SprtPlan(), 1.1, 3)[1] == pytest.approx(0.56, abs=_slack(0.56))
    assert _stopped(FIVE, 1.1, 3)[0] <= 0.15


def test_sprt__a_quarter_more__is_found() -> None:
    assert _stopped(FIVE, 1.25, 4)[0] >= 0.787
