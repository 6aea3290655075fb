"""``POST /v1/batch``: what the clients of Segment and RudderStack send, with the write key as user
of Basic authentication.

``POST /v1/t``, ``/v1/b`` and their like are the addresses of Segment's client in a page, which has
its write key in the body. Everybody can read it there, so it may be a client key: then only
exposures are kept, as at ``/track``, and the rest is ignored.

These clients take 200 for "do not send again" and look at nothing else, so single items that cannot
be kept are errors inside a 200. Refusals carry ``code`` and ``message`` where the clients look for
them.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from datetime import datetime

from django.http import HttpRequest, HttpResponse, JsonResponse

from analytics.core.intake.ingest_items import parse_items
from analytics.core.intake.item_fields import Bad, moment
from analytics.core.intake.segment_items import is_track, is_viewed, read_track
from analytics.core.intake.tallies import IGNORED
from analytics.services.ingest.batch import IngestIdentity, add_to_tallies
from analytics.services.ingest.mixed import ingest_mixed
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, InvalidInput, NotAuthenticated, TooLarge
from experiments.core.serving.keyring import KeyIdentity
from experiments.core.types import JSON, Scope
from experiments.http.auth import opened
from experiments.http.client_caps import admission
from experiments.http.doors import raw_body
from experiments.http.errors import error_body, error_response
from experiments.http.parsing import BATCH_ITEMS, parse_json
from experiments.http.plain import need_database, plain
from experiments.services.ground.turns import TurnKind, turn


def _batch(request: HttpRequest) -> HttpResponse:
    key = opened(_write_key(request.META.get("HTTP_AUTHORIZATION", "")), Scope.INGEST)
    need_database()
    return _stored(
        key, IngestIdentity(key.environment, key.scope), parse_json(raw_body(request, packed=True))
    )


def _from_page(request: HttpRequest, kind: str) -> HttpResponse:
    """What Segment's client in a page sends, as text with the write key in it: a batch to ``b``,
    else one message to its kind's letter.
    """
    content = parse_json(raw_body(request, packed=True))
    key = opened(_key_of_page(request, content), Scope.CLIENT, Scope.INGEST)
    need_database()
    if isinstance(content, dict) and kind != "b":
        content = {"batch": [content], "sentAt": content.get("sentAt")}
    return _stored(
        key, IngestIdentity(key.environment, key.scope, admission(request, key)), content
    )


def _stored(key: KeyIdentity, identity: IngestIdentity, content: JSON) -> HttpResponse:
    messages, sent_at = _messages(content)
    may_say = is_viewed if key.scope is Scope.CLIENT else is_track
    tracks = {place: message for place, message in enumerate(messages) if may_say(message)}
    items = dict(zip(tracks, parse_items(list(tracks.values()), read_track), strict=True))
    with turn(TurnKind.STORE):
        now, ignored = utc_now(), len(messages) - len(tracks)
        result = ingest_mixed(items, now=now, identity=replace(identity, sent_at=sent_at))
        add_to_tallies(now, "segment", {IGNORED: ignored})
    return JsonResponse({"success": True} | result.as_json() | {"ignored": ignored})


def _key_of_page(request: HttpRequest, content: JSON) -> str:
    named = content.get("writeKey") if isinstance(content, dict) else None
    return (
        named if isinstance(named, str) else _write_key(request.META.get("HTTP_AUTHORIZATION", ""))
    )


def _write_key(authorization: str) -> str:
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        raise NotAuthenticated(
            "a write key is needed: Basic authentication with an ingest key as the user and no password"
        )
    try:
        user, _, _password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated(
            "Authorization: what follows Basic is not base64 of a user and a password"
        ) from None
    return user


def _messages(content: JSON) -> tuple[list[object], datetime | None]:
    """What was sent, and when the client's clock says it was: of the batch (Segment) or its
    messages (RudderStack).
    """
    messages = content.get("batch") if isinstance(content, dict) else None
    if not isinstance(messages, list):
        raise InvalidInput('expected {"batch": [messages]}', "batch")
    if len(messages) > BATCH_ITEMS:
        raise TooLarge(
            f"batch: {len(messages):,} messages; at most {BATCH_ITEMS:,} are taken at once", "batch"
        )
    first = messages[0] if messages else None
    return [*messages], _said_to_be_sent(content) or _said_to_be_sent(first)


def _said_to_be_sent(content: object) -> datetime | None:
    try:
        return moment({"timestamp": content.get("sentAt")}) if isinstance(content, dict) else None
    except Bad:
        return None  # nothing is refused for it


def _refuse(error: AssayError) -> HttpResponse:
    answer = error_response(error)
    document = {"success": False, "code": error.code, "message": error.message} | error_body(error)
    refusal = JsonResponse(document, status=answer.status_code)
    if "Retry-After" in answer:
        refusal["Retry-After"] = answer["Retry-After"]
    if isinstance(error, NotAuthenticated):
        refusal["WWW-Authenticate"] = 'Basic realm="assay"'
    return refusal


batch = plain(_refuse, POST=_batch)
from_page = plain(_refuse, POST=_from_page)
