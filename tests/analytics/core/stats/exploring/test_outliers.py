"""Outliers and bots: the one player of Cookie Cats, almost nobody among the well-behaved, with and
without.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.totals import Totals
from analytics.core.stats.exploring.outliers import (
    Fence,
    NoFence,
    fence_of,
    find_outliers,
    with_and_without,
    without,
)
from tests.places import VECTORS

ROUNDS = json.loads((VECTORS / "cookie_cats_rounds.json").read_text(encoding="utf-8"))
"""How many players of each arm played how many rounds (90,189 players)."""


def _played(arm: str) -> NDArray[np.float64]:
    return np.repeat(ROUNDS[arm]["rounds"], ROUNDS[arm]["players"]).astype(float)


def test_find_outliers__cookie_cats__names_the_one_player_of_49854_rounds() -> None:
    rounds = np.concatenate([_played("gate_30"), _played("gate_40")])
    found = find_outliers([f"player {k}" for k in range(rounds.size)], rounds)
    assert rounds.size == 90_189
    assert [(o.count, o.beyond, o.per_hour) for o in found.units] == [(49_854.0, ("count",), None)]
    assert found.units[0].unit == f"player {int(rounds.argmax())}"
    assert isinstance(found.fence, Fence) and 10_000 < found.fence.value < 49_854


def test_with_and_without__cookie_cats__the_one_player_made_most_of_the_noise() -> None:
    control, treatment = (Totals.of_values(_played(arm)) for arm in ("gate_30", "gate_40"))
    found = with_and_without(control, treatment, {"control": [49_854.0]})
    assert (found.named_control, found.named_treatment, found.uneven) == (1, 0, False)
    assert found.whole.difference is not None and found.without.difference is not None
    assert found.whole.difference == pytest.approx(-1.1576, abs=1e-3)
    assert found.without.difference - found.whole.difference == pytest.approx(
        49_854 / 44_700, rel=0.01
    )
    assert (found.without.se or 0) < 0.6 * (found.whole.se or 0)


LAWS: dict[str, Callable[[np.random.Generator], NDArray[Any]]] = {
    "log-normal": lambda rng: np.round(rng.lognormal(3, 1, 100_000)),
    "wide log-normal": lambda rng: np.round(rng.lognormal(3, 2, 100_000)),
    "geometric": lambda rng: rng.geometric(0.02, 100_000),
    "short geometric": lambda rng: rng.geometric(0.3, 100_000),
    "mostly nothing": lambda rng: rng.geometric(0.8, 100_000) - 1,
    "Poisson": lambda rng: rng.poisson(30, 100_000),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("seed", [1, 2])
def test_fence__a_hundred_thousand_well_behaved_people__names_almost_nobody(
    law: str, seed: int
) -> None:
    counts = LAWS[law](np.random.default_rng(seed))
    assert len(find_outliers([str(k) for k in range(100_000)], counts).units) <= 1


def test_fence__a_twentieth_of_bots__are_all_named_and_do_not_hide_each_other() -> None:
    rng = np.random.default_rng(3)
    people, bots = rng.geometric(0.05, 9_600), rng.integers(40_000, 60_000, 400)
    found = find_outliers(
        [f"p{k}" for k in range(9_600)] + [f"bot{k}" for k in range(400)],
        np.concatenate([people, bots]),
    )
    assert {o.unit for o in found.units} == {f"bot{k}" for k in range(400)}
    assert [o.count for o in found.units] == sorted(bots.tolist(), reverse=True)


def test_fence__of_a_histogram__is_that_of_the_rows() -> None:
    histogram = ROUNDS["gate_30"]
    ours, rows = fence_of(histogram["rounds"], histogram["players"]), fence_of(_played("gate_30"))
    assert ours == rows


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5_000), min_size=100, max_size=300), st.integers(0, 1_000))
def test_fence__more_units_that_did_nothing__moves_nothing(counts: list[int], idle: int) -> None:
    assert fence_of([*counts, *[0] * idle]) == fence_of(counts)


def test_per_hour__a_script_of_ordinary_size_in_one_minute__is_named_for_its_rate() -> None:
    rng = np.random.default_rng(12)
    counts = rng.geometric(0.02, 5_000).astype(float)
    hours = np.maximum(1.0, counts / rng.uniform(5, 20, 5_000))
    counts[17], hours[17] = 1_500.0, 0.02
    found = find_outliers([str(k) for k in range(5_000)], counts, hours)
    assert [(o.unit, o.beyond, o.per_hour) for o in found.units] == [("17", ("per hour",), 1_500.0)]


def test_with_and_without__named_units_in_one_arm_only__says_that_treatment_makes_them() -> None:
    arm = Totals.of_values([*range(1_000), *[10_000.0] * 30])
    found = with_and_without(Totals.of_values(range(1_030)), arm, {"treatment": [10_000.0] * 30})
    assert found.uneven and found.uneven_p is not None and found.uneven_p < 1e-6
    assert not with_and_without(
        arm, arm, {"control": [10_000.0] * 30, "treatment": [10_000.0] * 29}
    ).uneven


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50), st.data())
def test_without__any_part__is_the_totals_of_the_rest(
    values: list[float], data: st.DataObject
) -> None:
    k = data.draw(st.integers(0, len(values)))
    left = without(Totals.of_values(values), Totals.of_values(values[:k]))
    rest = Totals.of_values(values[k:])
    assert left.n == rest.n
    assert left.sum_y == pytest.approx(rest.sum_y, rel=1e-6, abs=1e-6 * max(values) + 1e-9)
    assert left.sum_y2 == pytest.approx(rest.sum_y2, rel=1e-6, abs=1e-6 * max(values) ** 2 + 1e-9)


@pytest.mark.parametrize("counts", [[], [0.0] * 500, [1.0] * 99 + [0.0] * 500])
def test_fence__of_hardly_anybody__names_nobody(counts: list[float]) -> None:
    found = find_outliers([str(k) for k in range(len(counts))], counts, counts)
    assert found.units == ()
    assert isinstance(found.fence, NoFence) and isinstance(found.hourly_fence, NoFence)


def test_fence__of_units_that_all_did_the_same__has_the_least_spread() -> None:
    found = fence_of([1.0] * 500)
    assert isinstance(found, Fence)
    assert found.value == pytest.approx(2 * math.exp(2) - 1)


def test_fence__of_trillions_of_events_a_unit__stays_a_number() -> None:
    found = fence_of(np.logspace(0, 300, 1_000))
    assert isinstance(found, Fence) and math.isfinite(found.value)


@pytest.mark.parametrize("counts", [[1.0, math.nan], [1.0, -1.0], [1.0, math.inf], [1.0]])
def test_outliers__of_counts_that_cannot_be__are_refused(counts: list[float]) -> None:
    with pytest.raises(ImpossibleTotals):
        find_outliers(["a", "b"], counts)


def test_without__more_than_there_is__is_refused() -> None:
    with pytest.raises(ImpossibleTotals):
        without(Totals(1, 1.0, 1.0), Totals(2, 2.0, 2.0))
    with pytest.raises(ImpossibleTotals):
        without(Totals(2, 2.0, 2.0), Totals(1, 9.0, 81.0))
    with pytest.raises(ImpossibleTotals):
        find_outliers(["a"], [1.0], [1.0, 2.0])
