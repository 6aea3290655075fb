"""Answers gzipped for who can unpack them, unless they show a secret.

What many ask for is packed once, where it is built. Every other long JSON answer is packed as it
leaves, cheaply. Pages are packed by Django, which adds a random length: a page holds a session's
secrets beside what its reader typed, and the length alone would give them away. Answers to
applications hold no secrets.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers
from rest_framework.request import Request

PAGES = "/admin/"
WORTH = 4096
"""Bytes; shorter answers fit into a few packets anyway."""
_LEVEL, _GZIP = 1, 31
"""The cheapest level: of a bulk answer of 192 flags it leaves 8 %, in 50 µs; the best one leaves 7
%. And zlib's word for a gzip header.
"""
_MARK = "_shows_something_once"


def showing_secret(answer: HttpResponse) -> HttpResponse:
    """Mark an answer that shows a secret: nobody keeps it, and nothing packs it."""
    answer["Cache-Control"] = "no-store"
    setattr(answer, _MARK, True)
    return answer


def packed(request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
    """The answer to an application, gzipped when that is worth it and the asker takes it."""
    if (
        not isinstance(answer, HttpResponse)
        or len(answer.content) < WORTH
        or not _may_be_packed(answer)
    ):
        return answer
    patch_vary_headers(answer, ("Accept-Encoding",))
    if accepts_gzip(request):
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        answer.content = packer.compress(answer.content) + packer.flush()
        answer["Content-Encoding"], answer["Content-Length"] = "gzip", str(len(answer.content))
        _weaken_tag(answer)
    return answer


def accepts_gzip(request: HttpRequest | Request) -> bool:
    """Whether the asker can unpack gzip: what is said of gzip itself counts before what is said of
    everything.
    """
    offers = dict(_offer(part) for part in request.META.get("HTTP_ACCEPT_ENCODING", "").split(","))
    return offers.get("gzip", offers.get("*", False))


def _offer(part: str) -> tuple[str, bool]:
    name, _, quality = part.partition(";")
    return name.strip().lower(), quality.replace(" ", "").lower() not in (
        "q=0",
        "q=0.0",
        "q=0.00",
        "q=0.000",
    )


def _may_be_packed(answer: HttpResponse) -> bool:
    headers = answer.headers
    if "Content-Encoding" in headers or "no-store" in headers.get("Cache-Control", ""):
        return False
    return headers.get("Content-Type", "").startswith("application/json")


def _weaken_tag(answer: HttpResponse) -> None:
    """A strong tag names bytes, and these are others."""
    tag = answer.headers.get("ETag", "")
    if tag.startswith('"'):
        answer["ETag"] = f"W/{tag}"


class PackingMiddleware:
    """For every answer of a process that has pages; one that serves only does it in its only
    middleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._pages = GZipMiddleware(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self.get_response(request)
        if not request.path_info.startswith(PAGES):
            return packed(request, answer)
        return answer if hasattr(answer, _MARK) else self._pages.process_response(request, answer)
