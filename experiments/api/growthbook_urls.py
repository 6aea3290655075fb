"""GrowthBook's addresses, mounted under /api/ in every role."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, re_path

from experiments.api import growthbook

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(
        r"^features/(?P<client_key>[^/]+)/?\Z", growthbook.features, name="growthbook-features"
    ),
    re_path(r"^eval/(?P<client_key>[^/]+)/?\Z", growthbook.evaluate, name="growthbook-eval"),
]
