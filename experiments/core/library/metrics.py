"""The metrics that ship: every one that a plan for AI features, a booking funnel, a recommender or
an assistant in a CRM is likely to ask for, with its scale, direction and the event types it needs.

Ratios, quantiles and durations are defined here so that they can be planned and collected. Beside
the guardrails that are ratios stand variants per unit (``ai_error_units``, ``complained``,
``ai_opt_out``): shares of units with at least one bad event, in which each unit is one trial.
"""

from __future__ import annotations

from experiments.core.design.metric_definitions import (
    ALL_COSTS,
    EDITED,
    FEEDBACK,
    REQUEST_COST,
    Aggregation,
    MetricDefinition,
    Source,
    ValueField,
)
from experiments.core.types import Direction, MetricKind

UP, DOWN = Direction.INCREASE, Direction.DECREASE
APPLY_WINDOW = 72
"""Hours in which an application still belongs to the exposure that came before it."""

ERROR_EVENTS = ("http_5xx", "ai_fallback")
"""What counts as an error: the request failed, or the AI gave up and the fallback answered."""


def _share(
    key: str,
    name: str,
    direction: Direction,
    *events: str,
    window: int | None = APPLY_WINDOW,
    description: str = "",
) -> MetricDefinition:
    """Share of units with at least one such event within the window."""
    return MetricDefinition(
        key=key,
        name=name,
        kind=MetricKind.PROPORTION,
        source="event",
        event_types=events,
        aggregation="any",
        direction=direction,
        scale="share of units",
        window_hours=window,
        description=description,
    )


def _ratio(
    key: str,
    name: str,
    direction: Direction,
    events: tuple[str, ...],
    per: tuple[str, ...],
    *,
    scale: str,
    aggregation: Aggregation = "count",
    value_field: ValueField = "value",
    description: str = "",
) -> MetricDefinition:
    """ΣY/ΣX over units: numerator events per denominator event."""
    return MetricDefinition(
        key=key,
        name=name,
        kind=MetricKind.RATIO,
        source="event",
        event_types=events,
        denominator_event_types=per,
        aggregation=aggregation,
        value_field=value_field,
        direction=direction,
        scale=scale,
        window_hours=APPLY_WINDOW,
        description=description,
    )


def _number(
    key: str,
    name: str,
    direction: Direction,
    event: str,
    *,
    scale: str,
    kind: MetricKind = MetricKind.MEAN,
    aggregation: Aggregation = "mean",
    value_field: ValueField = "value",
    window: int | None = APPLY_WINDOW,
    description: str = "",
) -> MetricDefinition:
    """A number that events of one type carry."""
    return MetricDefinition(
        key=key,
        name=name,
        kind=kind,
        source="event",
        event_types=(event,),
        aggregation=aggregation,
        value_field=value_field,
        direction=direction,
        scale=scale,
        window_hours=window,
        description=description,
    )


def _observed(
    key: str,
    name: str,
    direction: Direction,
    *,
    scale: str,
    kind: MetricKind = MetricKind.MEAN,
    aggregation: Aggregation = "mean",
    description: str = "",
) -> MetricDefinition:
    """A metric whose measured values applications send under its own name; until the data cut."""
    return MetricDefinition(
        key=key,
        name=name,
        kind=kind,
        source="observation",
        aggregation=aggregation,
        direction=direction,
        scale=scale,
        description=description,
    )


def _observed_share(
    key: str, name: str, direction: Direction, description: str = ""
) -> MetricDefinition:
    return _observed(
        key,
        name,
        direction,
        scale="share of units",
        kind=MetricKind.PROPORTION,
        aggregation="any",
        description=description,
    )


MATCHING: tuple[MetricDefinition, ...] = (
    _ratio(
        "apply_rate",
        "Applications per job view",
        UP,
        ("apply",),
        ("job_view",),
        scale="applications per view",
    ),
    _share(
        "apply_conversion",
        "Applied within 72 h",
        UP,
        "apply",
        description="Share of units that applied to at least one job within 72 hours of first exposure.",
    ),
    _number(
        "mrr_online",
        "MRR online",
        UP,
        "job_click",
        scale="reciprocal rank 0-1",
        description="Mean reciprocal rank of clicked jobs.",
    ),
)
COACH: tuple[MetricDefinition, ...] = (
    _share(
        "ai_opt_out",
        "Opted out of the AI",
        DOWN,
        "opt_out",
        description="Share of units that switched the AI feature off.",
    ),
    _number(
        "csat",
        "CSAT",
        UP,
        "csat",
        scale="1-5",
        description="Customer satisfaction score given after a conversation.",
    ),
    _number(
        "human_rating",
        "Human rating",
        UP,
        "human_rating",
        scale="1-5",
        description="Rating by a person who reads the answer.",
    ),
)
TRUST: tuple[MetricDefinition, ...] = (
    _ratio(
        "scam_complaints_per_1k_messages",
        "Scam complaints per message",
        DOWN,
        ("scam_complaint",),
        ("message",),
        scale="per message",
    ),
    _share("scam_complained", "Complained of a scam", DOWN, "scam_complaint"),
    _number(
        "median_ttr",
        "Median time to resolve",
        DOWN,
        "dispute_resolved",
        scale="hours",
        kind=MetricKind.DURATION,
        aggregation="last",
    ),
    _share("dispute_resolved_in_window", "Dispute resolved within 72 h", UP, "dispute_resolved"),
    _number(
        "routing_accuracy",
        "Routing accuracy",
        UP,
        "dispute_routed",
        scale="share 0-1",
        description="1 when routed to the right team.",
    ),
)
GUARDRAILS: tuple[MetricDefinition, ...] = (
    _ratio(
        "error_rate",
        "Error rate",
        DOWN,
        ERROR_EVENTS,
        ("ai_request",),
        scale="share of requests",
        description="HTTP 5xx + AI fallback.",
    ),
    _share(
        "ai_error_units",
        "Units with an AI error",
        DOWN,
        *ERROR_EVENTS,
        description="Share of units with at least one error or fallback.",
    ),
    _ratio(
        "complaints_per_1k_sessions",
        "AI complaints per session",
        DOWN,
        ("complaint",),
        ("session",),
        scale="per session",
    ),
    _share(
        "complained",
        "Complained",
        DOWN,
        "complaint",
        description="Share of units with at least one complaint about the AI.",
    ),
    _number(
        "latency_p95",
        "Latency p95",
        DOWN,
        "ai_request",
        scale="ms, 95th percentile",
        kind=MetricKind.QUANTILE,
        aggregation="max",
        value_field="latency_ms",
    ),
    _number(
        "latency_mean",
        "Latency",
        DOWN,
        "ai_request",
        scale="ms",
        value_field="latency_ms",
        description="Mean per unit, then over units.",
    ),
    _ratio(
        "cost_per_request",
        "Cost per request",
        DOWN,
        (ALL_COSTS,),
        ("ai_request",),
        scale="USD micros per request",
        aggregation="sum",
        value_field="cost_micro",
        description="Each request's cost once: metered and priced, else as its events say.",
    ),
    _number(
        "cost_per_unit",
        "Cost per unit",
        DOWN,
        ALL_COSTS,
        scale="USD micros",
        aggregation="sum",
        value_field="cost_micro",
        description="Each request's cost once: metered and priced, else as its events say.",
    ),
)
SPENDING: tuple[MetricDefinition, ...] = (
    _ratio(
        "metered_cost_per_request",
        "Metered cost per request",
        DOWN,
        (REQUEST_COST,),
        ("ai_request",),
        scale="USD micros per request",
        aggregation="sum",
        value_field="cost_micro",
        description="Of the costs door, joined to units by request.",
    ),
    _number(
        "metered_cost_per_unit",
        "Metered cost per unit",
        DOWN,
        REQUEST_COST,
        scale="USD micros",
        aggregation="sum",
        value_field="cost_micro",
        description="Of the costs door, joined to units by request.",
    ),
)
QUALITY: tuple[MetricDefinition, ...] = (
    _ratio(
        "useful_answers",
        "Useful answers",
        UP,
        (FEEDBACK,),
        (FEEDBACK,),
        scale="share of labelled answers",
        aggregation="sum",
        description="Of the answers that were labelled at the feedback door, those found useful.",
    ),
    _share(
        "edited_by_hand",
        "Edited an answer",
        DOWN,
        EDITED,
        description="Share of units that had to edit an answer of the AI.",
    ),
)
OPERATIONS: tuple[MetricDefinition, ...] = (
    _observed(
        "avg_similarity",
        "Average similarity",
        UP,
        scale="cosine 0-1",
        description="Of the passages that retrieval returned.",
    ),
    _observed("latency", "Response latency", DOWN, scale="ms"),
    _observed("cost", "Cost", DOWN, scale="USD", aggregation="sum"),
    _observed("user_satisfaction", "User satisfaction", UP, scale="share 0-1"),
    _observed_share("handoff_rate", "Handed off to a person", DOWN),
    _observed_share("task_completion", "Task completed", UP),
    _observed("cache_hit_rate", "Cache hit rate", UP, scale="share 0-1"),
    _observed("memory_usage", "Memory", DOWN, scale="MB"),
    _observed(
        "errors", "Errors", DOWN, scale="errors per unit", kind=MetricKind.COUNT, aggregation="sum"
    ),
)
BOOKING: tuple[MetricDefinition, ...] = (
    _share(
        "booked",
        "Booked",
        UP,
        "booked",
        description="Share of units with a booking within 72 hours of first exposure.",
    ),
    _number(
        "bookings",
        "Bookings per unit",
        UP,
        "booked",
        scale="bookings",
        kind=MetricKind.COUNT,
        aggregation="count",
    ),
)
RECOMMENDING: tuple[MetricDefinition, ...] = (
    _observed_share("watch_completion", "Watched to the end", UP),
    _observed_share("click_through", "Clicked a recommendation", UP),
    _observed("engagement_time", "Engagement time", UP, scale="seconds", aggregation="sum"),
    _observed("rating_given", "Rating given", UP, scale="1-5"),
    _observed_share("add_to_watchlist", "Added to the watchlist", UP),
)
ASSISTANT: tuple[MetricDefinition, ...] = (
    _observed(
        "resolution_rate",
        "Resolution rate",
        UP,
        scale="share 0-1",
        description="Share of a unit's conversations that were resolved.",
    ),
    _observed("satisfaction_score", "Satisfaction score", UP, scale="0-5"),
    _observed_share("conversion_rate", "Converted", UP),
    _observed("response_accuracy", "Response accuracy", UP, scale="share 0-1"),
    _observed_share("escalation_rate", "Escalated", DOWN),
    _observed("response_time", "Response time", DOWN, scale="seconds"),
    _observed("token_usage", "Tokens used", DOWN, scale="tokens", aggregation="sum"),
    _observed("first_contact_resolution", "Resolved at first contact", UP, scale="share 0-1"),
    _observed("context_relevance", "Context relevance", UP, scale="share 0-1"),
    _observed("response_quality", "Response quality", UP, scale="share 0-1"),
)

LIBRARY: tuple[MetricDefinition, ...] = (
    *MATCHING,
    *COACH,
    *TRUST,
    *GUARDRAILS,
    *SPENDING,
    *QUALITY,
    *OPERATIONS,
    *BOOKING,
    *RECOMMENDING,
    *ASSISTANT,
)
"""Everything that ships, each key once."""


def exploratory(key: str, source: Source = "observation") -> MetricDefinition:
    """The definition of a name that nobody declared; larger is better until someone says otherwise.

    Of observations it is the mean of a unit's values; of events the share of units to which it
    happened.
    """
    events = source == "event"
    return MetricDefinition(
        key=key,
        name=key,
        kind=MetricKind.PROPORTION if events else MetricKind.MEAN,
        source=source,
        event_types=(key,) if events else (),
        aggregation="any" if events else "mean",
        direction=UP,
        exploratory=True,
        description="Registered by itself when first seen; decides nothing.",
    )
