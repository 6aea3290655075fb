"""``POST /track?client_key=``: what GrowthBook's SDKs report, a JSON array under any content type.

``POST /events`` is the same door under the name that its Go and Java SDKs know; they send
``{"client_key", "events"}``.

Exposures are kept; what else these SDKs report (that a feature was read, an application's own
events) is counted as ignored: a client key may say no more than whom it showed what.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse, JsonResponse

from analytics.core.intake.growthbook_items import is_exposure, read_exposure
from analytics.core.intake.ingest_items import ExposureItem, parse_items
from analytics.core.intake.tallies import IGNORED, OVER_CAP
from analytics.services.ingest.batch import BatchResult, IngestIdentity, add_to_tallies
from analytics.services.ingest.mixed import ingest_mixed
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, Problem, TooLarge
from experiments.core.protocols.growthbook_conditions import ATTRIBUTES
from experiments.core.types import JSON, Scope
from experiments.http.auth import opened
from experiments.http.client_caps import admission
from experiments.http.doors import raw_body
from experiments.http.errors import error_body
from experiments.http.parsing import BATCH_ITEMS, parse_json
from experiments.http.plain import need_database, plain
from experiments.services.ground.turns import TurnKind, turn

_SCOPES = (Scope.CLIENT, Scope.SERVER)
_SOME, _NONE = 207, 400
_SHOWN = 20
"""Problems that a refusal lists; ``errors`` has them all."""
_UNIT_TYPES = {attribute: unit_type for unit_type, attribute in ATTRIBUTES.items()}


def _track(request: HttpRequest) -> HttpResponse:
    named = request.GET.get("client_key", "")
    body = None if named else _body_or_nothing(request)
    key = opened(named or _key_in(body), *_SCOPES)
    need_database()
    events = _events(parse_json(raw_body(request, packed=True)) if named else body)
    met = {place: event for place, event in enumerate(events) if is_exposure(event)}
    items = dict(zip(met, parse_items(list(met.values()), _read), strict=True))
    now, ignored = utc_now(), len(events) - len(met)
    with turn(TurnKind.STORE):
        result = ingest_mixed(
            items,
            now=now,
            identity=IngestIdentity(key.environment, key.scope, admission(request, key)),
        )
        add_to_tallies(now, "track", {IGNORED: ignored})
    return _answer(result, ignored)


def _answer(result: BatchResult, ignored: int) -> HttpResponse:
    """200 only where all exposures were kept; 207 where some were, 400 where none was. The reasons
    are in ``errors``.

    What is above the caps of a client key is named and no refusal: nobody shall send it again.
    """
    body = result.as_json() | {"ignored": ignored}
    refused = [error for error in result.errors if error.code != OVER_CAP]
    if not refused:
        return JsonResponse(body)
    if result.accepted or result.duplicates or len(refused) < len(result.errors):
        return JsonResponse(body, status=_SOME)
    first = refused[0]
    problems = [Problem(error.code, error.message, error.field) for error in refused[:_SHOWN]]
    return JsonResponse(
        body | error_body(InvalidInput(first.message, first.field, problems, code=first.code)),
        status=_NONE,
    )


def _body_or_nothing(request: HttpRequest) -> JSON:
    """The body of a request whose key can only be in it; what cannot be read holds none."""
    try:
        return parse_json(raw_body(request, packed=True))
    except InvalidInput:
        return None


def _key_in(body: JSON) -> str:
    key = body.get("client_key") if isinstance(body, dict) else None
    return key if isinstance(key, str) else ""


def _events(body: JSON) -> list[object]:
    """The events: an array, an object that holds one, or one event by itself."""
    events = body.get("events") if isinstance(body, dict) else body
    if isinstance(body, dict) and events is None and is_exposure(body):
        events = [body]
    if not isinstance(events, list):
        raise InvalidInput(
            "the body: expected an array of events, or an object with client_key and events"
        )
    if len(events) > BATCH_ITEMS:
        raise TooLarge(
            f"the body: {len(events):,} events; at most {BATCH_ITEMS:,} are taken at once"
        )
    return [*events]


def _read(event: Mapping[str, object]) -> ExposureItem:
    return read_exposure(event, _UNIT_TYPES, uuid.uuid4().hex)


track = plain(POST=_track)
