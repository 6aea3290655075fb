"""What speaks for or against a run's data."""

from __future__ import annotations

import math

import pytest

from analytics.core.health import assess
from analytics.core.observed import Observed
from analytics.core.results import ArmSummary, MetricResult, metric_arm
from analytics.core.stats.quantile import of_rows
from analytics.core.totals import Totals

ARMS = tuple(ArmSummary(key, key, key == "a", units=600, expected_share=0.5) for key in "ab")


def silent(kind: str, totals: Observed) -> bool:
    """Whether a metric of this kind is said to have no event at all."""
    result = MetricResult("m", 1, "M", "primary", kind, "decrease", "", 24, tuple(metric_arm(kind, arm.key, totals, 600) for arm in ARMS))
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


@pytest.mark.parametrize(("kind", "totals"), [("proportion", Totals.of_rate(0, 600)), ("duration", of_rows([math.inf] * 600, None, 0.5))])
def test_assess__thousands_of_units_without_a_row__asks_to_check_the_event_types(kind: str, totals: Observed) -> None:
    assert silent(kind, totals)
