"""Every registered kind keeps the same promises: symmetry, scale, agreement of test and interval,
and no number out of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.core.deciding.guardrails import GuardrailPlan, Margin, harm
from analytics.core.deciding.looks import observe
from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.observed import Observed, Remembered
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.kinds import KINDS, kind_of, level_of
from analytics.core.results import MetricResult, compare_arms, explore, metric_arm, sums_of
from analytics.core.stats.arms.comparison import Comparison
from analytics.core.stats.arms.quantile import of_rows
from experiments.core.types import MetricKind

Rows = tuple[np.ndarray, np.ndarray]
"""Values and positive whole companions of an arm's units."""
MAKERS: dict[str, Callable[[Rows], Observed]] = {
    "proportion": lambda rows: Totals.of_rate(int((rows[0] > 1).sum()), len(rows[0])),
    "mean": lambda rows: Totals.of_values(rows[0]),
    "count": lambda rows: Totals.of_values(np.floor(rows[0])),
    "ratio": lambda rows: UnitMoments.of_rows(y=np.floor(rows[0]), d=rows[1]),
    "quantile": lambda rows: of_rows(rows[0], list(range(len(rows[0]))), 0.5),
    "duration": lambda rows: of_rows([v if v < 3 else math.inf for v in rows[0]], None, 0.5),
}
ABOVE = [name for name in KINDS if name != "proportion"]
"""Kinds whose interval is the inversion of their test."""


def rows(seed: int, n: int, shift: float = 0.0) -> Rows:
    rng = np.random.default_rng(seed)
    return rng.exponential(1.0, n) + shift, rng.integers(1, 6, n).astype(float)


def compared(name: str, control: Rows, treatment: Rows) -> Comparison:
    kind = kind_of(name)
    c, t = MAKERS[name](control), MAKERS[name](treatment)
    if name in ("quantile", "duration"):
        c, t = _peopled(c, len(control[0])), _peopled(t, len(treatment[0]))
    return kind.compare(c, t, 0.05)


def _peopled(totals: Observed, units: int) -> Observed:
    return replace(totals, units=units)


def test_registry__every_metric_kind_that_can_be_planned__has_its_statistics() -> None:
    assert set(KINDS) == {kind.value for kind in MetricKind} == set(MAKERS)
    assert all(name == kind.name for name, kind in KINDS.items())
    with pytest.raises(ImpossiblePlan, match=r"metric kind 'median': there are proportion"):
        kind_of("median")


def test_level__own_quantile_else_the_usual_one__and_a_mean_has_none() -> None:
    assert (level_of("quantile", None), level_of("duration", None), level_of("quantile", 0.9)) == (
        0.95,
        0.5,
        0.9,
    )
    with pytest.raises(ImpossiblePlan, match="a mean has no quantile"):
        level_of("mean", None)


@pytest.mark.parametrize("name", KINDS)
@given(seed=st.integers(0, 10_000), n=st.integers(250, 400), m=st.integers(250, 400))
def test_kind__arms_swapped__turns_the_difference_round_and_keeps_p(
    name: str, seed: int, n: int, m: int
) -> None:
    one, other = rows(seed, n), rows(seed + 1, m, 0.2)
    there, back = compared(name, one, other), compared(name, other, one)
    assert there.p is not None
    assert there.difference == pytest.approx(-(back.difference or 0.0), rel=1e-9, abs=1e-12)
    assert there.p == pytest.approx(back.p, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("name", ABOVE)
@given(seed=st.integers(0, 10_000), n=st.integers(250, 400), shift=st.floats(0, 0.4))
def test_kind__interval_leaves_out_zero__exactly_when_p_is_below_its_level(
    name: str, seed: int, n: int, shift: float
) -> None:
    found = compared(name, rows(seed, n), rows(seed + 1, n, shift))
    assert found.p is not None
    assert found.ci is not None
    assert (found.p < 0.05) == (not found.ci.holds(0.0))


@pytest.mark.parametrize("name", ["mean", "ratio", "quantile"])
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-6, 0.5, 3.0, 1e7]))
def test_kind__values_scaled__scales_the_difference_and_keeps_p_and_lift(
    name: str, seed: int, scale: float
) -> None:
    def arm(of: Rows, by: float) -> Observed:
        if name == "ratio":
            return UnitMoments.of_rows(y=of[0] * by, d=of[1])
        return (
            Totals.of_values(of[0] * by)
            if name == "mean"
            else _peopled(of_rows(of[0] * by, None, 0.5), len(of[0]))
        )

    kind, one, other = kind_of(name), rows(seed, 300), rows(seed + 1, 300, 0.1)
    now = kind.compare(arm(one, scale), arm(other, scale), 0.05)
    then = kind.compare(arm(one, 1.0), arm(other, 1.0), 0.05)
    assert now.difference == pytest.approx(scale * (then.difference or 0.0), rel=1e-6)
    assert now.p == pytest.approx(then.p, rel=1e-6)
    assert now.lift == pytest.approx(then.lift, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", KINDS)
def test_kind__more_units_of_the_same__narrow_the_interval_and_lower_p(name: str) -> None:
    few = compared(name, rows(3, 400), rows(4, 400, 0.15))
    many = compared(
        name,
        tuple(np.tile(r, 8) for r in rows(3, 400)),
        tuple(np.tile(r, 8) for r in rows(4, 400, 0.15)),
    )
    assert few.ci is not None
    assert many.ci is not None
    assert many.ci.high - many.ci.low < few.ci.high - few.ci.low
    assert (many.p or 0.0) < (few.p or 0.0)


HUGE = 10**12
HOSTILE: dict[str, list[Observed]] = {
    "unit": [
        NOTHING,
        Totals(1, 1.0, 1.0),
        Totals.of_rate(0, 500),
        Totals.of_rate(500, 500),
        Totals.of_rate(3, HUGE),
        Totals.of_rate(HUGE // 2, HUGE),
        Totals.of_rate(HUGE, HUGE),
    ],
    "ratio": [
        UnitMoments(0, ("y", "d"), (0.0, 0.0), (0.0, 0.0, 0.0)),
        UnitMoments(1, ("y", "d"), (1.0, 2.0), (1.0, 2.0, 4.0)),
        UnitMoments(500, ("y", "d"), (0.0, 0.0), (0.0, 0.0, 0.0)),
        UnitMoments(500, ("y", "d"), (0.0, 900.0), (0.0, 0.0, 4000.0)),
        UnitMoments(500, ("y", "d"), (-100.0, 900.0), (400.0, -200.0, 4000.0)),
        UnitMoments(HUGE, ("y", "d"), (1.0, 2.0 * HUGE), (1.0, 2.0, 5.0 * HUGE)),
    ],
    "rows": [
        of_rows([], None, 0.95),
        of_rows([1.0], None, 0.95),
        of_rows([5.0] * 900, None, 0.95),
        of_rows([math.inf] * 900, None, 0.95),
        of_rows(list(np.linspace(1, 9, 900)), list(range(900)), 0.95),
    ],
}
HOSTILE["time"] = HOSTILE["rows"]


def _honest(value: float | None) -> bool:
    return value is None or math.isfinite(value)


@pytest.mark.parametrize("name", KINDS)
def test_kind__hostile_totals__never_crash_and_never_make_up_a_number(name: str) -> None:
    kind = kind_of(name)
    for control in HOSTILE[kind.form]:
        for treatment in HOSTILE[kind.form]:
            found = kind.compare(control, treatment, 0.05)
            assert all(
                _honest(v) for v in (found.difference, found.p, found.lift, found.z, found.se)
            )
            assert found.p is not None or found.reason, (control, treatment)
            assert found.p is None or 0 <= found.p <= 1
            seen = observe(name, control, treatment)
            assert (seen.z is None) == (seen.reason is not None)
            for margin in kind.margins:
                hurt = harm(
                    GuardrailPlan("g", name, "decrease", Margin(margin, 0.1)), control, treatment
                )
                assert (hurt.z is None) == (hurt.reason is not None)


@pytest.mark.parametrize("name", KINDS)
def test_kind__totals_of_another_form__are_refused_by_name(name: str) -> None:
    wrong: Observed = (
        NOTHING if kind_of(name).form != "unit" else UnitMoments.of_rows(y=[1.0, 2.0], d=[1.0, 1.0])
    )
    with pytest.raises(ImpossibleTotals, match="found"):
        kind_of(name).value(wrong)


def remembered(seed: int, n: int, strength: float) -> Remembered:
    """y follows y0 as far as ``strength`` says; a fifth of the units have no past."""
    rng = np.random.default_rng(seed)
    past = rng.normal(10, 2, n)
    y = strength * past + rng.normal(0, 1, n)
    cut = n * 4 // 5
    return Remembered(UnitMoments.of_rows(y=y[:cut], y0=past[:cut]), UnitMoments.of_rows(y=y[cut:]))


@pytest.mark.parametrize("name", ["mean", "count"])
def test_kind__with_a_past_that_tells__looks_may_decide_by_the_sharper_estimate(name: str) -> None:
    control, treatment = remembered(1, 2000, 1.0), remembered(2, 2000, 1.0)
    raw, sharp = observe(name, control, treatment), observe(name, control, treatment, adjusted=True)
    assert sharp.se is not None
    assert raw.se is not None
    assert sharp.se < 0.75 * raw.se
    found = kind_of(name).adjusted(control, treatment, 0.05)
    assert found is not None
    assert found.difference == pytest.approx(sharp.estimate)
    assert observe(name, control.whole.of("y"), treatment.whole.of("y"), adjusted=True) == raw


def test_compare_arms__covariates_known__shows_raw_cuped_and_sequential_side_by_side() -> None:
    observed = {"control": remembered(1, 2000, 1.0), "b": remembered(2, 2000, 1.0)}
    arms = tuple(metric_arm("mean", key, totals, totals.n) for key, totals in observed.items())
    [against] = compare_arms(
        MetricResult("spend", 1, "Spend", "primary", "mean", "increase", "", 24, arms),
        observed,
        "control",
        0.05,
    ).comparisons
    assert against.cuped is not None
    assert against.always is not None
    assert against.comparison.ci is not None
    assert against.always.interval.low < against.comparison.ci.low
    assert against.always.p >= (against.comparison.p or 0.0)
    assert (against.cuped.se or 9.0) < (against.comparison.se or 0.0)
    assert sums_of(observed["b"])["n"] == 2000


def test_bad_units__from_totals_alone__are_never_more_than_there_are() -> None:
    rng = np.random.default_rng(7)
    y, d = rng.poisson(0.3, 500).astype(float), rng.integers(1, 9, 500).astype(float)
    arm = UnitMoments.of_rows(y=y, d=d)
    counted = kind_of("ratio").bad_units(arm, arm, "decrease")
    assert counted is not None
    assert 0.5 * 2 * int((y > 0).sum()) < counted <= 2 * int((y > 0).sum())
    assert kind_of("ratio").bad_units(arm, arm, "increase") is None


def test_explore__one_find_among_four__gives_every_interval_at_a_quarter_of_the_level() -> None:
    rates = [(200, 320), (200, 205), (200, 198), (200, 202)]
    observed = [{"a": Totals.of_rate(c, 1000), "b": Totals.of_rate(t, 1000)} for c, t in rates]
    results = [
        compare_arms(
            MetricResult(
                f"m{i}",
                1,
                "",
                "secondary",
                "proportion",
                "increase",
                "",
                24,
                tuple(metric_arm("proportion", k, o, 1000) for k, o in arms.items()),
            ),
            arms,
            "a",
            0.05,
        )
        for i, arms in enumerate(observed)
    ]
    [find, *rest] = [m.comparisons[0] for m in explore(results, observed, "a", 0.05)]
    assert find.comparison.ci is not None
    assert find.comparison.ci.level == pytest.approx(1 - 0.05 / 4)
    assert (find.adjustment, find.adjusted_p) == (
        "BH",
        pytest.approx(4 * (find.comparison.p or 0.0)),
    )
    assert all(
        (r.adjusted_p or 0.0) > 0.05 and r.comparison.ci.level == find.comparison.ci.level
        for r in rest
        if r.comparison.ci
    )
