"""``GET /api/v1/catalogue``: everything that decides, for clients that decide for themselves."""

from __future__ import annotations

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from experiments.core.errors import AssayError
from experiments.core.types import Scope
from experiments.http.doors import Door, identity
from experiments.http.tagging import tagged
from experiments.selectors import serving
from experiments.selectors.serving_published import published

NONE_YET = "no catalogue has been published yet: there is no flag and no experiment; ask again once there is one"


class CatalogueDoor(Door):
    """With ``If-None-Match`` unchanged content is a 304; gzipped for who accepts it. Needs no
    database.
    """

    scopes = (Scope.SERVER,)
    needs_database = False

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> HttpResponseBase:
        state = serving.current()
        found = published(state, identity(request).environment)
        if found is None:
            raise AssayError(NONE_YET, code="no_catalogue")
        headers = {
            "Cache-Control": "private, no-cache",
            "Vary": "Accept-Encoding, Authorization, X-API-Key",
            "X-Assay-Catalogue": str(found.version),
            "X-Assay-Stale": "true" if state.stale else "false",
        }
        return tagged(request, found.etag, found.body, found.packed, headers)
