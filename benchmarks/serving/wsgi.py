"""The application as it is served, with one door more: an empty POST view, the floor of what the
server itself costs.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import get_resolver, path
from django.views.decorators.csrf import csrf_exempt

from config.web.rsgi import application

__all__ = ["application"]


@csrf_exempt
def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


settings.ALLOWED_HOSTS = ["*"]
get_resolver().url_patterns.insert(0, path("empty", empty))
