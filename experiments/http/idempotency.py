"""``Idempotency-Key``: a creating call that may be sent again after a time-out, and is done
once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput
from experiments.http.doors import identity, raw_body
from experiments.services.ground.idempotency import GivenAnswer, IdempotentCall, once

LONGEST = 255
HEADER = "Idempotency-Key"
REPEATED = "Idempotent-Replayed"
_DESCRIBED = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": LONGEST},
    OpenApiParameter.HEADER,
    description="Any text of your own. For 24 hours the same request under it gets the first answer; another request is a 409.",
)
Handler = TypeVar("Handler", bound=Callable[..., HttpResponse])


def idempotent(handler: Handler) -> Handler:
    """A door's method that does its work once per key of the header; without the header, each
    time.
    """

    @wraps(handler)
    def answered(
        door: Any, request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponse:  # Any: as the framework passes them
        sent = request.headers.get(HEADER)
        if sent is None:
            return handler(door, request, *args, **kwargs)
        asked = IdempotentCall(identity(request).key_id, _checked(sent), _digest(request))
        found = once(asked, utc_now(), lambda: _as_text(handler(door, request, *args, **kwargs)))
        answer = HttpResponse(found.body, status=found.status, content_type="application/json")
        if found.repeated:
            answer[REPEATED] = "true"
        return answer

    return cast("Handler", extend_schema(parameters=[_DESCRIBED])(answered))


def _checked(sent: str) -> str:
    if not 0 < len(sent) <= LONGEST or not sent.isascii() or not sent.isprintable():
        raise InvalidInput(
            f"{HEADER}: expected 1 to {LONGEST} printable ASCII characters, found {len(sent)} characters",
            HEADER,
        )
    return sent


def _digest(request: Request) -> str:
    head = f"{request.method} {request.get_full_path()}\n".encode()
    return hashlib.sha256(head + raw_body(request)).hexdigest()


def _as_text(response: HttpResponse) -> GivenAnswer:
    content = (
        JSONRenderer().render(response.data) if isinstance(response, Response) else response.content
    )
    return GivenAnswer(response.status_code, content.decode())
