"""What a browser may load and run on our answers: the workplace its own files, everything else
nothing.

Pages that say it themselves (reports, whose one style is named by its digest) keep what they said.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
WORKPLACE = "; ".join(
    (
        "default-src 'none'",
        # Alpine, which the theme is written in, compiles the attributes of its tags.
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
PAGES = ("/admin/", "/api/docs")


class ContentPolicyMiddleware:
    """Puts the policy on each answer that has none."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        answer.headers.setdefault(HEADER, WORKPLACE if request.path.startswith(PAGES) else NOTHING)
        return answer
