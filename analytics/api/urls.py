"""The doors of analytics for people and tools, mounted under /api/v1/; those for applications are
in ``ingest_urls``.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from analytics.api.costs import ExperimentCosts
from analytics.api.reports import ReportDoor
from analytics.api.results import Analyze, Metrics, Summary
from analytics.api.sizes import SampleSizeDoor
from analytics.api.tail import Tail
from experiments.http.doors import door

REF = r"experiments/(?P<ref>[^/]+)"
"""An integer id, UUID, key or name, as below the doors of experiments."""

urlpatterns: list[URLPattern | URLResolver] = [
    door("tail", Tail, "tail"),
    door("sample-size", SampleSizeDoor, "sample-size"),
    door(f"{REF}/metrics", Metrics, "metrics"),
    door(f"{REF}/analyze", Analyze, "analyze"),
    door(f"{REF}/summary", Summary, "summary"),
    door(f"{REF}/costs", ExperimentCosts, "experiment-costs"),
    door(f"{REF}/report", ReportDoor, "report"),
]
