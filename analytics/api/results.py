"""Results of an experiment for dashboards and notebooks: the sources' answers, key by key, beside
the whole result.

What is masked has no numbers at any of these doors, only the counts that explain why.
"""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api import source_answers
from analytics.core.ground.encoding import plain
from analytics.models import AnalysisRun
from analytics.readings.described import describe_all, describe_metric
from analytics.selectors import geo
from analytics.selectors.cards import card_of
from analytics.selectors.results import view_of
from analytics.selectors.scans import scan_of
from analytics.selectors.significance import latest_run, significance
from analytics.services.ingest.drain import drain_now
from experiments.core.clock import utc_now
from experiments.core.durations import parse_duration
from experiments.core.errors import InvalidInput
from experiments.core.types import MetricRole, Scope
from experiments.http.doors import Door
from experiments.models import Experiment
from experiments.selectors.experiments import resolve

SECONDS_TO_DRAIN = 3.0
"""An answer that counts waits so long for exposures queued on its host to be stored."""
READERS = (Scope.READ, Scope.MANAGEMENT)


class Metrics(Door):
    """`GET …/metrics`: what came in so far, arm by arm, and the newest analysis in full."""

    scopes = READERS

    @extend_schema(
        operation_id="experiment_metrics",
        parameters=[
            OpenApiParameter(
                "duration", str, description="Only units first exposed within it: 30m, 24h, 7d, 2w."
            )
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, ref: str) -> Response:
        """Exposures, unique users and conversions by variant, and the newest analysis.

        A p is a number and never 0: what is below 1e-300 is given as 1e-300.
        """
        experiment = resolve(ref)
        run = latest_run(experiment)
        duration = request.query_params.get("duration", "")
        described = describe_all(
            experiment, utc_now(), within=parse_duration(duration) if duration else None
        )
        arms = source_answers.variant_metrics(described, masked=_masked(run))
        return Response(_head(experiment) | {"variant_metrics": arms} | _whole(run))


class Analyze(Door):
    """`GET …/analyze`: the primary metric's arms, and what the looks and the stored decision say of
    them.
    """

    scopes = READERS

    @extend_schema(
        operation_id="experiment_analyze",
        parameters=[
            OpenApiParameter(
                "metric", str, description="Another planned metric than the primary one."
            )
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, ref: str) -> Response:
        """Statistics by variant, and the recommendation. Asking is never a look and spends nothing.

        A p is a number and never 0: what is below 1e-300 is given as 1e-300.
        """
        experiment = resolve(ref)
        waiting, now = drain_now(utc_now(), SECONDS_TO_DRAIN), utc_now()
        run, metric = (
            latest_run(experiment),
            _metric(experiment, request.query_params.get("metric", "")),
        )
        arms = () if _masked(run) else describe_metric(experiment, metric, now)
        answer = source_answers.analysis(experiment, arms, metric, significance(run), now)
        return Response(
            answer | {"metric": metric or None, "exposures_waiting": waiting} | _whole(run)
        )


class Summary(Door):
    """`GET …/summary`: where an experiment is, in the words of its page."""

    scopes = READERS

    @extend_schema(operation_id="experiment_summary", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, ref: str) -> Response:
        """The state and its sentence, units, exposures and results by variant, and what is
        recommended.
        """
        experiment = resolve(ref)
        run = latest_run(experiment)
        now = utc_now()
        arms, found = describe_all(experiment, now), card_of(experiment, now)
        return Response(
            source_answers.summary(experiment, arms, significance(run), found, masked=_masked(run))
        )


def _head(experiment: Experiment) -> dict[str, object]:
    return {
        "experiment_id": experiment.pk,
        "experiment": experiment.key,
        "name": experiment.name,
        "status": experiment.status,
    }


def _metric(experiment: Experiment, asked: str) -> str:
    """The planned metric that is asked about; without a primary one, none."""
    planned = {row.metric.key: row.role for row in experiment.planned_metrics.all()}
    if asked and asked not in planned:
        known = ", ".join(planned) or "none is planned"
        raise InvalidInput(
            f"metric: {experiment.key} plans no metric {asked[:80]!r}; planned are {known}",
            "metric",
        )
    return asked or next((key for key, role in planned.items() if role == MetricRole.PRIMARY), "")


def _masked(run: AnalysisRun | None) -> bool:
    return run is not None and run.masked


def _whole(run: AnalysisRun | None) -> dict[str, object]:
    """The newest analysis as pages show it; null before the first."""
    if run is None:
        return {"masked": False, "masked_why": "", "results": None, "scan": None}
    pilot = geo.view_of(run)
    if pilot is not None:
        return {"masked": False, "masked_why": "", "results": plain(pilot), "scan": None}
    view, found = view_of(run), scan_of(run.iteration, masked=run.masked)
    return {
        "masked": view.masked,
        "masked_why": view.masked_why if view.masked else "",
        "results": plain(view),
        "scan": None if found is None else plain(found),
    }
