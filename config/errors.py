"""Errors that no view answered: JSON at every door, OpenFeature's in its own shape, Django's own pages elsewhere."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views import defaults

from experiments.api import ofrep


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_door(request):
        return _error(request, 400, "invalid", "The request cannot be understood.")
    return defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_door(request):
        return _error(request, 403, "forbidden", "This may not be done with these credentials.")
    if request.path.startswith("/admin/") and getattr(request, "user", None) is not None and request.user.is_authenticated:
        return _refused(request, str(exception))
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_door(request):
        return _error(request, 404, "not_found", f"Nothing lives at {request.path}; see /api/docs for what does.")
    return defaults.page_not_found(request, exception)


def broken(request: HttpRequest) -> HttpResponse:
    if _is_door(request):
        return _error(request, 500, "internal", "Something broke on our side and was logged; the same request may work later.")
    return defaults.server_error(request)


def _refused(request: HttpRequest, why: str) -> HttpResponse:
    """A refusal within the workplace's frame: why, who may, and whom to ask."""
    from django.contrib import admin  # here: processes for serving alone have no admin, and pay no memory for one

    frame = admin.site.each_context(request)
    return render(request, "admin/assay/not_yours.html", {**frame, "title": "Not yours to do", "why": why}, status=403)


def _is_door(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/ops/", "/track", "/events", "/v1/", ofrep.PREFIX))


def _error(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    if request.path.startswith(ofrep.PREFIX):
        return ofrep.not_answered(request, status, message)
    return JsonResponse({"error": {"code": code, "message": message, "field": "", "problems": []}}, status=status)
