"""``POST /api/v1/assignments``: which variant a unit gets, for one or many experiments and one or many units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request

from experiments.core.assignment import Assignment, AssignmentRequest, assign, assign_all
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, NotFound, Problem, TooLarge
from experiments.core.types import Environment, Scope
from experiments.core.units import check_units
from experiments.http.doors import Door, identity, raw_body
from experiments.http.parsing import BATCH_BODY, BATCH_ITEMS, ONE_BODY, convert, parse_json
from experiments.metrics import count_answers
from experiments.selectors import serving
from experiments.selectors.serving import ServingState
from experiments.services.exposures import Recording, expose

Attributes = dict[str, Any]  # Any: whatever applications know of a request; targeting compares what it can


class Subject(msgspec.Struct, forbid_unknown_fields=True):
    """One of a batch: the units of one request and what is known of it."""

    unit: str | None = None
    units: dict[str, str] | None = None
    attributes: Attributes = {}


class AssignmentBody(msgspec.Struct, forbid_unknown_fields=True):
    """``unit`` is short for ``{"user": unit}``; exactly one of ``unit``, ``units`` and ``batch``."""

    unit: str | None = None
    units: dict[str, str] | None = None
    batch: list[Subject] | None = None
    experiments: Annotated[list[str], Meta(max_length=200)] | None = None
    attributes: Attributes = {}
    exposure: Recording | None = None


@dataclass(frozen=True)
class _Question:
    """What is the same for every unit of a request."""

    state: ServingState
    experiments: Sequence[str] | None
    environment: Environment
    client: bool


class Assignments(Door):
    """Always a value with a reason: not being assigned is an answer, not an error."""

    scopes = (Scope.SERVER, Scope.CLIENT)
    needs_database = False

    @extend_schema(request=AssignmentBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> HttpResponse:
        now = utc_now()
        raw = raw_body(request)
        body = convert(parse_json(raw, max_bytes=BATCH_BODY), AssignmentBody)
        subjects = _subjects(body, len(raw))
        key = identity(request)
        question = _Question(serving.current(), body.experiments, key.environment, key.scope is Scope.CLIENT)
        _refuse_unknown(question)
        problems = [_problems(subject, _field(body, index)) for index, subject in enumerate(subjects)]
        if body.batch is None and problems[0]:
            raise InvalidInput(problems[0][0].message, problems[0][0].field, problems[0])
        answers = [
            () if problem else _answers(question, _units(subject), body.attributes | subject.attributes, now)
            for subject, problem in zip(subjects, problems, strict=True)
        ]
        flat = [answer for several in answers for answer in several]
        count_answers([answer.served for answer in flat])
        expose(flat, now, environment=key.environment, how=_recording(body, len(subjects)))
        return _response(body, subjects, answers, problems, question.state)


def _subjects(body: AssignmentBody, size: int) -> list[Subject]:
    given = [name for name in ("unit", "units", "batch") if getattr(body, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise InvalidInput(f"send exactly one of unit, units and batch; found {found}", given[1] if given else "unit", code="unit_missing")
    if body.batch is None:
        if size > ONE_BODY:
            raise TooLarge(f"the body has {size:,} bytes; at most {ONE_BODY:,} are taken for one assignment")
        return [Subject(unit=body.unit, units=body.units)]
    if not 1 <= len(body.batch) <= BATCH_ITEMS:
        error = TooLarge if body.batch else InvalidInput
        raise error(f"batch: expected 1 to {BATCH_ITEMS:,} items, found {len(body.batch):,}", "batch")
    return body.batch


def _units(subject: Subject) -> dict[str, str]:
    return {"user": subject.unit} if subject.unit is not None else subject.units or {}


def _field(body: AssignmentBody, index: int) -> str:
    return "units" if body.batch is None else f"batch[{index}].units"


def _problems(subject: Subject, field: str) -> tuple[Problem, ...]:
    if (subject.unit is None) == (subject.units is None):
        return (Problem("unit_missing", f"{field}: send exactly one of unit and units", field),)
    return check_units(_units(subject), field)


def _refuse_unknown(question: _Question) -> None:
    """A name that no experiment has is a slip of the caller; a paused or finished experiment's is not."""
    catalogue = question.state.catalogue
    entries = {name: catalogue.experiment(name, question.environment) for name in question.experiments or ()}
    unknown = [name for name, entry in entries.items() if entry is None or (question.client and not entry.flag.client_visible)]
    if unknown:
        problems = [Problem("experiment_unknown", f"there is no experiment {name[:128]!r}", "experiments") for name in unknown]
        raise NotFound(f"unknown experiment {unknown[0][:128]!r}; wanted an experiment's key or name", "experiments", problems)


def _answers(question: _Question, units: Mapping[str, str], attributes: Attributes, now: datetime) -> tuple[Assignment, ...]:
    catalogue, environment, client = question.state.catalogue, question.environment, question.client
    if question.experiments is None:
        return assign_all(catalogue, units, attributes, now, environment, client)
    requests = (
        AssignmentRequest(experiment=name, units=units, attributes=attributes, environment=environment, client=client)
        for name in question.experiments
    )
    # By experiment: one asked for by its key and by its name as well is met once.
    return tuple({answer.served.experiment: answer for answer in (assign(catalogue, request, now) for request in requests)}.values())


def _recording(body: AssignmentBody, subjects: int) -> Recording:
    """By default one unit that asks for experiments by name is about to meet them; whoever fetches all is not."""
    if body.exposure is not None:
        return body.exposure
    return Recording.QUEUED if subjects == 1 and body.experiments else Recording.NONE


def _response(
    body: AssignmentBody,
    subjects: Sequence[Subject],
    answers: Sequence[Sequence[Assignment]],
    problems: Sequence[Sequence[Problem]],
    state: ServingState,
) -> HttpResponse:
    lists = [
        [_item(answer, _units(subject), state.stale) for answer in several] for subject, several in zip(subjects, answers, strict=True)
    ]
    document: dict[str, object] = {"assignments": lists[0]}
    if body.batch is not None:
        wrong = [{"index": index} | problem.as_json() for index, several in enumerate(problems) for problem in several]
        document = {"results": lists, "errors": wrong}
    response = HttpResponse(msgspec.json.encode(document), content_type="application/json")
    response["X-Assay-Catalogue"] = str(state.version)
    response["X-Assay-Stale"] = "true" if state.stale else "false"
    return response


def _item(answer: Assignment, units: Mapping[str, str], stale: bool) -> dict[str, object]:
    served = answer.served
    return {
        "unit": answer.unit_id or units.get("user") or next(iter(units.values()), None),
        "experiment": served.experiment,
        "flag": served.flag,
        "variant": served.variant,
        "config": served.config,
        "value": served.value,
        "bucket": answer.bucket,
        "reason": served.reason.value,
        "stage": None if served.stage is None else served.stage.value,
        "shadow": served.shadow,
        "metadata": served.metadata | {"stale": True} if stale else served.metadata,
    }
