"""The doors that applications knock at: all that a ``serve`` process has, and part of every other.

A door belongs here when an application cannot do its work without it; its module may import neither
numpy nor an admin (a test looks). The order is that of traffic, the busiest without the
detour of a prefix: the first match answers.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from config.web import exposition, health
from experiments.api import ofrep_urls
from experiments.api.assignments import Assignments
from experiments.http.doors import door

urlpatterns: list[URLPattern | URLResolver] = [
    *ofrep_urls.urlpatterns,
    door("api/v1/assignments", Assignments, "assignments"),
    path("api/v1/", include("experiments.api.serving_urls")),
    path("api/", include("experiments.api.growthbook_urls")),
    path("api/v1/", include("analytics.api.ingest_urls")),
    path("", include("analytics.api.clients_urls")),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("metrics", exposition.metrics),
]
handler400 = "config.web.errors.bad_request"
handler403 = "config.web.errors.forbidden"
handler404 = "config.web.errors.not_found"
handler500 = "config.web.errors.broken"
