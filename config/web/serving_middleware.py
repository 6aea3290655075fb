"""The one middleware of a process that serves applications."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware

from config.web.content_policy import HEADER, NOTHING
from experiments.http.packing import packed


class ServingMiddleware(SecurityMiddleware):
    """Django's security headers and its way to https, long answers gzipped, and a length: without
    one an answer travels in chunks.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        super().process_response(request, response)
        packed(request, response)
        headers = response.headers
        headers[HEADER] = NOTHING
        if not response.streaming and "Content-Length" not in headers:
            headers["Content-Length"] = str(len(response.content))
        return response
