"""000's promise: everything that is told reaches ``ai_ab_metrics``, with its moment, the variant
and what was known of the unit.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from analytics.core.intake.ingest_items import (
    parse_event,
    parse_feedback,
    parse_items,
    parse_observation,
)
from analytics.services.ingest.ingest import (
    IngestIdentity,
    ingest_events,
    ingest_feedback,
    ingest_observations,
)
from tests.analytics.stores.observed import World, plan, world

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
COLUMNS = '"timestamp", source, metric_name, value, user_id, experiment, variant, covariates'


def printed(where: str = "true") -> list[tuple[Any, ...]]:
    """What the source's user reads, under the source's name."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path TO source_000")
        cursor.execute(
            f"SELECT {COLUMNS} FROM ai_ab_metrics WHERE {where} ORDER BY metric_name, user_id, experiment"
        )
        found = cursor.fetchall()
        cursor.execute("SET LOCAL search_path TO public")
    return found


def met() -> World:
    """One unit that met the treatment, with what was known of it then."""
    w = world("coach")
    plan(w, "primary", "apply_conversion")
    w.expose("u1", "treatment", AT - timedelta(hours=1), covariates={"plan": "pro", "visits": 7})
    return w


def tell(name: str, **fields: object) -> dict[str, object]:
    return {"event_id": name, "timestamp": AT.isoformat(), "user_id": "u1", **fields}


def test_events_observations_and_feedback__stamped_or_not__carry_variant_and_frozen_covariates() -> (
    None
):
    met()
    identity = IngestIdentity()
    events = [
        tell("e1", event_type="apply"),
        tell("e2", event_type="ai_request", experiment="coach", variant="treatment"),
    ]
    ingest_events(parse_items(events, parse_event), now=AT, identity=identity)
    ingest_observations(
        parse_items([tell("o1", metric="csat", value=4)], parse_observation),
        now=AT,
        identity=identity,
    )
    ingest_feedback(
        parse_items([tell("f1", label="useful")], parse_feedback), now=AT, identity=identity
    )
    known = "u1", "coach", "treatment", {"plan": "pro", "visits": 7}
    assert [(*row[:7], _json(row[7])) for row in printed()] == [
        (AT, "feedback", "ai_feedback", 1.0, *known),
        (AT, "event", "ai_request", None, *known),
        (AT, "event", "apply", None, *known),
        (AT, "observation", "csat", 4.0, *known),
    ]


def test_events__of_a_stranger__are_there_without_a_variant__and_tests_are_not() -> None:
    w = met()
    w.event("stranger", "apply", AT)
    w.event("u1", "apply", AT - timedelta(hours=2))
    w.event("u1", "apply", AT, environment="test")
    assert [(row[4], row[5], row[6]) for row in printed()] == [
        ("stranger", None, None),
        ("u1", None, None),
    ]


def test_events__asked_by_day__read_that_days_partitions_alone() -> None:
    w = met()
    for days in range(3):
        w.event("u1", "apply", AT + timedelta(days=days))
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN SELECT * FROM source_000.ai_ab_metrics WHERE event_date = '2026-03-11'"
        )
        plan_text = "\n".join(line for (line,) in cursor.fetchall())
    assert "ai_events_20260311" in plan_text and "ai_events_20260310" not in plan_text


def _json(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value
