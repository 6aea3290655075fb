"""What a new version of a metric changed, in words."""

from __future__ import annotations

from dataclasses import replace

from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.library.metric_versions import FieldChange, changes
from experiments.core.types import Direction, MetricKind

FIRST = MetricDefinition(
    key="spend",
    name="Spend",
    kind=MetricKind.MEAN,
    source="event",
    aggregation="sum",
    direction=Direction.INCREASE,
    event_types=("buy",),
)


def test_changes__name_what_differs_and_never_the_version():
    after = replace(FIRST, version=2, event_types=("buy", "renew"), cap=100.0, winsorised=True)
    assert changes(FIRST, after) == (
        FieldChange("event types", "buy", "buy, renew"),
        FieldChange("cap", "none", "100.0"),
        FieldChange("winsorised", "no", "yes"),
    )
    assert changes(FIRST, replace(FIRST, version=2)) == ()
