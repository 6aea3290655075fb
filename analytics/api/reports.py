"""The report of an experiment, as a page, as text, or as data."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from analytics.selectors.reporting.reports import FORMATS, body_of, report_of
from experiments.core.errors import InvalidInput
from experiments.core.types import Scope
from experiments.http.documents import TYPES, document
from experiments.http.doors import Door
from experiments.selectors.experiments import resolve

_FORMAT = OpenApiParameter(
    "format",
    str,
    enum=list(FORMATS),
    default="html",
    description="pdf only where WeasyPrint is installed.",
)


class AsAsked(BaseContentNegotiation):
    """The address names the format: a link cannot set Accept, and here ``format`` is no renderer's
    name.
    """

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The first, for refusals: they are JSON."""
        first = next(iter(renderers))
        return first, str(first.media_type)


class ReportDoor(Door):
    """`GET …/report`: what was kept when the experiment ended; before that, what stands now, marked
    as not final.
    """

    scopes = (Scope.READ, Scope.MANAGEMENT)
    content_negotiation_class = AsAsked

    @extend_schema(
        operation_id="experiment_report",
        parameters=[
            OpenApiParameter(
                "format",
                str,
                enum=list(FORMATS),
                default="html",
                description="pdf only where WeasyPrint is installed.",
            )
        ],
        responses={
            (200, kind): OpenApiTypes.BINARY if "pdf" in kind else OpenApiTypes.STR
            for kind in TYPES.values()
        },
    )
    def get(self, request: Request, ref: str) -> HttpResponse:
        """The report in one of its formats; what is masked has no numbers in it."""
        kind = request.query_params.get("format", "html")
        if kind not in FORMATS:
            raise InvalidInput(
                f"format: expected one of {', '.join(FORMATS)}, found {kind[:40]!r}", "format"
            )
        experiment = resolve(ref)
        return document(body_of(report_of(experiment), kind), kind, f"{experiment.key}-report")
