"""How many units, how many weeks: the planner as a page of its own, for numbers and without an
experiment.

A form by GET, so that an answer can be sent as a link. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest, HttpResponse

from analytics.readings.sizing import MetricAsked, SizingQuestion, size
from experiments.admin.base import WorkplaceAdmin
from experiments.admin.doing import problems_of
from experiments.admin.fields import Field, filled, read_number, read_whole
from experiments.admin.template_filters import figure, percent
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, InvalidInput
from experiments.core.figures import counted
from experiments.drawing.courses import Course, Point, course

KINDS = (
    ("proportion", "a share of units (converted or not)"),
    ("mean", "a mean per unit"),
    ("count", "a count per unit"),
    ("ratio", "a ratio"),
    ("quantile", "a quantile"),
)
EFFECTS = (("relative", "relative to the baseline"), ("absolute", "absolute"))
WEEKS = (1, 2, 3, 4, 6, 8)
"""The table of what is found in how long."""
MOST_ARMS = 20


@dataclass(frozen=True)
class Reach:
    """The smallest effect that so many weeks of traffic find."""

    weeks: int
    effect: float
    relative: float | None


def page(admin: WorkplaceAdmin, request: HttpRequest) -> HttpResponse:
    """The form, and below it what the planner says."""
    admin.refuse_unless_may_view(request)
    data, context = request.GET.dict(), dict[str, Any]()
    if data.get("effect"):
        try:
            context = answered(data)
        except AssayError as refusal:
            context = {"problems": problems_of(refusal), "refusal": "This cannot be planned."}
    fields = filled(_fields(), data, context.get("problems", ())) if data else _fields()
    return admin.page(
        request,
        "admin/assay/calculator.html",
        {"title": "Sample size and duration", "fields": fields, **context},
        status=400 if "problems" in context else 200,
    )


def answered(data: Mapping[str, str]) -> dict[str, Any]:
    """What the page shows of a question."""
    asked = _asked(data)
    answer = size(asked, utc_now())
    reached = _reached(asked)
    share = asked.metrics[0].kind == "proportion"
    return {
        "plan": answer.plan,
        "rows": answer.plan.rows,
        "reached": reached,
        "share": share,
        "drawing": _drawing(reached, share),
    }


def _asked(data: Mapping[str, str]) -> SizingQuestion:
    number = {
        name: read_number(data.get(name, ""), name, label) for name, label in _NUMBERS.items()
    }
    metrics = [
        MetricAsked(
            metric=data.get("kind", "proportion"),
            kind=data.get("kind", "proportion"),
            baseline=number["baseline"],
            sd=number["sd"],
            effect=number["effect"],
            effect_kind="absolute" if data.get("effect_kind") == "absolute" else "relative",
        )
    ]
    if number["margin"] is not None:
        metrics.append(
            MetricAsked(
                metric="guardrail",
                kind="proportion",
                role="guardrail",
                baseline=number["guardrail_baseline"],
                margin=number["margin"],
                margin_kind="relative",
                direction="decrease",
            )
        )
    return SizingQuestion(
        metrics=tuple(metrics),
        shares=_shares(data.get("shares", "")),
        units_per_day=number["units_per_day"],
        alpha=0.05 if number["alpha"] is None else number["alpha"],
        power=0.8 if number["power"] is None else number["power"],
        clock_weeks=read_whole(data.get("clock_weeks", ""), "clock_weeks", "Weeks at least") or 1,
        weeks=read_whole(data.get("weeks", ""), "weeks", "Weeks at most"),
    )


_NUMBERS = {
    "baseline": "Baseline",
    "sd": "Standard deviation",
    "effect": "Effect worth finding",
    "margin": "Guardrail margin",
    "guardrail_baseline": "Guardrail baseline",
    "units_per_day": "New units a day",
    "alpha": "Alpha",
    "power": "Power",
}


def _shares(text: str) -> tuple[float, ...]:
    parts = [part for part in text.split(",") if part.strip()] or ["1", "1"]
    found = tuple(read_number(part, "shares", "Shares") or 0.0 for part in parts)
    if not 2 <= len(found) <= MOST_ARMS or min(found) <= 0:
        raise InvalidInput(
            f"Shares: two to {MOST_ARMS} numbers above zero, control first, like 50, 50; found {text[:60]!r}",
            "shares",
        )
    return found


def _reached(asked: SizingQuestion) -> list[Reach]:
    """What each number of weeks finds; nothing without traffic."""
    if not asked.units_per_day:
        return []
    found = []
    for weeks in WEEKS:
        row = size(
            replace(asked, metrics=asked.metrics[:1], weeks=weeks, clock_weeks=1), utc_now()
        ).plan.rows[0]
        if row.mde is not None:
            found.append(Reach(weeks, row.mde, row.mde_relative))
    return found


def _drawing(reached: list[Reach], share: bool) -> Course | None:
    points = [Point(float(one.weeks), abs(one.effect)) for one in reached]
    times = [(float(one.weeks), counted(one.weeks, "week")) for one in reached]
    return course(
        [("smallest effect", points)],
        times,
        lambda value: f"{value * 100:.3g} pp" if share else figure(value),
    )


def _fields() -> list[Field]:
    return [
        Field("kind", "The metric is", "select", value="proportion", choices=list(KINDS)),
        Field(
            "baseline",
            "Baseline today",
            value="0.1",
            required=True,
            help=f"A share as 0.1, meaning {percent(0.1, 0)}.",
        ),
        Field("sd", "Standard deviation of a unit", help="Not needed for a share."),
        Field("effect", "Smallest effect worth finding", value="0.05", required=True),
        Field(
            "effect_kind",
            "which is",
            "select",
            value="relative",
            choices=[("relative", "relative to the baseline"), ("absolute", "absolute")],
        ),
        Field("shares", "Shares of the arms, control first", value="50, 50"),
        Field(
            "units_per_day",
            "New units a day",
            value="1000",
            help="Without it there is a size and no duration.",
        ),
        Field(
            "clock_weeks",
            "Weeks at least",
            value="2",
            help="Whole weeks, so that each weekday counts alike.",
        ),
        Field("weeks", "Weeks at most", help="Says whether the effect is within reach by then."),
        Field("alpha", "Alpha, two-sided", value="0.05"),
        Field("power", "Power", value="0.8"),
        Field(
            "guardrail_baseline",
            "Guardrail: rate today",
            help="Of something bad, as complaints: 0.003.",
        ),
        Field("margin", "Guardrail: may get worse by", help="Relative: 0.15 is 15 % of its rate."),
    ]
