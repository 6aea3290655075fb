"""``POST /api/v1/explain``: why a unit gets what it gets, step by step. A question to think with:
it records no exposure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request

from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, NotFound, Problem
from experiments.core.serving.asking import Asked, asked
from experiments.core.serving.assignment import AssignmentRequest
from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.explaining import Explanation, explain, explain_all
from experiments.core.serving.keyring import KeyIdentity
from experiments.core.types import Scope
from experiments.http.asked import in_question
from experiments.http.doors import Door, identity, read
from experiments.http.parsing import ONE_BODY
from experiments.selectors import serving
from experiments.selectors.serving import ServingState

Names = Annotated[list[str], Meta(max_length=200)]


class ExplainBody(msgspec.Struct, forbid_unknown_fields=True):
    """``unit`` is short for ``{"user": unit}``. Without ``flags`` and ``experiments``: every flag,
    with what serves on it.
    """

    unit: Any = None  # Any: text or a whole number; whatever else is sent makes that unit unfit
    units: dict[str, Any] | None = None  # Any: as above
    attributes: dict[
        str, Any
    ] = {}  # Any: whatever applications know of a request; targeting compares what it can
    flags: Names | None = None
    experiments: Names | None = None


class ExplainedStep(msgspec.Struct):
    """``outcome`` is passed, barred (the experiment or rollout does not take the unit) or
    decided.
    """

    step: str
    outcome: str
    message: str
    detail: dict[str, Any]  # Any: what the step found, by its kind


class Explained(msgspec.Struct):
    """The fields of an assignment, the step that decided, and every step up to it."""

    flag: str | None
    experiment: str | None
    variant: str | None
    value: Any  # Any: of the flag's type
    reason: str
    unit: str | None
    bucket: int | None
    decided_by: str
    steps: list[ExplainedStep]


class ExplainAnswer(msgspec.Struct):
    """One explanation for each flag or experiment asked about."""

    explanations: list[Explained]
    environment: str
    stale: bool


class Explain(Door):
    """For whoever asks why; never for client keys, since the answer shows targeting, lists and what
    others would get.
    """

    scopes = (Scope.SERVER, Scope.READ, Scope.MANAGEMENT)
    needs_database = False

    @extend_schema(request=ExplainBody, responses=ExplainAnswer)
    def post(self, request: Request) -> HttpResponse:
        """Every flag, or those asked about, for one unit now. Decides from memory, as assignments
        do.
        """
        body = read(request, ExplainBody, max_bytes=ONE_BODY, forgiving=in_question)
        whom, key, state = _asked(body), identity(request), serving.current()
        _refuse_unknown(body, key, state)
        about = AssignmentRequest(
            units=whom.units, attributes=whom.attributes, environment=key.environment
        )
        found = _explained(body, about, state.catalogue)
        document: dict[str, object] = {
            "explanations": [one.as_json() for one in found],
            "environment": key.environment.value,
            "stale": state.stale,
        }
        if whom.problems:
            document["errors"] = [problem.as_json() for problem in whom.problems]
        answer = HttpResponse(msgspec.json.encode(document), content_type="application/json")
        answer["X-Assay-Catalogue"] = str(state.version)
        answer["X-Assay-Stale"] = "true" if state.stale else "false"
        return answer


def _asked(body: ExplainBody) -> Asked:
    if (body.unit is None) == (body.units is None):
        raise InvalidInput("send exactly one of unit and units", "unit", code="unit_missing")
    found = asked(
        {"user": body.unit} if body.unit is not None else body.units or {}, body.attributes
    )
    found.refuse_nobody()
    return found


def _explained(
    body: ExplainBody, about: AssignmentRequest, catalogue: Catalogue
) -> tuple[Explanation, ...]:
    now = utc_now()
    if body.flags is None and body.experiments is None:
        return explain_all(catalogue, about.units, about.attributes, now, about.environment)
    asked = [replace(about, flag=name) for name in body.flags or ()] + [
        replace(about, experiment=name) for name in body.experiments or ()
    ]
    return tuple(explain(catalogue, one, now) for one in asked)


def _refuse_unknown(body: ExplainBody, key: KeyIdentity, state: ServingState) -> None:
    flags = [("flag", name) for name in body.flags or () if name not in state.catalogue.flags]
    experiments = [
        ("experiment", name)
        for name in body.experiments or ()
        if state.catalogue.experiment(name, key.environment) is None
    ]
    problems = [
        Problem(f"{kind}_unknown", f"there is no {kind} {name[:128]!r}", f"{kind}s")
        for kind, name in (*flags, *experiments)
    ]
    if problems:
        raise NotFound(problems[0].message, problems[0].field, problems)
