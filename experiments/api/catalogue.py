"""``GET /api/v1/catalogue``: everything that decides, for clients that decide for themselves."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from experiments.core.errors import AssayError
from experiments.core.types import Scope
from experiments.http.doors import Door, identity
from experiments.selectors import serving
from experiments.selectors.serving_published import PublishedCatalogue, published

NONE_YET = "no catalogue has been published yet: there is no flag and no experiment; ask again once there is one"


class CatalogueDoor(Door):
    """With ``If-None-Match`` unchanged content is a 304; gzipped for who accepts it. Needs no database."""

    scopes = (Scope.SERVER,)
    needs_database = False

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> HttpResponseBase:
        state = serving.current()
        found = published(state, identity(request).environment)
        if found is None:
            raise AssayError(NONE_YET, code="no_catalogue")
        answer = _unchanged() if _knows(request, found.etag) else _content(found, _accepts_gzip(request))
        answer["ETag"] = found.etag
        answer["Cache-Control"] = "private, no-cache"
        answer["Vary"] = "Accept-Encoding, Authorization, X-API-Key"
        answer["X-Assay-Catalogue"] = str(found.version)
        answer["X-Assay-Stale"] = "true" if state.stale else "false"
        return answer


def _unchanged() -> HttpResponse:
    return HttpResponse(status=304)


def _content(found: PublishedCatalogue, gzipped: bool) -> HttpResponse:
    answer = HttpResponse(found.packed if gzipped else found.body, content_type="application/json")
    if gzipped:
        answer["Content-Encoding"] = "gzip"
    return answer


def _knows(request: Request, etag: str) -> bool:
    """Weakly compared: proxies strengthen and weaken tags as they pack and unpack."""
    tags = (tag.strip().removeprefix("W/") for tag in request.META.get("HTTP_IF_NONE_MATCH", "").split(","))
    return any(tag in ("*", etag.removeprefix("W/")) for tag in tags)


def _accepts_gzip(request: Request) -> bool:
    for offer in request.META.get("HTTP_ACCEPT_ENCODING", "").split(","):
        name, _, quality = offer.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return quality.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
