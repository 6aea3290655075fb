"""Every door of the house: those that applications need (``serve_urls``), those of management, and
the pages.
"""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.utils.functional import lazy
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config.web import serve_urls

urlpatterns = [
    *serve_urls.urlpatterns,
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("experiments/favicon.svg"))),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/v1/", include("experiments.api.urls")),
    path("api/v1/", include("analytics.api.urls")),
    path("ops/", include("analytics.api.ops_urls")),
    path("admin/", admin.site.urls),
]
handler400 = serve_urls.handler400
handler403 = serve_urls.handler403
handler404 = serve_urls.handler404
handler500 = serve_urls.handler500
