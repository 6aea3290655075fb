"""Errors that no view answered: JSON at every door, OpenFeature's in its own shape, Django's own
pages elsewhere.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views import defaults

from experiments.api import ofrep
from experiments.http.errors import status_of, unread


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_door(request):
        refusal = unread(exception)
        return _error(request, status_of(refusal), refusal.code, refusal.message)
    return defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_door(request):
        return _error(request, 403, "forbidden", "This may not be done with these credentials.")
    if _in_workplace(request):
        return _framed(
            request, "not_yours", 403, {"title": "Not yours to do", "why": str(exception)}
        )
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_door(request):
        return _error(
            request,
            404,
            "not_found",
            f"Nothing lives at {request.path}; see /api/docs for what does.",
        )
    if _in_workplace(request):
        return _framed(request, "not_found", 404, {"title": "No such page"})
    return defaults.page_not_found(request, exception)


def broken(request: HttpRequest) -> HttpResponse:
    if _is_door(request):
        return _error(
            request,
            500,
            "internal",
            "Something broke on our side and was logged; the same request may work later.",
        )
    return defaults.server_error(request)


def _in_workplace(request: HttpRequest) -> bool:
    """Whether somebody of the workplace asks, for whom its frame can be drawn."""
    user = getattr(request, "user", None)
    return (
        request.path.startswith("/admin/")
        and user is not None
        and user.is_authenticated
        and user.is_staff
    )


def _framed(request: HttpRequest, name: str, status: int, context: dict[str, str]) -> HttpResponse:
    """An answer within the workplace's frame, with its ways back."""
    from django.contrib import (
        admin,
    )  # here: processes for serving alone have no admin, and pay no memory for one

    frame = admin.site.each_context(request)
    return render(request, f"admin/assay/{name}.html", {**frame, **context}, status=status)


def _is_door(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/ops/", "/track", "/events", "/v1/", ofrep.PREFIX))


def _error(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    if request.path.startswith(ofrep.PREFIX):
        return ofrep.not_answered(request, status, message)
    return JsonResponse(
        {"error": {"code": code, "message": message, "field": "", "problems": []}}, status=status
    )
