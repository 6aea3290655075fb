"""``POST /v1/batch``: what the clients of Segment and RudderStack send, with the write key as user of Basic authentication.

These clients take 200 for "do not send again" and look at nothing else, so single items that cannot be kept
are errors inside a 200. Refusals carry ``code`` and ``message`` where the clients look for them.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from datetime import datetime

from django.http import HttpRequest, HttpResponse, JsonResponse

from analytics.core.ingest_items import parse_items
from analytics.core.item_fields import Bad, moment
from analytics.core.segment_items import is_track, read_track
from analytics.core.sent import IGNORED
from analytics.services.ingest_batch import IngestIdentity, add_to_tallies
from analytics.services.ingest_mixed import ingest_mixed
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, InvalidInput, NotAuthenticated, TooLarge
from experiments.core.types import Scope
from experiments.http.auth import opened
from experiments.http.doors import raw_body
from experiments.http.errors import error_body, error_response
from experiments.http.parsing import BATCH_BODY, BATCH_ITEMS, parse_json
from experiments.http.plain import need_database, plain
from experiments.services.turns import Kind, turn

_GZIP = 31
"""zlib's word for: a window of 32 KB inside a gzip header and trailer."""


def _batch(request: HttpRequest) -> HttpResponse:
    key = opened(_write_key(request.META.get("HTTP_AUTHORIZATION", "")), Scope.INGEST)
    need_database()
    messages, sent_at = _messages(_plain_body(request))
    tracks = {place: message for place, message in enumerate(messages) if is_track(message)}
    items = dict(zip(tracks, parse_items(list(tracks.values()), read_track), strict=True))
    with turn(Kind.STORE):
        now, ignored = utc_now(), len(messages) - len(tracks)
        result = ingest_mixed(items, now=now, identity=IngestIdentity(key.environment, key.scope, sent_at=sent_at))
        add_to_tallies(now, "segment", {IGNORED: ignored})
    return JsonResponse({"success": True} | result.as_json() | {"ignored": ignored})


def _write_key(authorization: str) -> str:
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        raise NotAuthenticated("a write key is needed: Basic authentication with an ingest key as the user and no password")
    try:
        user, _, _password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated("Authorization: what follows Basic is not base64 of a user and a password") from None
    return user


def _plain_body(request: HttpRequest) -> bytes:
    body = raw_body(request)
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise InvalidInput(f"Content-Encoding: expected gzip or none, found {encoding[:32]!r}", code="encoding")
    return _inflated(body)


def _inflated(body: bytes) -> bytes:
    """The body unpacked, as far as the cap lets it grow."""
    reader = zlib.decompressobj(_GZIP)
    try:
        found = reader.decompress(body, BATCH_BODY + 1)
    except zlib.error as error:
        raise InvalidInput(f"the body is not gzip: {error}", code="encoding") from error
    if len(found) > BATCH_BODY:
        raise TooLarge(f"the body has more than {BATCH_BODY:,} bytes when unpacked; at most that many are taken here")
    if not reader.eof or reader.unused_data:
        raise InvalidInput("the body is not one whole gzip stream: it ends early, or something follows it", code="encoding")
    return found


def _messages(body: bytes) -> tuple[list[object], datetime | None]:
    """What was sent, and when the client's clock says it was: of the batch (Segment) or its messages (RudderStack)."""
    content = parse_json(body)
    messages = content.get("batch") if isinstance(content, dict) else None
    if not isinstance(messages, list):
        raise InvalidInput('expected {"batch": [messages]}', "batch")
    if len(messages) > BATCH_ITEMS:
        raise TooLarge(f"batch: {len(messages):,} messages; at most {BATCH_ITEMS:,} are taken at once", "batch")
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
