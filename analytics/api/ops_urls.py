"""The operators' doors, mounted under /ops/."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from analytics.api.ops import OpsExperiments, OpsPromote
from experiments.http.doors import door

urlpatterns: list[URLPattern | URLResolver] = [
    door("experiments", OpsExperiments, "ops-experiments"),
    door(r"experiments/(?P<ref>[^/]+)/promote", OpsPromote, "ops-promote"),
]
