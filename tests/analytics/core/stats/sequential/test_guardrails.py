"""Guardrail verdicts: harm beyond a margin, safety, and honest ignorance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.core.deciding.guardrails import (
    GuardrailPlan,
    GuardrailReading,
    Margin,
    SafetyLook,
    breach_p,
    harm,
    judge,
)
from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.totals import Totals
from analytics.core.stats.sequential.group_sequential import boundaries

ERRORS = GuardrailPlan("error_rate", "proportion", "decrease", Margin("points", 0.02))
OPT_OUT = GuardrailPlan("opt_out", "proportion", "decrease", Margin("relative", 0.10))
REPLIES = GuardrailPlan("reply_rate", "proportion", "increase", Margin("points", 0.02))
COST = GuardrailPlan("cost", "mean", "decrease", Margin("relative", 0.20))


def _read(
    plan: GuardrailPlan, control: Totals, treatment: Totals, *, looked: bool = True
) -> GuardrailReading:
    seen = harm(plan, control, treatment)
    return GuardrailReading(
        plan, "b", seen, looks=(SafetyLook(1.0, seen.z, last=True),) if looked else ()
    )


def _rates(
    plan: GuardrailPlan, x_c: int, n_c: int, x_t: int, n_t: int, *, looked: bool = True
) -> GuardrailReading:
    return _read(plan, Totals.of_rate(x_c, n_c), Totals.of_rate(x_t, n_t), looked=looked)


@pytest.mark.parametrize(
    ("reading", "verdict"),
    [
        (_rates(ERRORS, 200, 10_000, 700, 10_000), "breach"),
        (_rates(ERRORS, 200, 10_000, 210, 10_000), "safe"),
        (_rates(ERRORS, 200, 10_000, 400, 10_000), "unknown"),
        (_rates(ERRORS, 0, 2_000, 0, 2_000), "safe"),
        (_rates(OPT_OUT, 5_000, 100_000, 6_500, 100_000), "breach"),
        (_rates(OPT_OUT, 5_000, 100_000, 5_000, 100_000), "safe"),
        (_rates(OPT_OUT, 50, 1_000, 50, 1_000), "unknown"),
        (_rates(OPT_OUT, 0, 1_000, 0, 1_000), "unknown"),
        (_rates(REPLIES, 3_000, 10_000, 2_300, 10_000), "breach"),
        (_rates(REPLIES, 3_000, 10_000, 3_700, 10_000), "safe"),
    ],
)
def test_verdict__clear_cases__are_told_apart(reading: GuardrailReading, verdict: str) -> None:
    assert judge([reading])[0].verdict == verdict


def test_verdict__safe_numbers_between_looks__are_not_safe_yet() -> None:
    found = judge([_rates(ERRORS, 200, 10_000, 210, 10_000, looked=False)])[0]
    assert (found.verdict, found.safe_p, found.upper) == ("unknown", None, None)


def test_verdict__too_few_bad_answers__sounds_no_alarm() -> None:
    found = judge([_rates(ERRORS, 0, 60, 19, 60)])[0]
    assert found.verdict == "unknown" and found.breach_p is None
    assert judge([_rates(ERRORS, 0, 60, 45, 60)])[0].verdict == "breach"


def test_verdict__below_ten_units__says_why() -> None:
    found = judge([_rates(ERRORS, 0, 5, 5, 5)])[0]
    assert found.verdict == "unknown" and found.beyond is None
    assert found.reason == "cannot say: control has 5 units; below 10 an arm nothing can be said"


def test_verdict__harm_proven_within_the_margin__is_worsening() -> None:
    found = judge([_rates(ERRORS, 2_000, 100_000, 3_500, 100_000)])[0]
    assert found.worsening and not found.breach
    assert not judge([_rates(ERRORS, 2_000, 100_000, 2_010, 100_000)])[0].worsening


def test_breach__seen_only_in_the_last_two_days__is_found_there() -> None:
    # Given two quiet weeks, then a model change that adds eight points for a day.
    quiet = _rates(ERRORS, 2_000, 100_000, 2_100, 100_000)
    recent = harm(ERRORS, Totals.of_rate(80, 4_000), Totals.of_rate(400, 4_000))
    assert not judge([quiet])[0].breach
    assert judge([replace(quiet, recent=recent)])[0].breach


def test_breach__many_guardrails__needs_stronger_proof_of_each() -> None:
    edge = _rates(ERRORS, 200, 10_000, 485, 10_000)
    alone = breach_p(edge)
    assert alone is not None and 0.005 < alone <= 0.05
    assert judge([edge])[0].breach
    assert not any(r.breach for r in judge([edge, *[_rates(ERRORS, 200, 10_000, 200, 10_000)] * 9]))


def test_mean__cost_beyond_a_fifth__is_a_breach_and_equal_cost_is_safe() -> None:
    rows = [float(v) for v in range(1, 21)] * 50
    control, dear = Totals.of_values(rows), Totals.of_values([1.6 * v for v in rows])
    assert judge([_read(COST, control, dear)])[0].verdict == "breach"
    assert judge([_read(COST, control, control)])[0].verdict == "safe"


def test_mean__relative_margin_on_a_control_of_nothing__cannot_say() -> None:
    found = judge([_read(COST, Totals.of_values([0.0] * 50), Totals.of_values([1.0, 2.0] * 25))])[0]
    assert found.verdict == "unknown" and found.beyond is None


@pytest.mark.parametrize("n", [10, 100, 10**6, 10**12])
@pytest.mark.parametrize("plan", [ERRORS, OPT_OUT, REPLIES])
def test_verdict__hostile_totals__never_crash(plan: GuardrailPlan, n: int) -> None:
    for x_c in (0, 1, n // 2, n):
        for x_t in (0, 1, n // 2, n):
            found = judge([_rates(plan, x_c, n, x_t, n)])[0]
            assert found.verdict in ("breach", "safe", "unknown")
            assert not (found.breach and (found.beyond or 0) <= 0)


def test_margin__nothing_or_in_the_wrong_unit__is_refused() -> None:
    with pytest.raises(ImpossiblePlan):
        Margin("points", 0.0)
    with pytest.raises(
        ImpossiblePlan, match=r"takes a margin of points .* or relative .*; found 500 ms"
    ):
        harm(
            replace(ERRORS, margin=Margin("ms", 500.0)),
            Totals.of_rate(1, 100),
            Totals.of_rate(1, 100),
        )


def test_safe__harm_exactly_at_the_margin_looked_at_daily__is_said_at_most_in_five_percent() -> (
    None
):
    # Given 400 experiments whose true harm is the margin, looked at on 10 days.
    rng = np.random.default_rng(5)
    c, t = (rng.binomial(400, p, size=(400, 10)).cumsum(axis=1) for p in (0.05, 0.07))
    seen = [
        [
            harm(
                ERRORS,
                Totals.of_rate(int(c[i, k]), 400 * (k + 1)),
                Totals.of_rate(int(t[i, k]), 400 * (k + 1)),
            )
            for k in range(10)
        ]
        for i in range(400)
    ]
    bounds = np.array(boundaries([(k + 1) / 10 for k in range(10)], 0.05, 1).z)
    z = np.array([[-(h.z or 0.0) for h in row] for row in seen])
    safe = np.any(z >= bounds, axis=1)
    # Then SAFE is said in at most 5 % (99.9 % binomial bound; naively, it would be far more often)
    # ...
    assert 4 <= int(safe.sum()) <= 36
    assert np.any(z >= 1.645, axis=1).mean() > 0.1
    # ... and the verdict says the same as the boundaries.
    for i in [*np.flatnonzero(safe)[:5], *np.flatnonzero(~safe)[:5]]:
        looks = tuple(SafetyLook((k + 1) / 10, h.z, last=k == 9) for k, h in enumerate(seen[i]))
        assert judge([GuardrailReading(ERRORS, "b", seen[i][-1], looks=looks)])[
            0
        ].safe_at_look == bool(safe[int(i)])
