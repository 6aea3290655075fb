"""``POST /api/v1/assignments``: which variant a unit gets, for one or many experiments and one or
many units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from msgspec import Meta

from experiments.api.assignment_json import items
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, NotFound, Problem, TooLarge
from experiments.core.serving.asking import Asked
from experiments.core.serving.asking import asked as read_asked
from experiments.core.serving.catalogue import ExperimentEntry
from experiments.core.serving.keyring import KeyIdentity
from experiments.core.serving.together import Assigned
from experiments.core.types import Scope
from experiments.http.answers import served
from experiments.http.asked import in_question
from experiments.http.auth import opened_by_header
from experiments.http.client_caps import admission
from experiments.http.cors import OPENED, opened_to_pages
from experiments.http.doors import Door, raw_body, refuse_nul, take_the_rest
from experiments.http.errors import handle
from experiments.http.parsing import BATCH_ITEMS, ONE_BODY, convert, parse_json
from experiments.metrics import count_answers
from experiments.selectors import serving
from experiments.selectors.serving import ServingState
from experiments.services.serving.client_rows import Admit
from experiments.services.serving.exposures import Recording, expose

Attributes = dict[
    str, Any
]  # Any: whatever applications know of a request; targeting compares what it can
UnitId = Any  # Any: text or a whole number; whatever else is sent makes that unit unfit, and nothing more
Ask = Callable[[Mapping[str, str], Mapping[str, object], datetime], Assigned]


class Subject(msgspec.Struct, forbid_unknown_fields=True):
    """One of a batch: the units of one request and what is known of it."""

    unit: UnitId = None
    units: dict[str, UnitId] | None = None
    attributes: Attributes = {}


class AssignmentBody(msgspec.Struct, forbid_unknown_fields=True):
    """``unit`` is short for ``{"user": unit}``; exactly one of ``unit``, ``units`` and
    ``batch``.
    """

    unit: UnitId = None
    units: dict[str, UnitId] | None = None
    batch: list[Subject] | None = None
    experiments: Annotated[list[str], Meta(max_length=200)] | None = None
    attributes: Attributes = {}
    exposure: Recording | None = None


class Assignments(Door):
    """Always a value with a reason: not being assigned is an answer, not an error."""

    scopes = (Scope.SERVER, Scope.CLIENT)
    needs_database = False

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:  # Any: as the framework passes them
        """A POST goes straight to its answer: the framework's own way there costs more than all
        that is done on it.
        """
        if request.method != "POST":
            return super().dispatch(request, *args, **kwargs)
        try:
            return self.post(request)
        except Exception as error:
            refusal = handle(error, {})
            if refusal is None:
                raise
            take_the_rest(request)
            return opened_to_pages(refusal)

    @extend_schema(request=AssignmentBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: HttpRequest) -> HttpResponse:
        key = opened_by_header(request.META, *self.scopes)
        refuse_nul(request)
        raw = raw_body(request)
        body = convert(parse_json(raw, forgiving=in_question), AssignmentBody)
        _refuse_mixture(body, len(raw))
        state = serving.current()
        asked = _asked(state, body.experiments, key)
        answered = _many if body.batch is not None else _one
        return answered(body, asked, state, key, admission(request, key))


def _refuse_mixture(body: AssignmentBody, size: int) -> None:
    given = [name for name in ("unit", "units", "batch") if getattr(body, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise InvalidInput(
            f"send exactly one of unit, units and batch; found {found}",
            given[1] if given else "unit",
            code="unit_missing",
        )
    if body.batch is None:
        if size > ONE_BODY:
            raise TooLarge(
                f"the body has {size:,} bytes; at most {ONE_BODY:,} are taken for one assignment"
            )
    elif not 1 <= len(body.batch) <= BATCH_ITEMS:
        error = TooLarge if body.batch else InvalidInput
        raise error(
            f"batch: expected 1 to {BATCH_ITEMS:,} items, found {len(body.batch):,}", "batch"
        )


def _asked(state: ServingState, names: Sequence[str] | None, key: KeyIdentity) -> Ask:
    """What asks the experiments meant, each once, by whichever name; all that serve when none is
    named.

    A name that no experiment has is a slip of the caller; a paused or finished experiment's is not.
    """
    catalogue, environment, client = state.catalogue, key.environment, key.scope is Scope.CLIENT
    if names is None:
        return catalogue.all_experiments(environment, client)
    entries, unknown = dict[str, ExperimentEntry](), list[str]()
    for name in dict.fromkeys(names):
        entry = catalogue.experiment(name, environment)
        if entry is None or (client and not entry.flag.client_visible):
            unknown.append(name)
        else:
            entries[entry.key] = entry
    if unknown:
        problems = [
            Problem("experiment_unknown", f"there is no experiment {name[:128]!r}", "experiments")
            for name in unknown
        ]
        raise NotFound(
            f"unknown experiment {unknown[0][:128]!r}; wanted an experiment's key or name",
            "experiments",
            problems,
        )
    return lambda units, attributes, now: Assigned.of(
        [entry.evaluate(units, attributes, now) for entry in entries.values()]
    )


# ---------------------------------------------------------------- one unit, many units


def _one(
    body: AssignmentBody, asked: Ask, state: ServingState, key: KeyIdentity, admit: Admit | None
) -> HttpResponse:
    now, about = utc_now(), read_asked(_units(body), body.attributes)
    about.refuse_nobody()
    answers = asked(about.units, about.attributes, now)
    _remember(answers, key, now, body.exposure or _usual(body, 1), about.units, admit=admit)
    end = b',"errors":' + _errors([about.problems]) + b"}" if about.problems else b"}"
    return served(
        b"".join((b'{"assignments":', *items(answers, about.units, state.stale), end)),
        state,
        OPENED,
    )


def _many(
    body: AssignmentBody, asked: Ask, state: ServingState, key: KeyIdentity, admit: Admit | None
) -> HttpResponse:
    now, subjects = utc_now(), body.batch or []
    about = [
        _about(subject, body.attributes, f"batch[{index}].units")
        for index, subject in enumerate(subjects)
    ]
    answers = [
        asked(one.units, one.attributes, now) if one.units or not one.problems else Assigned.of(())
        for one in about
    ]
    lists = [
        b"".join(items(several, one.units, state.stale))
        for one, several in zip(about, answers, strict=True)
    ]
    _remember(
        Assigned.joined(answers),
        key,
        now,
        body.exposure or _usual(body, len(subjects)),
        admit=admit,
    )
    return served(
        b'{"results":['
        + b",".join(lists)
        + b'],"errors":'
        + _errors([one.problems for one in about])
        + b"}",
        state,
        OPENED,
    )


def _errors(problems: Sequence[Sequence[Problem]]) -> bytes:
    """Every unit and attribute that was not used, with the index of its item."""
    return msgspec.json.encode(
        [
            {"index": index} | problem.as_json()
            for index, several in enumerate(problems)
            for problem in several
        ]
    )


def _usual(body: AssignmentBody, subjects: int) -> Recording:
    """One unit that asks for experiments by name is about to meet them; whoever fetches all is
    not.
    """
    return Recording.QUEUED if subjects == 1 and body.experiments else Recording.NONE


def _units(subject: AssignmentBody | Subject) -> dict[str, UnitId]:
    return {"user": subject.unit} if subject.unit is not None else subject.units or {}


def _about(subject: Subject, shared: Attributes, field: str) -> Asked:
    if (subject.unit is None) == (subject.units is None):
        return Asked(
            {},
            {},
            (Problem("unit_missing", f"{field}: send exactly one of unit and units", field),),
        )
    return read_asked(_units(subject), shared | subject.attributes, field=field)


def _remember(
    answers: Assigned,
    key: KeyIdentity,
    now: datetime,
    how: Recording,
    units: dict[str, str] | None = None,
    *,
    admit: Admit | None,
) -> None:
    count_answers(answers.served)
    expose(answers, now, environment=key.environment, how=how, units=units, admit=admit)
