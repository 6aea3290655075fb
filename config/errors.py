"""Errors that no view answered: JSON at every door, OpenFeature's in its own shape, Django's own pages elsewhere."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from experiments.api import ofrep


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_door(request):
        return _error(request, 400, "invalid", "The request cannot be understood.")
    return defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_door(request):
        return _error(request, 403, "forbidden", "This may not be done with these credentials.")
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_door(request):
        return _error(request, 404, "not_found", f"Nothing lives at {request.path}; see /api/docs for what does.")
    return defaults.page_not_found(request, exception)


def broken(request: HttpRequest) -> HttpResponse:
    if _is_door(request):
        return _error(request, 500, "internal", "Something broke on our side and was logged; the same request may work later.")
    return defaults.server_error(request)


def _is_door(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/ops/", "/track", "/v1/", ofrep.PREFIX))


def _error(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    if request.path.startswith(ofrep.PREFIX):
        return ofrep.not_answered(request, status, message)
    return JsonResponse({"error": {"code": code, "message": message, "field": "", "problems": []}}, status=status)
