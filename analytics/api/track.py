"""``POST /track?client_key=``: what GrowthBook's SDKs report, a JSON array under any content type.

Exposures are kept; what else these SDKs report (that a feature was read, an application's own events) is
counted as ignored: a client key may say no more than whom it showed what.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse, JsonResponse

from analytics.core.growthbook_items import is_exposure, read_exposure
from analytics.core.ingest_items import ExposureItem, parse_items
from analytics.services.ingest_batch import IngestIdentity
from analytics.services.ingest_mixed import ingest_mixed
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, TooLarge
from experiments.core.growthbook_conditions import ATTRIBUTES
from experiments.core.types import Scope
from experiments.http.client_caps import admission
from experiments.http.doors import raw_body
from experiments.http.parsing import BATCH_ITEMS, parse_json
from experiments.http.plain import need_database, opened, plain
from experiments.services.turns import Kind, turn

_UNIT_TYPES = {attribute: unit_type for unit_type, attribute in ATTRIBUTES.items()}


def _track(request: HttpRequest) -> HttpResponse:
    key = opened(request.GET.get("client_key", ""), Scope.CLIENT, Scope.SERVER)
    need_database()
    events = _events(request)
    met = {place: event for place, event in enumerate(events) if is_exposure(event)}
    items = dict(zip(met, parse_items(list(met.values()), _read), strict=True))
    with turn(Kind.STORE):
        result = ingest_mixed(items, now=utc_now(), identity=IngestIdentity(key.environment, key.scope, admission(request, key)))
    return JsonResponse(result.as_json() | {"ignored": len(events) - len(met)})


def _events(request: HttpRequest) -> list[object]:
    body = parse_json(raw_body(request))
    if not isinstance(body, list):
        raise InvalidInput("the body: expected an array of events")
    if len(body) > BATCH_ITEMS:
        raise TooLarge(f"the body: {len(body):,} events; at most {BATCH_ITEMS:,} are taken at once")
    return [*body]


def _read(event: Mapping[str, object]) -> ExposureItem:
    return read_exposure(event, _UNIT_TYPES, uuid.uuid4().hex)


track = plain(POST=_track)
