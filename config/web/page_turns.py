"""Pages take turns at the database like every other door, and say it plainly when a lock keeps them
waiting.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from experiments.core.errors import AssayError
from experiments.http.errors import RETRY_SECONDS, UNAVAILABLE, outage
from experiments.services.ground.turns import TurnKind, turn

log = structlog.get_logger(__name__)
PAGES = "/admin/"
STOPS = "/do/emergency_stop/"


class PageTurns:
    """Between static files, which need no database, and sessions, which do."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PAGES):
            return self.get_response(request)
        try:
            with turn(TurnKind.STOP if request.path_info.endswith(STOPS) else TurnKind.MANAGE):
                return self.get_response(request)
        except AssayError as refusal:
            return _later(refusal)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A page that met a lock or a database that is away; everything else is a fault of ours."""
        if not request.path_info.startswith(PAGES) or not isinstance(
            error, OperationalError | InterfaceError
        ):
            return None
        log.warning("page_waited_in_vain", path=request.path_info, error=str(error))
        return _later(outage(error))


def _later(refusal: AssayError) -> HttpResponse:
    """Without the workplace's frame, which asks the database who is there."""
    page = render_to_string("admin/assay/later.html", {"why": refusal.message, "styled": True})
    return HttpResponse(page, status=UNAVAILABLE, headers={"Retry-After": str(RETRY_SECONDS)})
