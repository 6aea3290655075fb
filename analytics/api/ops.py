"""`/ops/experiments`: experiments at a glance for operators, and the promotion of what the stored
decision recommends.
"""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api import source_answers
from analytics.core.ground.encoding import restored
from analytics.core.results import MetricResult
from analytics.models import AnalysisRun
from analytics.selectors.exposition import ArmNumbers, numbers_of
from analytics.selectors.plans import iteration_to_analyse
from analytics.selectors.significance import latest_run, significance
from analytics.services.analysis import counting
from experiments.core.clock import utc_now
from experiments.core.types import Scope, Status
from experiments.http.doors import Door, identity
from experiments.http.filters import ExperimentFilters
from experiments.http.idempotency import idempotent
from experiments.http.pages import filtered, page, parameters
from experiments.models import Experiment
from experiments.selectors.experiments import experiments, resolve
from experiments.services.life.recommended import promote_recommended

COUNTING_SECONDS = 1.0
"""How long one answer may spend on counting again what is told."""


class OpsExperiments(Door):
    """`GET /ops/experiments`: by key, each with the significance of its newest analysis; archived
    ones only when asked for.
    """

    scopes = (Scope.MANAGEMENT,)

    @extend_schema(
        operation_id="ops_experiments",
        parameters=parameters(ExperimentFilters),
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Every experiment that is not archived, newest first."""
        rows = experiments().prefetch_related("rollouts__variant").order_by("-id")
        counting.count_within(utc_now(), COUNTING_SECONDS)
        rows = rows if "status" in request.query_params else rows.exclude(status=Status.ARCHIVED)
        listed = page(
            request,
            filtered(request, ExperimentFilters, rows),
            "experiments",
            lambda row: (row.key, _entry(row)),
        )
        return Response(listed | {"experiments": dict(listed["experiments"])})


class OpsPromote(Door):
    """`POST /ops/experiments/{name}/promote`: promotes what the decision recommends; 409 with the
    reasons otherwise.
    """

    scopes = (Scope.MANAGEMENT,)

    @extend_schema(operation_id="ops_promote", request=None, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        """Roll the recommended variant out."""
        experiment = resolve(ref)
        run = latest_run(experiment)
        found = significance(run)
        promote_recommended(identity(request).actor, utc_now(), experiment=experiment)
        rolled_out = experiment.rollouts.select_related("variant").latest("pk")
        chi_square = source_answers.chi_square(_primary(run))
        return Response(
            {
                "ok": True,
                "promoted": rolled_out.variant.key,
                "p_value": found.p_value,
                "chi_square": chi_square,
            }
        )


def _entry(experiment: Experiment) -> dict[str, object]:
    run = latest_run(experiment)
    rollout = next((row for row in experiment.rollouts.all() if row.closed_at is None), None)
    promoted = None if rollout is None else rollout.variant.key
    return source_answers.operators_entry(
        experiment, significance(run), _arms(experiment, run), _primary(run), promoted
    )


def _arms(experiment: Experiment, run: AnalysisRun | None) -> list[ArmNumbers]:
    """What was told so far of the newest iteration; nothing before the first launch."""
    iteration = iteration_to_analyse(experiment)
    if iteration is None:
        return []
    found = counting.counted(iteration, utc_now())
    masked = run is not None and run.masked
    return (
        []
        if found is None
        else [numbers_of(experiment.key, found.primary, arm, masked=masked) for arm in found.arms]
    )


def _primary(run: AnalysisRun | None) -> MetricResult | None:
    """The metric that decides, as analysed; None also while it is masked."""
    if run is None or run.masked:
        return None
    return source_answers.primary_of(
        restored(run.results.get("metrics", []), tuple[MetricResult, ...])
    )
