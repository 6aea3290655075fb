"""The doors of analytics for people and tools, mounted under /api/v1/; those for applications are in ``ingest_urls``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from analytics.api.sizes import SampleSize
from experiments.http.doors import door

urlpatterns: list[URLPattern | URLResolver] = [
    door("sample-size", SampleSize, "sample-size"),
]
