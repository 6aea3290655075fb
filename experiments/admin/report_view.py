"""An experiment's report, as it is read and printed: a page outside the admin's frame, which runs
nothing.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

from analytics.selectors.reporting import reports
from experiments.admin.base import Crumb, WorkplaceAdmin
from experiments.admin.doing import problems_of
from experiments.admin.experiment_actions import found
from experiments.admin.experiment_view import page_url
from experiments.core.errors import AssayError
from experiments.http.documents import document
from experiments.http.errors import status_of
from experiments.models import Experiment


def report(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """The kept report, or what stands now; ``?format=`` md, json and pdf beside html."""
    admin.refuse_unless_may_view(request)
    kind = request.GET.get("format", "html")
    if kind not in reports.FORMATS:
        raise Http404("no such format")
    experiment = found(experiment_id)
    try:
        body = reports.body_of(reports.report_of(experiment), kind)
    except AssayError as refusal:
        return _refused(admin, request, experiment, refusal)
    return document(body, kind, f"{experiment.key}-report")


def _refused(
    admin: WorkplaceAdmin, request: HttpRequest, experiment: Experiment, refusal: AssayError
) -> HttpResponse:
    """Why there is no report, with the status that says so and a way back."""
    context = {
        "title": experiment.name,
        "original": Crumb(experiment, experiment.name),
        "refusal": "There is no such report.",
        "problems": problems_of(refusal),
        "back": page_url(experiment.pk, "results"),
    }
    return admin.page(request, "admin/assay/refused.html", context, status=status_of(refusal))
