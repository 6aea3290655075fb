"""``GET /api/v1/tail?experiment=…`` or ``?unit=…``: what lately came in about one experiment or
unit, accepted and refused.

Rows carry units' ids, so the permission of raw rows is asked of the key's owner, and looking is
logged. Reading scope is not enough: such keys lie in dashboards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from django.http import JsonResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from analytics.selectors.arriving.tail import KINDS, TailSubject, tail
from analytics.services.ingest import watches
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput
from experiments.core.serving.keyring import KeyIdentity
from experiments.core.types import Scope
from experiments.core.units import check_unit_id, check_unit_type
from experiments.http.doors import Door, identity
from experiments.selectors.experiments import resolve

_PARAMETERS = ("experiment", "unit", "unit_type", "kind")


class TailItem(msgspec.Struct):
    """One thing that happened; ``accepted`` is false for what was refused, with the code in
    ``reason``.
    """

    kind: str
    at: str
    received: str
    accepted: bool
    reason: str
    message: str
    experiment: str | None
    variant: str | None
    unit_type: str | None
    unit: str | None
    bucket: int | None
    name: str | None
    value: float | None
    count: int | None
    event_id: str | None


class TailAnswer(msgspec.Struct):
    """Newest first, at most 200."""

    items: list[TailItem]
    environment: str


class Tail(Door):
    """Management keys of people who may read raw rows; of the key's own environment."""

    scopes = (Scope.MANAGEMENT,)

    @extend_schema(
        operation_id="live_tail",
        parameters=[
            OpenApiParameter("experiment", str, description="An id, UUID, key or name."),
            OpenApiParameter("unit", str, description="A unit's id."),
            OpenApiParameter("unit_type", str, description="With unit: only this type."),
            OpenApiParameter(
                "kind",
                str,
                enum=KINDS,
                many=True,
                description="Only these; several are separated by commas.",
            ),
        ],
        responses=TailAnswer,
    )
    def get(self, request: Request) -> JsonResponse:
        """The last 200 rows. Answers without an exposure are noted from the first look on, for ten
        minutes after the last.
        """
        key, now = identity(request), utc_now()
        asked = _asked(request, key)
        watches.look(
            key.actor,
            now,
            experiment=asked.subject.experiment,
            unit_id=asked.subject.unit_id,
            unit_type=asked.unit_type,
        )
        rows = tail(asked.subject, now, asked.kinds)
        return JsonResponse(
            {"items": [row.as_json() for row in rows], "environment": key.environment.value}
        )


@dataclass(frozen=True)
class _Asked:
    subject: TailSubject
    kinds: tuple[str, ...]
    unit_type: str


def _asked(request: Request, key: KeyIdentity) -> _Asked:
    query: Any = request.query_params  # Any: a QueryDict, typed loosely by the framework
    unknown = sorted(set(query) - set(_PARAMETERS))
    if unknown:
        raise InvalidInput(
            f"unknown parameter {unknown[0][:64]!r}; known are {', '.join(_PARAMETERS)}",
            unknown[0][:64],
        )
    ref, unit_id, unit_type = (
        query.get("experiment", ""),
        query.get("unit", ""),
        query.get("unit_type", ""),
    )
    if bool(ref) == bool(unit_id):
        raise InvalidInput("send exactly one of experiment and unit", "experiment")
    problem = check_unit_id(unit_id, "unit") if unit_id else None
    problem = problem or (check_unit_type(unit_type) if unit_type else None)
    if problem is not None:
        raise InvalidInput(problem.message, problem.field)
    subject = TailSubject(resolve(ref) if ref else None, unit_id, unit_type, key.environment)
    return _Asked(subject, _kinds(query.getlist("kind")), unit_type or "user")


def _kinds(asked: list[str]) -> tuple[str, ...]:
    wanted = [name for text in asked for name in text.split(",") if name]
    unknown = [name for name in wanted if name not in KINDS]
    if unknown:
        raise InvalidInput(
            f"kind: expected some of {', '.join(KINDS)}, found {unknown[0][:40]!r}", "kind"
        )
    return tuple(kind for kind in KINDS if kind in wanted) or KINDS
