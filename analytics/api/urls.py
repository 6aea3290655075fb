"""The doors of analytics, mounted under /api/v1/."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from analytics.api.ingest import EventsDoor, ExposuresDoor, ObservationsDoor
from analytics.api.sizes import SampleSize
from experiments.http.doors import door

urlpatterns: list[URLPattern | URLResolver] = [
    door("exposures", ExposuresDoor, "exposures"),
    door("observations", ObservationsDoor, "observations"),
    door("events", EventsDoor, "events"),
    door("sample-size", SampleSize, "sample-size"),
]
