"""The doors of experiments, mounted under /api/v1/; each answers with and without a trailing slash."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from experiments.api.assignments import Assignments
from experiments.http.doors import door

urlpatterns: list[URLPattern | URLResolver] = [
    door("assignments", Assignments, "assignments"),
]
