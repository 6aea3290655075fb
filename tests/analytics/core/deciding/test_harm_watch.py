"""The SPRT over hours of bad events: what each hour says, what stops an arm, what never does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analytics.core.deciding.harm_watch import Hour, batches, watched
from analytics.core.stats.sequential.sprt import HarmBatch, SprtPlan

START = datetime(2026, 3, 2, tzinfo=UTC)
FIVE = SprtPlan(guardrails=5, test_arms=1)


def hours(*counts: tuple[int, int], first: int = 0) -> list[Hour]:
    """One after another: units exposed, units with their first bad event."""
    return [
        Hour(START + timedelta(hours=first + i), exposed, bad)
        for i, (exposed, bad) in enumerate(counts)
    ]


def test_batches__each_hour__has_its_bad_units_and_the_ratio_exposed_by_then() -> None:
    found = batches(hours((100, 1), (100, 2), (0, 3)), hours((100, 0), (0, 4)))
    assert found == [HarmBatch(0, 1, 1.0), HarmBatch(4, 2, 0.5), HarmBatch(0, 3, 0.5)]


def test_batches__hour_before_both_arms_met_units__is_left_out() -> None:
    assert batches(hours((100, 5)), hours((50, 9), first=1)) == [HarmBatch(9, 0, 0.5)]
    assert batches(hours((100, 5)), []) == []


def test_watched__no_common_hour__says_so_and_proves_nothing() -> None:
    found = watched(FIVE, "errors", "b", hours((100, 5)), [])
    assert (found.proven, found.reason) == (False, "no hour in which both arms have met units")


def test_watched__half_as_many_again__is_proven_at_the_shared_level_and_says_how_much() -> None:
    found = watched(FIVE, "errors", "b", hours(*[(100, 20)] * 30), hours(*[(100, 30)] * 30))
    assert found.threshold == pytest.approx(np.log(100)), "five guardrails on one arm: .01 each"
    assert found.proven
    assert found.message == "harm proven, observed +50.0 %"


def test_watched__ten_per_cent_more_for_ever__is_not_proven_however_large_the_ratio_of_likelihoods() -> (
    None
):
    found = watched(FIVE, "errors", "b", hours(*[(1000, 200)] * 300), hours(*[(1000, 230)] * 300))
    assert found.llr > found.threshold
    assert (found.proven, found.message) == (False, "")


def test_watched__unequal_arms_without_harm__expects_bad_units_in_their_ratio() -> None:
    found = watched(FIVE, "errors", "b", hours(*[(1000, 100)] * 50), hours(*[(50, 5)] * 50))
    assert (found.proven, found.ratio) == (False, pytest.approx(1.0))
    assert found.llr < 0


def test_watched__no_harm__is_stopped_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(20260302)
    stopped = 0
    for _ in range(400):
        bad = rng.binomial(200, 0.1, size=(60, 2)).tolist()
        found = watched(
            FIVE,
            "errors",
            "b",
            hours(*[(200, c) for c, _ in bad]),
            hours(*[(200, t) for _, t in bad]),
        )
        stopped += found.proven
    assert stopped <= 0.01 * 400 + 3.29 * (0.01 * 0.99 * 400) ** 0.5
