"""The event browser: a day's stored events and observations, with units as keyed hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date
from typing import Any

from django.http import HttpRequest, HttpResponse

from analytics.selectors.arriving import events
from analytics.selectors.arriving.events import EventRow
from experiments.admin.base import WorkplaceAdmin
from experiments.admin.doing import problems_of
from experiments.admin.fields import Field, filled, read_day
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, Problem
from experiments.models import Experiment, Variant
from experiments.selectors.experiments import resolve
from experiments.services.ground.audit import unit_hash

ROWS = 100
SHORT = 12
KINDS = [("event", "events"), ("observation", "observations")]


def page(admin: WorkplaceAdmin, request: HttpRequest) -> HttpResponse:
    """One UTC day at a time, so that one partition is read; newest first."""
    admin.refuse_unless_may_view(request)
    data, today = request.GET.dict(), utc_now().astimezone(UTC).date()
    problems: list[Problem] = []
    day, rows = today, tuple[EventRow, ...]()
    try:
        day = read_day(data.get("day", ""), "day", "Day") or today
        rows = _rows(data, day)
    except AssayError as refusal:
        problems = problems_of(refusal)
    context: dict[str, Any] = {
        "title": "Events",
        "fields": filled(_fields(today), data, problems) if data else _fields(today),
        "problems": problems,
        "refusal": "This cannot be shown.",
        "day": day,
        "rows": _named(rows),
        "most": ROWS,
    }
    return admin.page(request, "admin/assay/events.html", context, status=400 if problems else 200)


def _rows(data: Mapping[str, str], day: date) -> tuple[EventRow, ...]:
    key = data.get("experiment", "").strip()
    read = events.observations if data.get("source") == "observation" else events.events
    return read(
        day=day,
        kind=data.get("kind", "").strip()[:80],
        experiment_id=resolve(key).pk if key else None,
        limit=ROWS,
    )


def _fields(today: date) -> list[Field]:
    return [
        Field("day", "Day (UTC)", "date", value=today.isoformat()),
        Field("source", "What", "select", value="event", choices=KINDS),
        Field("kind", "Type or metric", placeholder="clicked"),
        Field("experiment", "Experiment", placeholder="its key; empty for all"),
    ]


def _named(rows: tuple[EventRow, ...]) -> list[tuple[EventRow, str, str]]:
    """Each row with its experiment's key and its variant's name, its unit hashed."""
    keys = dict(
        Experiment.objects.filter(pk__in={row.experiment_id for row in rows}).values_list(
            "pk", "key"
        )
    )
    variants = dict(
        Variant.objects.filter(pk__in={row.variant_id for row in rows}).values_list("pk", "name")
    )
    hashed = (
        replace(row, unit_id=f"#{unit_hash(row.unit_type, row.unit_id)[:SHORT]}") for row in rows
    )
    return [
        (row, keys.get(row.experiment_id or 0, ""), variants.get(row.variant_id or 0, ""))
        for row in hashed
    ]
