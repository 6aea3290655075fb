"""An experiment's report, as it is read and printed: a page outside the admin's frame, which runs nothing."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from analytics.selectors import reports
from experiments.admin.base import WorkplaceAdmin
from experiments.admin.experiment_actions import found
from experiments.admin.experiment_view import page_url
from experiments.core.errors import AssayError
from experiments.http.documents import document


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
        messages.error(request, str(refusal))
        return HttpResponseRedirect(page_url(experiment_id, "results"))
    return document(body, kind, f"{experiment.key}-report")
