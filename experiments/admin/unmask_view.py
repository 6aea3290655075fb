"""Behind the mask: the numbers of results that cannot be believed, for those who find out why. The
answer to a POST, shown once.
"""

from __future__ import annotations

from dataclasses import replace

from django.http import HttpRequest, HttpResponse

from analytics.selectors import results
from analytics.selectors.results import ResultsView
from experiments.admin import results_section
from experiments.admin.base import Crumb, WorkplaceAdmin, actor_of
from experiments.admin.doing import Confirm, problems_of
from experiments.admin.experiment_actions import found
from experiments.admin.experiment_view import page_url
from experiments.admin.fields import filled, reason_field
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.http.errors import status_of
from experiments.http.packing import showing_secret
from experiments.services.people.unmasking import look_behind_mask


def unmask(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Ask why; then write it down and show the numbers."""
    admin.refuse_unless_may_view(request)
    experiment = found(experiment_id)
    view = results.latest(experiment, unmasked=True)
    title, back = f"Behind the mask of {experiment.name}", page_url(experiment_id, "results")
    question = "Look at numbers that cannot be believed?"
    confirm = Confirm(
        question, "Show them", back, said=_said(view), tone="bad", fields=[reason_field()]
    )
    frame = {
        "title": title,
        "original": Crumb(experiment, experiment.name),
        "experiment": experiment,
    }
    if request.method != "POST":
        return admin.page(request, "admin/assay/confirm.html", {**frame, "confirm": confirm})
    try:
        look_behind_mask(
            actor_of(request),
            utc_now(),
            experiment_id=experiment_id,
            reason=request.POST.get("reason", ""),
        )
    except AssayError as refusal:
        problems = problems_of(refusal)
        again = replace(confirm, fields=filled(confirm.fields, {}, problems))
        context = {**frame, "confirm": again, "problems": problems, "refusal": "This was not done."}
        return admin.page(request, "admin/assay/confirm.html", context, status=status_of(refusal))
    shown = {
        "results": view,
        "blocks": [] if view is None else results_section.blocks(experiment, view),
        "back": back,
    }
    return showing_secret(admin.page(request, "admin/assay/unmasked.html", {**frame, **shown}))


def _said(view: ResultsView | None) -> str:
    if view is None:
        return "There is no analysis yet."
    return (
        f"Masked because {view.masked_why}."
        if view.masked
        else "These results are not masked; their page shows them."
    )
