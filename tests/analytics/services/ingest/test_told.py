"""What Prometheus hears of accepted items: once each, under the names of their variant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from analytics.core.intake.ingest_items import (
    ExposureItem,
    parse_cost,
    parse_event,
    parse_feedback,
    parse_items,
)
from analytics.models import ModelPrice
from analytics.services.ingest.ingest import (
    IngestIdentity,
    ingest_costs,
    ingest_events,
    ingest_exposures,
    ingest_feedback,
    record_exposures,
)
from experiments.core.serving.exposure import QueuedExposure
from experiments.core.types import Environment, Origin, Phase
from tests.serving_cast import launched, unit_in

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


def heard(name: str, **labels: str) -> float:
    return (
        REGISTRY.get_sample_value(name, {"experiment": "told", "variant": "treatment"} | labels)
        or 0.0
    )


def event(number: int, **fields: object) -> dict[str, object]:
    return {
        "event_id": f"e{number}",
        "event_type": "ai_answer",
        "user_id": f"u{number}",
        "timestamp": AT.isoformat(),
    } | fields


def test_events__stamped__count_once_and_only_live_production_ones() -> None:
    launched("told")
    stamp = {"experiment": "told", "variant": "treatment"}
    before = (
        heard("request_latency_seconds_sum"),
        heard("llm_cost_dollars_total"),
        heard("http_errors_total"),
    )
    items = parse_items(
        [
            event(1, latency_ms=1500, cost_micro=20_000, **stamp),
            event(2, event_type="http_5xx", latency_ms=500, **stamp),
            event(3, latency_ms=9000),
        ],
        parse_event,
    )
    ingest_events(items, now=AT, identity=IngestIdentity())
    ingest_events(items, now=AT, identity=IngestIdentity())
    other = parse_items([event(4, latency_ms=7000, **stamp)], parse_event)
    ingest_events(other, now=AT, identity=IngestIdentity(environment=Environment.TEST))
    ingest_events(
        parse_items([event(5, latency_ms=7000, **stamp)], parse_event),
        now=AT,
        identity=IngestIdentity(),
        origin=Origin.IMPORT,
    )
    after = (
        heard("request_latency_seconds_sum"),
        heard("llm_cost_dollars_total"),
        heard("http_errors_total"),
    )
    assert [b - a for a, b in zip(before, after, strict=True)] == pytest.approx([2.0, 0.02, 1.0])


def test_feedback__by_the_side_it_takes() -> None:
    launched("told")
    said = {
        "user_id": "u1",
        "experiment": "told",
        "variant": "treatment",
        "timestamp": AT.isoformat(),
    }
    items = parse_items(
        [
            {"event_id": f"f{n}", "label": label, **said}
            for n, label in enumerate(["useful", "useful", "not_useful"])
        ],
        parse_feedback,
    )
    before = (
        heard("user_feedback_total", sentiment="positive"),
        heard("user_feedback_total", sentiment="negative"),
    )
    ingest_feedback(items, now=AT, identity=IngestIdentity())
    after = (
        heard("user_feedback_total", sentiment="positive"),
        heard("user_feedback_total", sentiment="negative"),
    )
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 1]


@pytest.mark.parametrize("cost_first", [True, False])
def test_costs__metered_in_tokens__are_priced_and_counted_once_whichever_comes_first(
    cost_first: bool,
) -> None:
    launched("told")
    ModelPrice.objects.create(
        model="big", valid_from=AT.date(), price_in="2", price_out="10", set_at=AT
    )
    call = {"timestamp": AT.isoformat(), "tokens_in": 1000, "tokens_out": 100}
    costs = [
        {"event_id": "c1", "request_id": "r1", "model": "big", **call},
        {"event_id": "c2", "request_id": "r2", "model": "nobody knows", **call},
        {"event_id": "c3", "request_id": "r3", "model": "big", **call},
        {"event_id": "c4", "request_id": "of nobody", "model": "big", **call},
    ]
    stamp = {"experiment": "told", "variant": "treatment"}
    events = [
        event(1, request_id="r1", **stamp),
        event(2, request_id="r2", **stamp),
        event(3, request_id="r3", cost_micro=50_000, **stamp),
    ]
    steps = [
        lambda: ingest_costs(parse_items(costs, parse_cost), now=AT, identity=IngestIdentity()),
        lambda: ingest_events(parse_items(events, parse_event), now=AT, identity=IngestIdentity()),
    ]
    before = heard("llm_cost_dollars_total"), heard("llm_calls_without_price_total")
    for step in steps if cost_first else reversed(steps):
        step()
        step()
    after = heard("llm_cost_dollars_total"), heard("llm_calls_without_price_total")
    assert after[0] - before[0] == pytest.approx(0.003 + 0.05), (
        "r1 by its tokens, r3 as its event says"
    )
    assert after[1] - before[1] == 1, "a call without a price is counted as one, never as free"


def test_exposures__that_clients_told__count_as_assigned__once_each() -> None:
    made = launched("told")
    known = [unit_in(lambda bucket, n=n: bucket % 20 == n and bucket < 900) for n in (1, 3, 5)]
    items = [
        ExposureItem(event_id=f"x{n}", units={"user": unit}, experiment="told", at=AT)
        for n, unit in enumerate(known)
    ]
    before = heard("experiment_variant_assigned_total")
    ingest_exposures(items, now=AT, identity=IngestIdentity())
    ingest_exposures(items, now=AT, identity=IngestIdentity())
    ingest_exposures(
        [replace(items[0], event_id="t")],
        now=AT,
        identity=IngestIdentity(environment=Environment.TEST),
    )
    assert heard("experiment_variant_assigned_total") - before == 3
    queued = QueuedExposure(
        event_id="q", at=AT, experiment_id=made.pk, iteration_id=made.iterations.get().pk, variant_id=made.variants.get(key="treatment").pk,
        unit_type="user", unit_id="somebody", bucket=1, phase=Phase.MAIN,
    )  # fmt: skip
    record_exposures([queued], now=AT)  # its answer was counted by the door that gave it
    assert heard("experiment_variant_assigned_total") - before == 3
