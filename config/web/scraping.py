"""Who may read ``/metrics``: whoever has the token, and without one only this machine."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")
REFUSED = "/metrics wants Authorization: Bearer and the text of ASSAY_METRICS_TOKEN; without that setting it answers this machine only\n"


def refusal(request: HttpRequest) -> HttpResponse | None:
    """A 401 for strangers: metrics name every experiment and its rates."""
    if _has_token(request) if settings.METRICS_TOKEN else _is_local(request):
        return None
    return HttpResponse(
        REFUSED,
        status=401,
        content_type="text/plain",
        headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
    )


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        token.strip().encode(), settings.METRICS_TOKEN.encode()
    )


def _is_local(request: HttpRequest) -> bool:
    """Behind a proxy of ours everybody seems to be near."""
    if settings.SECURE_PROXY_SSL_HEADER or any(name in request.META for name in _FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
