"""Documents that askers keep: sent with a tag, packed for who can unpack, and not sent again to who
has them.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from experiments.http.packing import accepts_gzip


def tagged(
    request: HttpRequest | Request,
    etag: str,
    body: bytes,
    packed: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """A JSON document, 304 where the asker holds ``etag`` already; ``packed`` is it gzipped."""
    if _holds(request, etag):
        answer = HttpResponse(status=304)
    else:
        answer = _content(body, packed if packed is not None and accepts_gzip(request) else None)
    for name, value in {"ETag": etag, "Cache-Control": "no-cache", **(headers or {})}.items():
        answer[name] = value
    return answer


def _content(body: bytes, packed: bytes | None) -> HttpResponse:
    answer = HttpResponse(body if packed is None else packed, content_type="application/json")
    # Its length, so that head and body leave in one piece.
    answer["Content-Length"] = str(len(answer.content))
    if packed is not None:
        answer["Content-Encoding"] = "gzip"
    return answer


def _holds(request: HttpRequest | Request, etag: str) -> bool:
    """Weakly compared: proxies strengthen and weaken tags as they pack and unpack."""
    tags = (
        tag.strip().removeprefix("W/")
        for tag in request.META.get("HTTP_IF_NONE_MATCH", "").split(",")
    )
    return any(tag in ("*", etag.removeprefix("W/")) for tag in tags)
