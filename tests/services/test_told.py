"""What Prometheus hears of accepted items: once each, under the names of their variant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from analytics.core.ingest_items import parse_event, parse_feedback, parse_items
from analytics.services.ingest import IngestIdentity, ingest_events, ingest_feedback
from experiments.core.types import Environment, Origin
from tests.serving_cast import launched

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


def heard(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"experiment": "told", "variant": "treatment"} | labels) or 0.0


def event(number: int, **fields: object) -> dict[str, object]:
    return {"event_id": f"e{number}", "event_type": "ai_answer", "user_id": f"u{number}", "timestamp": AT.isoformat()} | fields


def test_events__stamped__count_once_and_only_live_production_ones() -> None:
    launched("told")
    stamp = {"experiment": "told", "variant": "treatment"}
    before = heard("request_latency_seconds_sum"), heard("llm_cost_dollars_total"), heard("http_errors_total")
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
    ingest_events(parse_items([event(5, latency_ms=7000, **stamp)], parse_event), now=AT, identity=IngestIdentity(), origin=Origin.IMPORT)
    after = heard("request_latency_seconds_sum"), heard("llm_cost_dollars_total"), heard("http_errors_total")
    assert [b - a for a, b in zip(before, after, strict=True)] == pytest.approx([2.0, 0.02, 1.0])


def test_feedback__by_the_side_it_takes() -> None:
    launched("told")
    said = {"user_id": "u1", "experiment": "told", "variant": "treatment", "timestamp": AT.isoformat()}
    items = parse_items(
        [{"event_id": f"f{n}", "label": label, **said} for n, label in enumerate(["useful", "useful", "not_useful"])], parse_feedback
    )
    before = heard("user_feedback_total", sentiment="positive"), heard("user_feedback_total", sentiment="negative")
    ingest_feedback(items, now=AT, identity=IngestIdentity())
    after = heard("user_feedback_total", sentiment="positive"), heard("user_feedback_total", sentiment="negative")
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 1]
