"""What lets a page of another origin ask us: for every door that a client key may use, in one
place.

No door reads cookies, so any origin may ask, with any header: browsers' tracing adds some of its
own.
"""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

OPENED = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "ETag, Retry-After, X-Assay-Catalogue, X-Assay-Stale"),
)
"""On every answer, refusals too."""
_OURS = "Authorization, X-API-Key, Content-Type, If-None-Match"
_NAMES = re.compile(r"[A-Za-z0-9_, -]{1,2000}")
_ASKED = "Access-Control-Request-Headers"
_A_DAY = "86400"


def opened_to_pages(answer: HttpResponseBase) -> HttpResponseBase:
    """The answer, readable by pages of any origin."""
    for name, value in OPENED:
        answer[name] = value
    return answer


def preflight(request: HttpRequest, methods: str) -> HttpResponse:
    """Whatever headers the browser asks for are allowed by name: an asterisk would not cover a
    key's.
    """
    answer = HttpResponse(status=204)
    opened_to_pages(answer)
    asked = request.headers.get(_ASKED, "")
    answer["Access-Control-Allow-Headers"] = (
        f"{_OURS}, {asked}" if _NAMES.fullmatch(asked) else _OURS
    )
    answer["Access-Control-Allow-Methods"] = methods
    answer["Access-Control-Max-Age"] = _A_DAY
    answer["Vary"], answer["Content-Length"] = _ASKED, "0"
    return answer
