"""Bodies that were sent compressed: gzip, unpacked no further than a body may be long."""

from __future__ import annotations

import zlib

from django.http import HttpRequest
from rest_framework.request import Request

from experiments.core.errors import InvalidInput, TooLarge

_GZIP = 31
"""zlib's word for: a window of 32 KB inside a gzip header and trailer."""


def encoding_of(request: Request | HttpRequest) -> str:
    """How the body is encoded; empty for one that is sent as it is."""
    said = request.META.get("HTTP_CONTENT_ENCODING")
    named = "" if said is None else str(said).strip().lower()
    return "" if named == "identity" else named


def unpacked(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body as it was before somebody packed it; refuses every packing but gzip."""
    if encoding != "gzip":
        raise InvalidInput(
            f"Content-Encoding: expected gzip or none, found {encoding[:32]!r}", code="encoding"
        )
    reader = zlib.decompressobj(_GZIP)
    try:
        found = reader.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise InvalidInput(f"the body is not gzip: {error}", code="encoding") from error
    if len(found) > max_bytes:
        raise TooLarge(
            f"the body has more than {max_bytes:,} bytes when unpacked; at most that many are taken here"
        )
    if not reader.eof or reader.unused_data:
        raise InvalidInput(
            "the body is not one whole gzip stream: it ends early, or something follows it",
            code="encoding",
        )
    return found


def refuse_packed(encoding: str) -> None:
    """Of doors that read bodies as they are sent."""
    raise InvalidInput(
        f"Content-Encoding {encoding[:32]!r}: this address takes bodies as they are; gzip is read where events are sent",
        code="encoding",
    )
