"""Experiments for tools: create, read, list, change; what blocks them, and what was done to
them.
"""

from __future__ import annotations

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from msgspec import UNSET
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api import shown
from experiments.api.bodies import ExperimentBody, ExperimentPatch, variant_specs
from experiments.api.templates import asked_for
from experiments.core.clock import utc_now
from experiments.core.life.lifecycle import verbs_from
from experiments.core.types import PauseCause, Scope, Status
from experiments.http.doors import Door, identity, json_body, read
from experiments.http.filters import ExperimentFilters
from experiments.http.idempotency import idempotent
from experiments.http.pages import PAGE_PARAMETERS, filtered, page, parameters
from experiments.http.parsing import MAX_DOCUMENT_STRING, convert
from experiments.selectors import checklist
from experiments.selectors.experiments import experiments, open_iteration, resolve
from experiments.services.drafts import drafts

READERS = (Scope.READ, Scope.MANAGEMENT)
WRITERS = (Scope.MANAGEMENT,)
CREATED = "Experiment created successfully. Use /start endpoint to begin."


class Experiments(Door):
    """``GET`` lists them, newest first; ``POST`` creates a draft, from a template if it names
    one.
    """

    scopes = READERS
    scopes_by_method = {"POST": WRITERS}

    @extend_schema(
        operation_id="experiments_list",
        parameters=parameters(ExperimentFilters),
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Experiments, newest first."""
        found = filtered(request, ExperimentFilters, experiments().order_by("-id"))
        return Response(page(request, found, "experiments", shown.brief))

    @extend_schema(request=ExperimentBody, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        document = json_body(request, max_string=MAX_DOCUMENT_STRING)
        spec = asked_for(
            convert(document, ExperimentBody), document if isinstance(document, dict) else ()
        )
        experiment = drafts.create_experiment(identity(request).actor, utc_now(), spec=spec)
        return Response(shown.full(resolve(experiment.pk), None, CREATED), status=201)


class OneExperiment(Door):
    """``GET`` reads it; ``PATCH`` changes a draft, or amends what is not design with a reason."""

    scopes = READERS
    scopes_by_method = {"PATCH": WRITERS}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, ref: str) -> Response:
        experiment = resolve(ref)
        return Response(shown.full(experiment, open_iteration(experiment)))

    @extend_schema(request=ExperimentPatch, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, ref: str) -> Response:
        body = read(request, ExperimentPatch, max_string=MAX_DOCUMENT_STRING)
        experiment = resolve(ref)
        actor, now, pk = identity(request).actor, utc_now(), experiment.pk
        changes = body.changes()
        # One request, one change: either all of it is kept or none of it.
        with transaction.atomic():
            if changes:
                drafts.edit_experiment(
                    actor, now, experiment_id=pk, changes=changes, reason=body.reason
                )
            if body.variants is not UNSET:
                drafts.set_variants(
                    actor,
                    now,
                    experiment_id=pk,
                    variants=variant_specs(body.variants),
                    reason=body.reason,
                )
            if body.metrics is not UNSET:
                plans = [metric.plan() for metric in body.metrics]
                drafts.plan_metrics(actor, now, experiment_id=pk, metrics=plans, reason=body.reason)
        experiment = resolve(pk)
        return Response(
            shown.full(
                experiment, open_iteration(experiment), f"Experiment {experiment.key} changed"
            )
        )


class Blockers(Door):
    """The checklist, and for each verb that leads on from here what stands against it."""

    scopes = READERS

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, ref: str) -> Response:
        experiment, now = resolve(ref), utc_now()
        leaving = verbs_from(Status(experiment.status), PauseCause(experiment.pause_cause))
        verbs = [
            {
                "verb": step.verb.value,
                "label": step.label,
                "target": step.target.value,
                "blockers": shown.problems(checklist.blockers(experiment, step.verb, now)),
            }
            for step in leaving
        ]
        items = shown.checklist(checklist.states(experiment, now))
        return Response(shown.brief(experiment) | {"checklist": items, "verbs": verbs})


class History(Door):
    """Every change to the experiment, newest first."""

    scopes = READERS

    @extend_schema(parameters=PAGE_PARAMETERS, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, ref: str) -> Response:
        experiment = resolve(ref)
        lines = experiment.changelog.order_by("-at", "-id")
        return Response(shown.brief(experiment) | page(request, lines, "history", shown.change))
