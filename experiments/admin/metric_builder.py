"""What the metric form offers: events that were seen, and kinds with an example each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from analytics.readings.prefill import FEWEST_UNITS, metric_past
from analytics.selectors.arriving.seen_events import DAYS, ROWS_A_DAY, SeenEvent
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.types import MetricKind
from experiments.models import Experiment

EXAMPLES = {
    MetricKind.PROPORTION: "share of units that do it (applied or not)",
    MetricKind.MEAN: "average per unit (minutes spent by a user)",
    MetricKind.COUNT: "how often per unit (messages sent by a user)",
    MetricKind.RATIO: "one thing per another (errors per request)",
    MetricKind.QUANTILE: "slow end of all rows (95 % of requests are faster than …)",
    MetricKind.DURATION: "time until it happens (hours to the first application)",
}
"""Kinds in a product owner's words."""


def kinds() -> list[tuple[str, str]]:
    """Every kind as a choice with an example."""
    return [(kind.value, f"{kind.value}: {EXAMPLES[kind]}") for kind in MetricKind]


def seen_text(seen: Sequence[SeenEvent]) -> str:
    """The events to choose from, in a sentence."""
    if not seen:
        return f"Separated by commas. No event was seen in the last {DAYS} days."
    names = "; ".join(f"{one.name} ({one.rows:,}{_with(one)})" for one in seen)
    return f"Separated by commas. Seen in the last {DAYS} days, counted in at most {ROWS_A_DAY:,} rows a day: {names}."


def _with(one: SeenEvent) -> str:
    return f", with {', '.join(one.fields)}" if one.fields else ""


MOST_UNIT_TYPES = 4


def preview(definition: MetricDefinition, now: datetime) -> list[str]:
    """What a definition would have measured in the last 28 days, a line for each type of unit that
    experiments randomise.
    """
    used = (
        Experiment.objects.order_by("unit_type")
        .values_list("unit_type", flat=True)
        .distinct()[:MOST_UNIT_TYPES]
    )
    return [_past(definition, unit_type, now) for unit_type in dict.fromkeys(["user", *used])]


def _past(definition: MetricDefinition, unit_type: str, now: datetime) -> str:
    past = metric_past(definition, unit_type, now)
    if past is not None:
        return str(past)
    return f"{unit_type}: cannot say from the last {DAYS} days: fewer than {FEWEST_UNITS} units sent what it counts, or it is a time"
