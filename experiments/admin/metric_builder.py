"""What the metric form offers: events that were seen, and kinds with an example each."""

from __future__ import annotations

from collections.abc import Sequence

from analytics.selectors.seen_events import DAYS, ROWS_A_DAY, SeenEvent
from experiments.core.types import MetricKind

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
