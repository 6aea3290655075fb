"""Doors in other tools' protocols: plain views with CORS, an answer in JSON to whatever comes, and
no more around them than that.

Their keys travel as each protocol has it, so each door finds its own and asks ``auth.opened`` about
it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from experiments.core.errors import AssayError
from experiments.http.cors import opened_to_pages, preflight
from experiments.http.doors import take_the_rest
from experiments.http.errors import DATABASE_AWAY, error_response, outage, unread
from experiments.selectors import serving

Handler = Callable[..., HttpResponse]
Refuse = Callable[[AssayError], HttpResponse]


def plain(refuse: Refuse = error_response, **handlers: Handler) -> Handler:
    """A view of these methods (``GET=…, POST=…``); ``refuse`` words a refusal as the protocol has
    it.
    """
    allowed = ", ".join([*handlers, "OPTIONS"])

    @csrf_exempt
    def view(request: HttpRequest, *args: str, **named: str) -> HttpResponse:
        if request.method == "OPTIONS":
            return preflight(request, allowed)
        handler = handlers.get("GET" if request.method == "HEAD" else request.method or "")
        if handler is None:
            return _open(_not_allowed(refuse, request.method or "", allowed))
        try:
            return _open(handler(request, *args, **named))
        except AssayError as error:
            answer = refuse(error)
        except (OperationalError, InterfaceError) as error:
            answer = refuse(outage(error))
        except SuspiciousOperation as error:
            answer = refuse(unread(error))
        take_the_rest(request)
        return _open(answer)

    view.handlers = handlers  # type: ignore[attr-defined]  # for the schema, and for whoever walks the doors
    return view


def need_database() -> None:
    """Refuse at once while PostgreSQL is known to be away: waiting for it would use up the threads
    that answer assignments.
    """
    if serving.current().unreachable:
        raise AssayError(DATABASE_AWAY, code="not_available")


def _not_allowed(refuse: Refuse, method: str, allowed: str) -> HttpResponse:
    answer = refuse(
        AssayError(
            f"{method[:16]} is not for this address; it takes {allowed}", code="method_not_allowed"
        )
    )
    answer.status_code = 405
    answer.headers.pop("Retry-After", None)
    answer["Allow"] = allowed
    return answer


def _open(answer: HttpResponse) -> HttpResponse:
    opened_to_pages(answer)
    if answer.content:
        # So that head and body leave in one piece.
        answer["Content-Length"] = str(len(answer.content))
    return answer
