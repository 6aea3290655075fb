"""The live tail's rows alone, for the script that asks for them while somebody looks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from experiments.admin.base import WorkplaceAdmin
from experiments.admin.experiment_actions import found
from experiments.admin.wiring_section import tail_of


def rows(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """What arrived for an experiment, newest first."""
    admin.refuse_unless_may_view(request)
    return TemplateResponse(
        request, "admin/assay/tail_rows.html", tail_of(request, found(experiment_id))
    )
