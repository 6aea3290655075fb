"""One shape for every error of every door."""

from __future__ import annotations

from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.views import set_rollback

from experiments.core.errors import (
    AssayError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    NotInstalled,
    Refused,
    TooLarge,
    TooMany,
)
from experiments.services.ground.lock_waits import is_cut_off, is_locked

log = structlog.get_logger(__name__)

STATUS: dict[type[AssayError], int] = {
    InvalidInput: 400,
    NotAuthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Refused: 409,
    Conflict: 409,
    TooLarge: 413,
    TooMany: 429,
    NotInstalled: 501,
}
UNAVAILABLE = 503
"""A refusal of no class of its own: something this process needs is not there."""


DATABASE_AWAY = "the database does not answer, so nothing can be read or kept now; send the same request again later"
LOCKED = "another transaction has locked a row or table that this request needs; nothing was changed, send the same request again later"
TOO_SLOW = "the database took longer than this request may wait; nothing was changed, send the same request again later"
RETRY_SECONDS = 5
CHALLENGE = 'Bearer realm="assay"'
"""How a key is sent, as a 401 must say."""


def status_of(error: AssayError) -> int:
    """The HTTP status of a refusal."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), UNAVAILABLE)


def error_body(error: AssayError) -> dict[str, object]:
    """What every door answers: code, message, field, and every single problem."""
    problems = [problem.as_json() for problem in error.problems]
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "field": error.field,
            "problems": problems,
        }
    }


def error_response(error: AssayError) -> JsonResponse:
    """A refusal as an answer."""
    answer = JsonResponse(error_body(error), status=status_of(error))
    if answer.status_code == UNAVAILABLE:
        answer["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, TooMany):
        answer["Retry-After"] = str(error.retry_after)
    if isinstance(error, NotAuthenticated):
        answer["WWW-Authenticate"] = CHALLENGE
    return answer


def handle(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Django REST framework's exception handler; ``None`` (a 500) for what nobody foresaw."""
    found = _as_refusal(error)
    if found is not None:
        set_rollback()
        return error_response(found)
    if isinstance(error, exceptions.APIException):
        set_rollback()
        return _framework_error(error)
    return None


def _as_refusal(error: Exception) -> AssayError | None:
    if isinstance(error, AssayError):
        return error
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return NotAuthenticated(str(error.detail))
    if isinstance(error, exceptions.PermissionDenied | PermissionDenied):
        return Forbidden("this key may not do this")
    if isinstance(error, OperationalError | InterfaceError):
        return outage(error)
    if isinstance(error, Http404):
        return NotFound("there is nothing of this name")
    return unread(error) if isinstance(error, SuspiciousOperation) else None


def unread(error: Exception) -> AssayError:
    """Why Django did not read a request: its sender can mend that, and nothing here is broken."""
    if isinstance(error, TooManyFieldsSent | TooManyFilesSent):
        most = f"{settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:,} parameters or form fields"
        return InvalidInput(f"the request has more than {most}; send fewer", code="too_many_fields")
    if isinstance(error, RequestDataTooBig):
        return TooLarge(
            f"the body is too long; at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes are taken here"
        )
    return InvalidInput("the request cannot be understood")


def outage(error: OperationalError | InterfaceError) -> AssayError:
    """Why the database gave no answer, as a refusal: a lock that somebody holds, a statement cut
    off, or no database at all.
    """
    if is_locked(error):
        log.warning("lock_held_by_another", error=str(error))
        return AssayError(LOCKED, code="locked")
    if is_cut_off(error):
        log.warning("statement_cut_off", error=str(error))
        return AssayError(TOO_SLOW, code="too_slow")
    log.warning("database_away", error=str(error))
    return AssayError(DATABASE_AWAY, code="not_available")


def _framework_error(error: exceptions.APIException) -> JsonResponse:
    body = {
        "error": {
            "code": error.default_code,
            "message": str(error.detail),
            "field": "",
            "problems": [],
        }
    }
    answer = JsonResponse(body, status=error.status_code)
    wait = getattr(error, "wait", None)
    if wait is not None:
        answer["Retry-After"] = str(int(wait) + 1)
    return answer
