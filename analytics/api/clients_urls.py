"""Where other tools' clients send what happened, mounted at the root in every role; nothing here
may need numpy.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, re_path

from analytics.api import segment, track

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^track/?\Z", track.track, name="growthbook-track"),
    re_path(r"^events/?\Z", track.track, name="growthbook-events"),
    re_path(r"^v1/batch/?\Z", segment.batch, name="segment-batch"),
    re_path(r"^v1/(?P<kind>[tbipgas])/?\Z", segment.from_page, name="segment-page"),
]
