"""Exploratory readings: a planned metric with another window, other days, another cap, one segment.
By GET, stamped, and never a look.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse

from analytics.readings.exploring import Explored, ExploringChoice, explore
from analytics.selectors import results
from experiments.admin import results_section
from experiments.admin.base import Crumb, WorkplaceAdmin, actor_of
from experiments.admin.doing import problems_of
from experiments.admin.experiment_actions import found
from experiments.admin.experiment_reading import written_breakdowns
from experiments.admin.experiment_view import page_url
from experiments.admin.fields import Field, filled, read_day, read_number, read_whole
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, InvalidInput
from experiments.http.errors import status_of
from experiments.models import Experiment


def page(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Ask, and read at once; nothing is stored."""
    admin.refuse_unless_may_view(request)
    experiment = found(experiment_id)
    data, context, status = request.GET.dict(), dict[str, Any](), 200
    if data.get("metric"):
        try:
            context = _shown(
                experiment,
                explore(actor_of(request), utc_now(), experiment=experiment, reading=_read(data)),
            )
        except AssayError as refusal:
            context, status = (
                {"problems": problems_of(refusal), "refusal": "This cannot be read."},
                status_of(refusal),
            )
    fields = _fields(experiment)
    frame = {
        "title": f"Explore {experiment.name}",
        "original": Crumb(experiment, experiment.name),
        "experiment": experiment,
        "fields": filled(fields, data, context.get("problems", ())) if data else fields,
        "back": page_url(experiment_id, "results"),
        "stamped": True,
    }
    return admin.page(request, "admin/assay/explore.html", {**frame, **context}, status=status)


def _fields(experiment: Experiment) -> list[Field]:
    metrics = [
        (plan.metric.key, f"{plan.metric.name} ({plan.role})")
        for plan in experiment.planned_metrics.all()
    ]
    lines = written_breakdowns(experiment.breakdowns).splitlines()
    declared = (
        f"Declared: {'; '.join(lines)}."
        if lines
        else "None is declared, so whatever it shows was found by looking."
    )
    return [
        Field("metric", "Metric", "select", choices=list(dict(metrics).items())),
        Field(
            "window_hours",
            "Window, hours",
            "number",
            help="From a unit's first exposure; empty: as planned.",
        ),
        Field("first_day", "First exposed from", "date", help="Empty: from the start."),
        Field("last_day", "Data up to the end of", "date", help="Empty: all there is."),
        Field("cap", "Cap", help="Unit values above it count as it; empty: as planned."),
        Field(
            "segment",
            "Segment",
            placeholder="language: de",
            help=f"A covariate at first exposure and its value. {declared}",
        ),
    ]


def _read(data: dict[str, str]) -> ExploringChoice:
    return ExploringChoice(
        metric=data["metric"],
        window_hours=read_whole(data.get("window_hours", "")[:20], "window_hours", "Window"),
        first_day=read_day(data.get("first_day", ""), "first_day", "First exposed from"),
        last_day=read_day(data.get("last_day", ""), "last_day", "Data up to the end of"),
        cap=read_number(data.get("cap", "")[:40], "cap", "Cap"),
        segment=_read_segment(data.get("segment", "").strip()),
    )


def _read_segment(text: str) -> tuple[str, str] | None:
    """``language: de``."""
    if not text:
        return None
    name, colon, value = text.partition(":")
    if not colon:
        raise InvalidInput(
            f"Segment: a covariate, a colon and a value are needed (language: de), found {text[:60]}.",
            "segment",
        )
    return name.strip(), value.strip()


def _shown(experiment: Experiment, one: Explored) -> dict[str, Any]:
    stored = results.latest(experiment)
    alone = (
        None
        if stored is None
        else replace(
            stored, metrics=tuple(row for row in stored.metrics if row.key == one.row.key)[:1]
        )
    )
    planned = [] if alone is None else results_section.blocks(experiment, alone)
    return {
        "explored": one,
        "blocks": results_section.blocks(experiment, one.view),
        "planned": planned,
    }
