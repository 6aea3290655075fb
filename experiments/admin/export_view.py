"""Results as files to take away, for those who may see them on the page."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from analytics.selectors import results
from analytics.selectors.reporting import exports
from experiments.admin.base import WorkplaceAdmin
from experiments.admin.experiment_actions import found
from experiments.admin.experiment_view import page_url
from experiments.http.documents import document

WRITERS = {"csv": exports.results_csv, "json": exports.results_json}


def export(
    admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int, kind: str
) -> HttpResponse:
    """The newest results as CSV or JSON; before the first analysis, back to the page that says
    so.
    """
    admin.refuse_unless_may_view(request)
    if kind not in WRITERS:
        raise Http404("no such format")
    experiment = found(experiment_id)
    view = results.latest(experiment)
    if view is None:
        messages.error(
            request, f"{experiment.name} has no analysis yet, so there is nothing to export."
        )
        return HttpResponseRedirect(page_url(experiment_id, "results"))
    answer = document(WRITERS[kind](view), kind, f"{experiment.key}-results")
    answer["Content-Disposition"] = answer["Content-Disposition"].replace("inline", "attachment", 1)
    return answer
