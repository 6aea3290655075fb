"""Doors for what applications tell us: exposures, observations, events, feedback, costs.

A body is one item, or a batch under the door's name. An answer of 2xx comes after the commit. A
batch is answered with counts and the errors of single items, whose good neighbours are kept; a
single item that cannot be stored is an error of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.http import JsonResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from analytics.api.item_schemas import COUNTS, body_of
from analytics.core.intake.ingest_items import (
    ItemError,
    parse_cost,
    parse_event,
    parse_exposure,
    parse_feedback,
    parse_items,
    parse_observation,
)
from analytics.core.intake.tallies import OVER_CAP
from analytics.services.ingest.ingest import (
    BatchResult,
    IngestIdentity,
    ingest_costs,
    ingest_events,
    ingest_exposures,
    ingest_feedback,
    ingest_observations,
)
from experiments.core.clock import utc_now
from experiments.core.errors import Conflict, InvalidInput, NotFound, TooLarge
from experiments.core.types import JSON, Scope
from experiments.http.client_caps import admission
from experiments.http.doors import Door, identity, json_body
from experiments.http.parsing import BATCH_ITEMS
from experiments.services.ground.turns import TurnKind


class IngestDoor(Door):
    """What these doors have in common."""

    scopes: tuple[Scope, ...] = (Scope.SERVER, Scope.INGEST)
    kind = TurnKind.STORE
    plural = ""
    # The items' type differs by door; each pair below belongs together.
    parse: Callable[..., Any]
    take: Callable[..., BatchResult]

    def post(self, request: Request) -> JsonResponse:
        """Store a batch or one item; idempotent by event_id."""
        body = json_body(request, packed=True)
        key = identity(request)
        raw, single = items_of(body, self.plural)
        items = parse_items(raw, type(self).parse)
        result = type(self).take(
            items,
            now=utc_now(),
            identity=IngestIdentity(key.environment, key.scope, admission(request, key)),
        )
        return JsonResponse(single_answer(raw[0], result) if single else result.as_json())


def _described(plural: str) -> Callable[[type[IngestDoor]], type[IngestDoor]]:
    """The schema of one door's body and answer."""
    return extend_schema_view(post=extend_schema(request=body_of(plural), responses={200: COUNTS}))


@_described("exposures")
class ExposuresDoor(IngestDoor):
    """`POST /api/v1/exposures`: units that really met an experiment."""

    scopes = (Scope.SERVER, Scope.INGEST, Scope.CLIENT)
    plural = "exposures"
    parse = staticmethod(parse_exposure)
    take = staticmethod(ingest_exposures)


@_described("observations")
class ObservationsDoor(IngestDoor):
    """`POST /api/v1/observations`: measured values of metrics."""

    plural = "observations"
    parse = staticmethod(parse_observation)
    take = staticmethod(ingest_observations)


@_described("events")
class EventsDoor(IngestDoor):
    """`POST /api/v1/events`: interactions that metrics count."""

    plural = "events"
    parse = staticmethod(parse_event)
    take = staticmethod(ingest_events)


@_described("feedback")
class FeedbackDoor(IngestDoor):
    """`POST /api/v1/feedback`: what people thought of answers."""

    plural = "feedback"
    parse = staticmethod(parse_feedback)
    take = staticmethod(ingest_feedback)


@_described("costs")
class CostsDoor(IngestDoor):
    """`POST /api/v1/costs`: what calls of models took."""

    plural = "costs"
    parse = staticmethod(parse_cost)
    take = staticmethod(ingest_costs)


def items_of(body: JSON, plural: str) -> tuple[Sequence[object], bool]:
    """The items of a body and whether it is a single one, which gets an event_id when it brings
    none.
    """
    if not isinstance(body, dict):
        raise InvalidInput(f'expected {{"{plural}": [...]}} or one item as an object')
    if plural not in body:
        return [{**body, "event_id": body.get("event_id") or str(uuid.uuid4())}], True
    others = sorted(set(body) - {plural})
    if others:
        raise InvalidInput(
            f"beside {plural} there is {others[0][:64]!r}; a batch has nothing else", others[0][:64]
        )
    items = body[plural]
    if not isinstance(items, list):
        raise InvalidInput(f"{plural}: expected a list of items", plural)
    if len(items) > BATCH_ITEMS:
        raise TooLarge(
            f"{plural}: {len(items):,} items; at most {BATCH_ITEMS:,} in a batch", plural
        )
    return items, False


def single_answer(raw: Any, result: BatchResult) -> dict[str, object]:  # Any: one parsed item
    """The counts and the id under which the item is kept, or its refusal; above a cap the answer
    stays, with the reason in it.
    """
    if result.errors and result.errors[0].code != OVER_CAP:
        raise _refusal(result.errors[0])
    return {**result.as_json(), "event_id": raw["event_id"]}


def _refusal(error: ItemError) -> InvalidInput | Conflict | NotFound:
    kinds: dict[str, type[Conflict] | type[NotFound]] = {
        "conflict": Conflict,
        "unknown_experiment": NotFound,
    }
    return kinds.get(error.code, InvalidInput)(error.message, error.field, code=error.code)
