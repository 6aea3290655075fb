"""`POST /api/v1/sample-size`: how many units a plan needs, for an experiment by its key or for
numbers sent along.

The answer is the planner's, the same that the plan's page and `manage.py sample_size` show. Nothing
is stored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from django.http import JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request

from analytics.readings.sizing import MetricAsked, SizingAnswer, SizingQuestion, document, size
from analytics.services.planning.planning import experiment_plan
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput
from experiments.core.types import Scope
from experiments.http.doors import Door, read
from experiments.selectors.experiments import resolve

Name = Annotated[str, Meta(min_length=1, max_length=80)]
Word = Annotated[str, Meta(max_length=40)]


class SizedMetric(msgspec.Struct, forbid_unknown_fields=True):
    """A metric to plan. What is left out of a metric that is known here is taken from its
    definition and its last 28 days.
    """

    metric: Name
    role: Word = "primary"
    kind: Word | None = None
    direction: Word | None = None
    baseline: float | None = None
    sd: float | None = None
    effect: float | None = None
    effect_kind: Word = "relative"
    margin: float | None = None
    margin_kind: Word = "points"
    required: bool = True
    correlation: float = 0.0
    design_effect: float = 1.0
    window_hours: float | None = None


class SampleSizeBody(msgspec.Struct, forbid_unknown_fields=True):
    """Either ``experiment`` (id, UUID, key or name), or ``metrics`` with the arms' ``shares``
    (control first) and the rules.

    ``units_per_day`` are new units; ``weeks`` is how long it may take.
    """

    experiment: Annotated[str, Meta(max_length=200)] | int | None = None
    units_per_day: float | None = None
    weeks: int | None = None
    metrics: list[SizedMetric] = []
    shares: Annotated[list[float], Meta(max_length=20)] = []
    share: float = 1.0
    alpha: float = 0.05
    power: float = 0.8
    looks: int = 1
    clock_weeks: int = 1
    unit_type: Word = "user"


class SampleSizeDoor(Door):
    """Answers a plan; writes nothing, so a key that may only read may ask."""

    scopes = (Scope.READ, Scope.MANAGEMENT)

    @extend_schema(request=SampleSizeBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> JsonResponse:
        """Sizes, days and what is within reach."""
        return JsonResponse(document(_answer(read(request, SampleSizeBody))))


def _answer(body: SampleSizeBody) -> SizingAnswer:
    if body.experiment is None:
        return size(_asked(body), utc_now())
    if body.metrics:
        raise InvalidInput(
            "metrics: an experiment's plan has its own; send experiment or metrics", "metrics"
        )
    return experiment_plan(
        resolve(body.experiment), utc_now(), units_per_day=body.units_per_day, weeks=body.weeks
    )


def _asked(body: SampleSizeBody) -> SizingQuestion:
    return SizingQuestion(
        metrics=tuple(MetricAsked(**msgspec.structs.asdict(metric)) for metric in body.metrics),
        shares=tuple(body.shares) or (1.0, 1.0),
        share=body.share,
        units_per_day=body.units_per_day,
        alpha=body.alpha,
        power=body.power,
        looks=body.looks,
        weeks=body.weeks,
        clock_weeks=body.clock_weeks,
        unit_type=body.unit_type,
    )
