"""What happened to a unit of an experiment, told one by one in the sources' own calls; each is an
observation of a metric.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

from django.http import JsonResponse
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request

from analytics.api.ingest import single_answer
from analytics.api.item_schemas import COUNTS
from analytics.core.intake.ingest_items import parse_items, parse_observation
from analytics.services.ingest.ingest import IngestIdentity, ingest_result
from analytics.services.ingest.known import find_experiments
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, NotFound
from experiments.core.life.undecided import never_decides
from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.serving.exposure import QueuedExposure
from experiments.core.types import Environment, MetricRole, Scope
from experiments.http.doors import Door, identity, read
from experiments.http.idempotency import idempotent
from experiments.http.parsing import ONE_BODY
from experiments.http.source_units import SourceUnits
from experiments.models import ExperimentMetric
from experiments.selectors import serving
from experiments.selectors.experiments import resolve
from experiments.services.ground.turns import TurnKind
from experiments.services.serving.exposures import exposure_of

Name = Annotated[str, Meta(max_length=200)]
Json = dict[str, Any]  # Any: JSON as it was parsed


class RecordedBody(SourceUnits, kw_only=True):
    """One measured value of a metric for a unit of an experiment.

    Either spelling of the experiment, of the value and of what is known beside it. ``event_id``
    makes sending it again count once; without one, each call counts.
    """

    metric_name: Name
    experiment_id: Name | int | None = None
    experiment_name: Name | None = None
    value: float | None = None
    metric_value: float | None = None
    variant: Name | None = None
    timestamp: Name | None = None
    context: Json | None = None
    metadata: Json | None = None
    event_id: Name | None = None


class Recorded(Door):
    """Stores one observation, and that its unit has met its variant; answers after the commit."""

    scopes = (Scope.SERVER, Scope.INGEST)
    kind = TurnKind.STORE

    @extend_schema(request=RecordedBody, responses={200: COUNTS})
    @idempotent
    def post(self, request: Request) -> JsonResponse:
        """Store one value of a metric for a unit."""
        body, key, now = (
            read(request, RecordedBody, max_bytes=ONE_BODY),
            identity(request),
            utc_now(),
        )
        item = _item(body)
        met = _met(item["experiment"], body.asked().units, now, key.environment)
        items = parse_items([item], parse_observation)
        result = ingest_result(
            items, met, now=now, identity=IngestIdentity(key.environment, key.scope)
        )
        return JsonResponse(
            single_answer(item, result) | _offer(item["experiment"], str(item["metric"]))
        )


def _offer(ref: object, metric: str) -> dict[str, object]:
    """For an experiment without a primary metric: that it never decides, and that this metric could
    be the one.
    """
    known = find_experiments([ref]) if isinstance(ref, str | int) else {}
    experiment = next(iter(known.values()), None)
    primary = (
        experiment is None
        or ExperimentMetric.objects.filter(
            experiment_id=experiment.id, role=MetricRole.PRIMARY
        ).exists()
    )
    if experiment is None or primary:
        return {}
    return {
        "warnings": [
            never_decides(experiment.key, has_primary=False, auto_promote=False, told=[metric])
        ]
    }


class Conversions(Recorded):
    """`POST /api/v1/experiments/conversions`: `{"experiment_id", "user_id", "metric_name",
    "value"}`.
    """


class RecordResult(Recorded):
    """`POST /api/v1/experiments/record-result`: `{"experiment_name", "metric_name", "metric_value",
    "user_id"}`.
    """


def _met(
    experiment: object, units: dict[str, str], now: datetime, environment: Environment
) -> list[QueuedExposure]:
    """The variant that the unit has met, worked out again as it was served; nothing where it is in
    none.

    What was known of the request besides its units is not known here: where targeting asks for
    that, the unit's own exposure is waited for.
    """
    catalogue = serving.current().catalogue
    name = experiment if isinstance(experiment, str) else ""
    if catalogue.experiment(name, environment) is None:
        try:
            name = resolve(str(experiment)).key
        except NotFound:
            return []  # the item is refused by name
    answer = assign(
        catalogue, AssignmentRequest(experiment=name, units=units, environment=environment), now
    )
    exposure = exposure_of(answer, now, environment)
    return [] if exposure is None else [exposure]


def _item(body: RecordedBody) -> dict[str, object]:
    """The observation that is meant, as the observations' door would be sent it."""
    sent = {
        "experiment": _one_of(body, "experiment_id", "experiment_name"),
        "metric": body.metric_name,
        "value": _one_of(body, "value", "metric_value"),
        "units": body.asked().units,
        "variant": body.variant,
        "timestamp": body.timestamp,
        "context": _one_of(body, "context", "metadata", needed=False),
        "event_id": body.event_id or str(uuid.uuid4()),
    }
    return {name: value for name, value in sent.items() if value is not None}


def _one_of(body: RecordedBody, name: str, other: str, *, needed: bool = True) -> object:
    found = [getattr(body, each) for each in (name, other) if getattr(body, each) is not None]
    if len(found) > 1 or (needed and not found):
        raise InvalidInput(f"send {name} or {other}; found {'both' if found else 'neither'}", name)
    return found[0] if found else None
