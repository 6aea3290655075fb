"""Show work: what stands behind a metric's numbers, to be followed by hand."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

from analytics.readings.shown_work import shown_work
from experiments.admin.base import Crumb, WorkplaceAdmin
from experiments.admin.experiment_actions import found
from experiments.admin.experiment_view import page_url
from experiments.core.errors import NotFound


def work(
    admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int, metric: str
) -> HttpResponse:
    """One metric's totals, arithmetic, SQL, window, cap, exclusions, data cut and versions."""
    admin.refuse_unless_may_view(request)
    experiment = found(experiment_id)
    try:
        shown = shown_work(experiment, metric)
    except NotFound as refusal:
        raise Http404(str(refusal)) from refusal
    names = {arm.key: arm.name for arm in shown.view.arms}
    title = f"Work behind {shown.metric.definition.name}"
    context = {
        "title": title,
        "original": Crumb(experiment, experiment.name),
        "experiment": experiment,
        "shown": shown,
        "definition": shown.metric.definition,
        "totals": [(names.get(arm.arm, arm.arm), arm) for arm in shown.arms],
        "work": [(names.get(one.arm, one.arm), one) for one in shown.work],
        "back": page_url(experiment_id, "results"),
    }
    return admin.page(request, "admin/assay/work.html", context)
