"""Which test decides, what it says, and its error rate with lasting shocks."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.core.ground.encoding import plain, restored
from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.stats.did import DidResult, difference_in_differences, effects
from analytics.core.stats.did.bootstrap import SEED, WEBB, bootstrap, draws_for
from analytics.core.stats.did.cluster import cr1
from analytics.core.stats.did.inference import decision_p
from analytics.core.stats.did.permutation import permute
from analytics.core.stats.did.simulation import false_positives
from tests.analytics.core.stats.did.panels import (
    card_krueger,
    drawn,
    organ_donations,
    panel,
    with_gaps,
)


def _slow_p(whole, weights):
    """The bootstrap as its definition says: refit every draw."""
    model = effects.two_way(whole)
    y = model.swept(whole.values)
    rest = np.delete(model.design.x, 0, axis=1)
    residuals = y - rest @ np.linalg.lstsq(rest, y, rcond=None)[0]
    fitted, real = y - residuals, abs(cr1(model.design, y, 0).t)
    sizes = np.diff(np.r_[model.design.starts, len(y)])
    ts = [abs(cr1(model.design, fitted + residuals * np.repeat(w, sizes), 0).t) for w in weights]
    return sum(t >= real * (1 - 1e-9) for t in ts), len(ts)


@pytest.mark.parametrize("gaps", [(), ((0, 1), (3, 6), (7, 0))])
def test_bootstrap__ten_clusters__is_every_sign_refitted(gaps) -> None:
    whole = with_gaps(drawn(7, effect=0.8), *gaps)
    model = effects.two_way(whole)
    found = bootstrap(model.design, model.swept(whole.values), 0)
    rng = np.random.default_rng(1)
    some = rng.integers(0, 1024, size=150)
    signs, enumerated, _ = draws_for(10)
    reached, count = _slow_p(whole, signs[some])
    tops, bottoms = np.abs(found.top), np.sqrt(found.q0)
    t = abs(found.value) / found.se
    assert enumerated and count == 150
    assert reached == np.count_nonzero((tops >= t * (1 - 1e-9) * bottoms)[some])


def test_draws_for__rule_by_clusters__webb_then_every_sign_then_drawn() -> None:
    nine, ten, twelve, thirteen = (draws_for(g) for g in (9, 10, 12, 13))
    assert (
        nine[0].shape == (9999, 9)
        and set(np.unique(nine[0]).round(9)) == set(WEBB.round(9))
        and not nine[1]
    )
    assert (
        ten[0].shape == (1024, 10) and len({tuple(w) for w in ten[0].tolist()}) == 1024 and ten[1]
    )
    assert twelve[0].shape == (4096, 12) and twelve[1]
    assert (
        thirteen[0].shape == (9999, 13)
        and set(np.unique(thirteen[0])) == {-1.0, 1.0}
        and not thirteen[1]
    )
    assert draws_for(8, True)[0].shape == (256, 8)


def test_draws_for__seed__gives_the_same_draws_for_ever() -> None:
    expected = WEBB[np.random.default_rng([SEED, 8]).integers(6, size=(9999, 8))]
    assert (draws_for(8)[0] == expected).all()


def test_bootstrap__huge_effect__has_the_smallest_p_there_is() -> None:
    """The identity and its mirror always count, and so do draws that flip one whole group."""
    found = difference_in_differences(drawn(2, effect=500.0))
    wild = found.tests[1]
    assert 2 / 1024 <= wild.p <= 4 / 1024
    drawn_p = difference_in_differences(drawn(2, regions=14, treated=7, effect=500.0)).tests[1].p
    assert drawn_p >= 1 / 10_000


@settings(max_examples=25)
@given(st.integers(0, 60), st.sampled_from([(8, 4), (9, 3), (10, 5), (12, 4), (14, 6)]))
def test_bootstrap__interval__excludes_zero_exactly_when_p_is_small(seed, size) -> None:
    whole = drawn(seed, regions=size[0], treated=size[1], effect=1.0)
    found = difference_in_differences(whole)
    model = effects.two_way(whole)
    assert decision_p(model.design, model.swept(whole.values)) == pytest.approx(found.decision_p)
    for test in found.tests:
        if test.ci is not None:
            assert test.ci.holds(0.0) == (test.p > 0.05)
    assert found.decision_p == max(test.p for test in found.tests)
    if found.ci is not None:
        assert found.ci.holds(0.0) == (found.decision_p > 0.05)


def test_infer__forty_regions__cr2_decides_alone() -> None:
    few, many = (difference_in_differences(drawn(4, regions=g, treated=g // 2)) for g in (39, 40))
    assert len(few.tests) == 2 and "2 methods" in few.method
    assert [test.method for test in many.tests] == ["CR2 with Satterthwaite's t"]


@pytest.mark.parametrize(("regions", "treated"), [(12, 1), (12, 2), (12, 10), (12, 11)])
def test_infer__one_or_two_regions_in_a_group__permutation_only(regions, treated) -> None:
    found = difference_in_differences(drawn(3, regions=regions, treated=treated, effect=0.4))
    assert [test.method.split()[0] for test in found.tests] == ["permutation"]
    assert found.se is None and found.sequential.ci is None and "only test" in found.notes[0]
    assert all(point.ci is None for point in found.event_study)


@pytest.mark.parametrize(
    ("treated", "gaps"), [(1, ()), (2, ()), (2, ((4, 0), (6, 5), (1, 2))), (8, ((4, 0),))]
)
def test_permute__every_placement__is_an_estimate_with_other_regions_treated(treated, gaps) -> None:
    whole = with_gaps(drawn(9, treated=treated, effect=0.7), *gaps)
    sizes = []
    for chosen in itertools.combinations(range(10), treated):
        order = [*chosen, *(g for g in range(10) if g not in chosen)]
        model = effects.two_way(panel(whole.values[order], treated, 4))
        sizes.append(abs(float(model.design.influence[:, 0] @ model.swept(whole.values[order]))))
    found = permute(whole, 0.05)
    assert found.choices == len(sizes)
    assert found.p == pytest.approx(np.mean([size >= sizes[0] * (1 - 1e-9) for size in sizes]))


@pytest.mark.parametrize("treated", [1, 23])
def test_permute__interval__holds_the_estimate_and_agrees_with_p(treated) -> None:
    for seed in range(8):
        found = difference_in_differences(drawn(seed, regions=24, treated=treated, effect=2.0))
        assert found.ci.holds(found.estimate)
        assert found.ci.holds(0.0) == (found.decision_p > 0.05)


def test_permute__too_few_regions_for_the_level__says_so_and_gives_no_interval() -> None:
    found = difference_in_differences(drawn(1, regions=6, treated=1, effect=50.0))
    assert found.decision_p == pytest.approx(1 / 6)
    assert found.ci is None and "out of reach" in found.notes[1]


def test_organ_donations__one_treated_state_of_27__permutation_only() -> None:
    found = difference_in_differences(organ_donations())
    assert found.estimate == pytest.approx(-0.022458974358974877, rel=1e-9)
    assert found.method == "permutation over 27 placements"
    assert found.decision_p == pytest.approx(5 / 27)
    assert found.notes[0].startswith("1 treated region of 27")


def test_card_krueger__balanced_panel__has_its_published_numbers() -> None:
    found = difference_in_differences(card_krueger())
    assert (round(found.estimate, 2), round(found.se, 2)) == (2.75, 1.34)
    assert (found.regions, found.treated, len(found.left_out)) == (384, 309, 26)
    assert found.sequential.ci.low < found.ci.low < found.ci.high < found.sequential.ci.high
    assert found.pre_trend.reason == "one period before the start shows no trend"


def test_sequential__below_a_hundred_regions__says_read_once() -> None:
    assert (
        difference_in_differences(drawn(1)).sequential.reason
        == "10 regions; below 100 a pilot is read once, at its end"
    )
    assert difference_in_differences(drawn(1, regions=120, treated=60)).sequential.ci is not None


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        (panel([[1, 2], [1, 2]], 1, 1), "a placebo needs a third region"),
        (panel(np.ones((6, 4)), 3, 2), "standard error cannot be estimated"),
        (panel(np.ones((6, 4)), 1, 2), "no region changed differently"),
        (panel([[1, np.nan], [1, 2], [3, 4]], 1, 1), "0 treated and 2 control regions"),
        (
            panel(
                [
                    [np.nan, 1, 2, np.nan],
                    [np.nan, 3, 4, np.nan],
                    [1, np.nan, np.nan, 2],
                    [1, np.nan, np.nan, 5],
                ],
                2,
                2,
            ),
            "no period in which",
        ),
    ],
)
def test_did__nothing_to_say__says_why(whole, reason) -> None:
    found = difference_in_differences(whole)
    assert reason in found.reason
    assert found.decision_p is None and found.ci is None


@pytest.mark.parametrize("scale", [1e-9, 1e12])
def test_did__tiny_and_huge_values__say_the_same(scale) -> None:
    whole = drawn(6, effect=1.0)
    found = difference_in_differences(panel(whole.values * scale, 5, 4))
    assert found.decision_p == pytest.approx(difference_in_differences(whole).decision_p, rel=1e-6)


def test_did__level_outside_zero_and_one__is_refused() -> None:
    with pytest.raises(ImpossiblePlan, match="alpha"):
        difference_in_differences(drawn(1), 1.0)


@pytest.mark.parametrize(
    "whole", [drawn(1), organ_donations(), card_krueger(), panel(np.ones((6, 4)), 3, 2)]
)
def test_result__stored_as_json__comes_back_equal(whole) -> None:
    found = difference_in_differences(whole)
    assert restored(json.loads(json.dumps(plain(found))), DidResult) == found


@pytest.mark.slow
@pytest.mark.parametrize(("regions", "treated"), [(8, 4), (9, 4), (10, 5)])
def test_did__no_effect_and_lasting_shocks__keeps_its_error_rate(regions, treated) -> None:
    """STATISTICS §5: .0345 to .0665 of 2,000 panels."""
    found = false_positives(2000, 20_260_301 + regions, regions=regions, treated=treated)
    assert 0.0345 <= found / 2000 <= 0.0665
