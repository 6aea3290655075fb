"""What speaks for or against a run's data."""

from __future__ import annotations

import math

import pytest

from analytics.core.ground.observed import Observed
from analytics.core.ground.totals import Totals
from analytics.core.results import ArmSummary, MetricResult, metric_arm
from analytics.core.scans.health import assess
from analytics.core.stats.arms.quantile import of_rows

ARMS = tuple(ArmSummary(key, key, key == "a", units=600, expected_share=0.5) for key in "ab")


def silent(kind: str, totals: Observed) -> bool:
    """Whether a metric of this kind is said to have no event at all."""
    result = MetricResult(
        "m",
        1,
        "M",
        "primary",
        kind,
        "decrease",
        "",
        24,
        tuple(metric_arm(kind, arm.key, totals, 600) for arm in ARMS),
    )
    return "no_events" in {finding.code for finding in assess(ARMS, [result], gates=False).findings}


@pytest.mark.parametrize(
    ("kind", "totals"),
    [
        ("proportion", Totals.of_rate(1, 600)),
        ("quantile", of_rows([120.0] * 600, None, 0.95)),
        ("duration", of_rows([*[math.inf] * 599, 4.0], None, 0.5)),
    ],
)
def test_assess__something_happened__is_never_called_silent(kind: str, totals: Observed) -> None:
    assert not silent(kind, totals)


@pytest.mark.parametrize(
    ("kind", "totals"),
    [("proportion", Totals.of_rate(0, 600)), ("duration", of_rows([math.inf] * 600, None, 0.5))],
)
def test_assess__thousands_of_units_without_a_row__asks_to_check_the_event_types(
    kind: str, totals: Observed
) -> None:
    assert silent(kind, totals)


def one_arm(units: list[int], shares: list[float]) -> list[bool]:
    """Whether each ``one_arm`` finding of such arms masks; nothing where there is none."""
    arms = [
        ArmSummary(f"arm{i}", f"arm{i}", i == 0, units=n, expected_share=s)
        for i, (n, s) in enumerate(zip(units, shares, strict=True))
    ]
    return [
        finding.masks
        for finding in assess(arms, [], gates=False).findings
        if finding.code == "one_arm"
    ]


@pytest.mark.parametrize(
    ("units", "shares"),
    [
        ([1, 0], [0.5, 0.5]),
        ([10, 0], [0.5, 0.5]),
        ([600, 0], [0.99, 0.01]),
        ([1] * 10 + [0] * 90, [0.01] * 100),
        ([9, 0], [0.05, 0.05]),
    ],
)
def test_assess__arm_empty_as_luck_may_have_it__is_no_finding(
    units: list[int], shares: list[float]
) -> None:
    assert one_arm(units, shares) == []


@pytest.mark.parametrize(
    ("units", "shares"),
    [
        ([11, 0], [0.5, 0.5]),
        ([0, 3], [0.99, 0.01]),
        ([800, 0], [0.99, 0.01]),
        ([11, 0], [0.05, 0.05]),
        ([10, 9, 10, 0], [0.25] * 4),
    ],
)
def test_assess__arm_empty_beyond_luck__is_red_and_masks(
    units: list[int], shares: list[float]
) -> None:
    assert one_arm(units, shares) == [True]
