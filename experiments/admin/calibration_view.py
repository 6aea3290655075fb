"""The platform's own error rate: does it find something where there is nothing, and how often."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from analytics.selectors import calibration
from experiments.admin.base import WorkplaceAdmin


def page(admin: WorkplaceAdmin, request: HttpRequest) -> HttpResponse:
    """Replays of control arms, and A/A tests; nothing is computed here."""
    admin.refuse_unless_may_view(request)
    rows = calibration.replays()
    said = [one for one in rows if one.fits is not None]
    context = {
        "title": "A/A calibration",
        "replays": rows,
        "said": len(said),
        "as_promised": sum(one.fits is True for one in said),
        "crossings": calibration.crossings(),
        "fewest": calibration.FEWEST_TESTS,
    }
    return admin.page(request, "admin/assay/calibration.html", context)
