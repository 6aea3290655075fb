"""Two stored runs beside each other: what changed between two looks, or between two iterations."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from analytics.selectors import comparing
from analytics.selectors.comparing import RunName
from experiments.admin.base import Crumb, WorkplaceAdmin
from experiments.admin.experiment_actions import found
from experiments.admin.experiment_view import page_url
from experiments.admin.fields import Field, filled
from experiments.core.figures import moment

FIRST, SECOND = "first", "second"


def page(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """The newest run beside the one before, unless others are chosen."""
    admin.refuse_unless_may_view(request)
    experiment = found(experiment_id)
    runs = comparing.runs_of(experiment)
    chosen = {SECOND: str(runs[0].pk), FIRST: str(runs[1].pk)} if len(runs) > 1 else {}
    asked = {
        name: request.GET[name]
        for name in (FIRST, SECOND)
        if request.GET.get(name, "").isascii() and request.GET.get(name, "").isdigit()
    }
    chosen |= asked if chosen else {}
    views = {name: comparing.run_view(experiment, int(pk[:18])) for name, pk in chosen.items()}
    one, two = views.get(FIRST), views.get(SECOND)
    names = {arm.key: arm.name for view in (one, two) if view for arm in view.arms}
    choices = [(str(run.pk), _said(run)) for run in runs]
    fields = [
        Field(FIRST, "First", "select", choices=choices),
        Field(SECOND, "Second", "select", choices=choices),
    ]
    context: dict[str, Any] = {
        "title": f"Two runs of {experiment.name}",
        "original": Crumb(experiment, experiment.name),
        "fields": filled(fields, chosen, ()),
        "enough": len(runs) > 1,
        "sides": [("first", one), ("second", two)] if one and two else [],
        "pairs": [
            (pair, names.get(pair.arm, pair.arm)) for pair in comparing.side_by_side(one, two)
        ]
        if one and two
        else [],
        "back": page_url(experiment_id, "results"),
    }
    return admin.page(request, "admin/assay/compare.html", context)


def _said(run: RunName) -> str:
    parts = [f"iteration {run.iteration}, data up to {moment(run.data_cut)}"]
    parts += [f"look {run.look}"] if run.look and not run.latest else []
    parts += ["newest"] if run.latest else []
    parts += ["masked"] if run.masked else []
    return "; ".join(parts)
