"""Bucket plans: proportions, ramps that move nobody, dark launches, resting buckets, exact
thousandths.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.core.design.allocation import (
    BucketPlan,
    BucketRow,
    counts,
    dark_counts,
    free_buckets,
    plan,
    plan_dark,
    rest_until,
    to_thousandths,
)
from experiments.core.errors import InvalidInput, Refused
from experiments.core.hashing import bucket_of, shuffled_buckets

ORDER = shuffled_buckets("5eed00c0ffee")
ALL = frozenset(range(1000))
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@st.composite
def weight_sets(draw: st.DrawFn) -> list[int]:
    """Two to eight positive weights that sum to 1,000."""
    cuts = sorted(draw(st.sets(st.integers(1, 999), min_size=1, max_size=7)))
    return [b - a for a, b in zip([0, *cuts], [*cuts, 1000], strict=True)]


def ramp(
    weights: list[int], steps: list[int], reserved: int = 0, free: frozenset[int] = ALL
) -> list[list[int]]:
    """The buckets each arm holds after a ramp's steps; each step must only add."""
    held: list[list[int]] = [[] for _ in weights]
    for step in steps:
        added = plan(ORDER, free, weights, step, held, reserved).added
        held = [before + list(more) for before, more in zip(held, added, strict=True)]
    return held


@given(weights=weight_sets())
@settings(max_examples=25, deadline=None)
def test_counts__every_total__within_one_of_the_exact_share_and_never_falling(weights: list[int]):
    before = [0] * len(weights)
    for total in range(0, 1001, 1 if len(weights) < 4 else 7):
        now = counts(weights, total)
        assert sum(now) == total
        assert all(
            abs(count - weight * total / 1000) < 1
            for count, weight in zip(now, weights, strict=True)
        )
        assert all(a <= b for a, b in zip(before, now, strict=True))
        before = list(now)


@given(first=st.integers(1, 999), total=st.integers(0, 1000))
def test_counts__two_arms__are_the_largest_remainder(first: int, total: int):
    held = counts([first, 1000 - first], total)
    assert abs(held[0] - first * total / 1000) <= 0.5


def test_counts__where_largest_remainder_would_take_a_bucket_back__does_not():
    """Shares 6:6:2 of 14: largest remainder gives the last arm 2 of 10 buckets but 1 of 11."""
    weights = [429, 428, 143]
    assert counts(weights, 11)[2] >= counts(weights, 10)[2]


@pytest.mark.parametrize(
    "weights",
    [[300, 41, 356, 3, 300], [37, 167, 200, 41, 554, 1], [2, 1, 411, 180, 1, 198, 184, 23]],
)
def test_counts__splits_where_the_largest_shortfall_alone_would_fall_a_bucket_behind__do_not(
    weights: list[int],
):
    """With the first split the last arm would hold 149 of 500 buckets, a whole one less than its
    150.
    """
    for total in range(1001):
        assert all(
            abs(count - weight * total / 1000) < 1
            for count, weight in zip(counts(weights, total), weights, strict=True)
        )


@given(
    weights=weight_sets(),
    steps=st.sets(st.integers(1, 1000), min_size=1, max_size=5),
    reserved=st.sampled_from([0, 20]),
)
@settings(max_examples=25, deadline=None)
def test_ramp__any_steps__holds_what_one_step_would_hold(
    weights: list[int], steps: set[int], reserved: int
):
    try:
        held = ramp(weights, sorted(steps), reserved)
    except Refused:
        return  # a step too small for one of the arms, tested below
    assert held == [
        list(arm) for arm in plan(ORDER, ALL, weights, max(steps), reserved=reserved).added
    ]
    assert len({bucket for arm in held for bucket in arm}) == min(max(steps), 1000 - reserved)


def test_ramp__1_5_20_50_100__moves_none_of_ten_thousand_units():
    weights = [500, 300, 200]
    variant_of: dict[str, int] = {}
    held: list[list[int]] = [[], [], []]
    for step in [10, 50, 200, 500, 1000]:
        held = [
            a + list(b)
            for a, b in zip(held, plan(ORDER, ALL, weights, step, held).added, strict=True)
        ]
        owner = {bucket: arm for arm, buckets in enumerate(held) for bucket in buckets}
        for unit in (f"user-{i}" for i in range(10_000)):
            arm = owner.get(bucket_of("5eed00c0ffee", unit))
            if arm is not None:
                assert variant_of.setdefault(unit, arm) == arm
    assert len(variant_of) == 10_000
    assert [len(arm) for arm in held] == weights


def test_plan__five_percent_control_and_twenty_percent_test__of_a_quarter_of_units():
    assert plan(ORDER, ALL, [200, 800], 250).counts == (50, 200)


def test_plan__step_too_small_for_an_arm__refuses():
    with pytest.raises(Refused, match=r"gives arm 1 \(weight 50\) none"):
        plan(ORDER, ALL, [50, 475, 475], 5)


@pytest.mark.parametrize("step", [0, 40, 50])
def test_plan__step_that_adds_nothing__refuses(step: int):
    with pytest.raises(Refused, match="only adds"):
        plan(ORDER, ALL, [500, 500], step, ramp([500, 500], [50]))


def test_plan__shared_layer_too_full__refuses_with_wanted_and_free():
    with pytest.raises(Refused, match="100 buckets wanted, 60 free"):
        plan(ORDER, frozenset(range(60)), [500, 500], 100)


def test_plan__shared_layer__hands_out_free_buckets_only():
    free = frozenset(range(0, 1000, 3))
    held = plan(ORDER, free, [500, 500], 200).added
    assert {bucket for arm in held for bucket in arm} <= free


def test_plan__own_buckets_listed_as_free__are_not_handed_out_twice():
    held = ramp([500, 500], [100])
    added = plan(ORDER, ALL, [500, 500], 200, held).added
    assert not {b for arm in added for b in arm} & {b for arm in held for b in arm}


@pytest.mark.parametrize("weights", [[500, 400], [1100, -100], []])
def test_plan__weights_that_are_not_a_split__refuses(weights: list[int]):
    with pytest.raises(InvalidInput, match="sum to"):
        plan(ORDER, ALL, weights, 100)


@pytest.mark.parametrize("traffic", [-1, 1001])
def test_plan__traffic_outside_the_units__refuses(traffic: int):
    with pytest.raises(InvalidInput, match="traffic"):
        plan(ORDER, ALL, [500, 500], traffic)


@pytest.mark.parametrize(
    ("weights", "control", "expected"),
    [
        ([500, 500], 0, (0, 10)),
        ([500, 250, 250], 0, (0, 5, 5)),
        ([250, 500, 250], 1, (5, 0, 5)),
        ([100, 450, 440, 10], 0, (0, 5, 4, 1)),
        ([900, *[10] * 10], 0, (0, *[1] * 10)),
    ],
)
def test_dark_counts__ten_over_the_test_arms__at_least_one_each(
    weights: list[int], control: int, expected: tuple[int, ...]
):
    assert dark_counts(weights, control) == expected


@pytest.mark.parametrize("weights", [[1000], [890, *[10] * 11]])
def test_dark_counts__no_test_arm_or_more_than_ten__refuses(weights: list[int]):
    with pytest.raises(Refused, match="1 to 10 test arms"):
        dark_counts(weights, 0)


@given(weights=weight_sets())
@settings(max_examples=25, deadline=None)
def test_plan_dark__then_all_units__980_in_proportion_and_no_bucket_twice(weights: list[int]):
    dark = plan_dark(ORDER, ALL, weights, control=0)
    reserved = {*dark.twins, *(bucket for arm in dark.dark for bucket in arm)}
    assert len(reserved) == 20
    assert dark.dark[0] == ()
    assert all(dark.dark[1:])
    full = plan(ORDER, ALL - reserved, weights, 1000, reserved=20)
    assert sum(full.counts) == 980
    assert not reserved & {bucket for arm in full.added for bucket in arm}
    assert all(
        abs(count - weight * 0.98) < 1 for count, weight in zip(full.counts, weights, strict=True)
    )


def test_plan_dark__too_few_free__refuses():
    with pytest.raises(Refused, match="wants 20 buckets, 19 are free"):
        plan_dark(ORDER, frozenset(range(19)), [500, 500], 0)


def test_plan_dark__comes_on_top_of_the_declared_share():
    assert plan(ORDER, ALL, [500, 500], 100, reserved=20) == BucketPlan(
        plan(ORDER, ALL, [500, 500], 100).added, (50, 50)
    )


def test_free_buckets__released__rest_thirty_days():
    until = rest_until(NOW)
    rows = [BucketRow(0), BucketRow(1, held=True), BucketRow(2, resting_until=until)]
    assert until - NOW == timedelta(days=30)
    assert free_buckets(rows, until - timedelta(seconds=1)) == {0}
    assert free_buckets(rows, until) == {0, 2}


@pytest.mark.parametrize(
    ("fractions", "expected"),
    [
        ([1 / 3, 1 / 3, 1 / 3], [333, 334, 333]),
        ([0.33, 0.34, 0.33], [330, 340, 330]),
        ([0.9, 0.1], [900, 100]),
        ([0.4, 0.3, 0.3], [400, 300, 300]),
        ([0.5, 0.5], [500, 500]),
        ([0.05, 0.95], [50, 950]),
        ([Decimal("0.1"), "0.2", 0.7], [100, 200, 700]),
        ([1 / 6] * 6, [166, 167, 167, 167, 167, 166]),
        ([0.7, 0.1, 0.2], [700, 100, 200]),
        ([0.9999999, 0.0], [1000, 0]),
        ([1], [1000]),
    ],
)
def test_to_thousandths__exact(fractions: list[float | Decimal | str], expected: list[int]):
    assert to_thousandths(fractions) == expected


@given(parts=st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_to_thousandths__any_split__sums_to_a_thousand_within_one(parts: list[int]):
    fractions = [part / sum(parts) for part in parts]
    if min(fractions) < 0.001:
        return
    shares = to_thousandths(fractions)
    assert sum(shares) == 1000
    assert all(
        abs(share - 1000 * part / sum(parts)) < 1 for share, part in zip(shares, parts, strict=True)
    )


@pytest.mark.parametrize(
    ("fractions", "says"),
    [
        ([0.5, 0.4], "sum to 0.9"),
        ([], "sum to 0"),
        ([0.5, 0.50001], "sum to 1"),
        ([1.2, -0.2], "found '1.2'"),
        ([float("nan"), 1.0], "found 'nan'"),
        ([float("inf"), 0.0], "found 'inf'"),
        (["half", "0.5"], "found 'half'"),
        (["1e-999999", "1"], "found '1e-999999'"),
        ([True, 0.0], "found 'True'"),
        ([0.9999, 0.0001], "less than a thousandth"),
    ],
)
def test_to_thousandths__no_split__refuses(fractions: list[float | Decimal | str], says: str):
    with pytest.raises(InvalidInput, match=says):
        to_thousandths(fractions)
