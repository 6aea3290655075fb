"""``POST /api/v1/experiments/get-variant``: one unit's variant of one experiment, asked and
answered as the sources do.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.core.clock import utc_now
from experiments.core.errors import NotFound
from experiments.core.serving.assignment import AssignmentRequest, Served, assign
from experiments.core.types import Scope
from experiments.http.asked import in_question
from experiments.http.doors import Door, identity, read
from experiments.http.parsing import ONE_BODY
from experiments.http.source_units import SourceUnits
from experiments.metrics import count_answers
from experiments.selectors import serving
from experiments.services.serving.exposures import Recording, expose


class GetVariantBody(SourceUnits, kw_only=True):
    """Whose variant, and of which experiment: its key or name. To ask is to be exposed, unless
    ``exposure`` says otherwise.
    """

    experiment_name: Annotated[str, Meta(min_length=1, max_length=200)]
    attributes: dict[
        str, Any
    ] = {}  # Any: whatever applications know of a request; targeting compares what it can
    exposure: Recording = Recording.QUEUED


class VariantAnswer(msgspec.Struct):
    """What a unit gets; ``config`` is the variant's own."""

    name: str
    is_control: bool
    config: dict[str, Any] | None  # Any: JSON as the variant has it
    key: str


class GetVariantAnswer(msgspec.Struct):
    """``variant`` is null for a unit that is not in the experiment; ``reason`` is the step that
    decided.
    """

    variant: VariantAnswer | None
    reason: str
    experiment: str | None


class GetVariant(Door):
    """Answers from memory; not being in the experiment is an answer, not an error."""

    scopes = (Scope.SERVER,)
    needs_database = False

    @extend_schema(request=GetVariantBody, responses=GetVariantAnswer)
    def post(self, request: Request) -> Response:
        body, key, state, now = (
            read(request, GetVariantBody, max_bytes=ONE_BODY, forgiving=in_question),
            identity(request),
            serving.current(),
            utc_now(),
        )
        about = body.asked(body.attributes)
        if state.catalogue.experiment(body.experiment_name, key.environment) is None:
            shown = body.experiment_name[:128]
            raise NotFound(
                f"unknown experiment {shown!r}; wanted an experiment's key or name",
                "experiment_name",
                code="experiment_unknown",
            )
        asked = AssignmentRequest(
            experiment=body.experiment_name,
            units=about.units,
            attributes=about.attributes,
            environment=key.environment,
        )
        answer = assign(state.catalogue, asked, now)
        count_answers((answer.served,))
        expose([answer], now, environment=key.environment, how=body.exposure, units=about.units)
        return Response(
            {
                "variant": _variant(answer.served),
                "reason": answer.served.reason.value,
                "experiment": answer.served.experiment,
            },
            headers={
                "X-Assay-Catalogue": str(state.version),
                "X-Assay-Stale": "true" if state.stale else "false",
            },
        )


def _variant(served: Served) -> dict[str, object] | None:
    if served.variant is None:
        return None
    return {
        "key": served.variant,
        "name": served.variant_name,
        "is_control": served.is_control,
        "config": served.config,
    }
