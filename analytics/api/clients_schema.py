"""The doors of other tools' clients as OpenAPI describes them; plain views cannot be read off by
the generator.
"""

from __future__ import annotations

from experiments.http.described import Schema, content, operation
from experiments.http.parsing import BATCH_ITEMS

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
SCHEMAS: Schema = {
    "GrowthBookEvents": {
        "type": "array",
        "maxItems": BATCH_ITEMS,
        "items": {
            "type": "object",
            "properties": {"event_name": _TEXT, "properties_json": {"type": "object"}},
        },
    },
    "SegmentBatch": {
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {
                "type": "array",
                "maxItems": BATCH_ITEMS,
                "items": {
                    "type": "object",
                    "required": ["type", "messageId"],
                    "properties": {
                        "type": _TEXT,
                        "event": _TEXT,
                        "messageId": _TEXT
                        | {"description": "Makes a repeated message count once."},
                        "userId": _TEXT,
                        "anonymousId": _TEXT,
                        "timestamp": {"type": "string", "format": "date-time"},
                        "properties": {"type": "object"},
                        "context": {
                            "type": "object",
                            "properties": {"groupId": _TEXT | {"description": "The tenant."}},
                        },
                    },
                },
            },
            "sentAt": _TEXT,
        },
    },
    "Taken": {
        "type": "object",
        "required": ["accepted", "duplicates", "conflicts", "ignored", "errors"],
        "properties": {
            "accepted": _COUNT,
            "duplicates": _COUNT,
            "conflicts": _COUNT,
            "ignored": _COUNT | {"description": "Messages of kinds that are not kept."},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "index": _COUNT,
                        "code": _TEXT,
                        "field": _TEXT,
                        "message": _TEXT,
                    },
                },
            },
        },
    },
}
_KIND: Schema = {
    "name": "kind",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": [*"tbipgas"]},
    "description": "b for a batch, else the first letter of the message's type.",
}
_KEY: Schema = {
    "name": "client_key",
    "in": "query",
    "required": True,
    "schema": _TEXT,
    "description": "A client key, or a server's.",
}


def paths() -> Schema:
    """The addresses."""
    taken: Schema = {
        "200": {"description": "Good items are kept, the others are named."} | content("Taken")
    }
    track = operation(
        "growthbook_track",
        "What GrowthBook's SDKs report: exposures are kept.",
        "growthbook",
        [_KEY],
        taken,
    )
    track["requestBody"] = content("GrowthBookEvents", "text/plain") | {"required": True}
    track["responses"] |= {
        "207": {"description": "Some exposures were kept, the others are named."} | content("Taken")
    }
    batch = operation(
        "segment_batch",
        "What Segment's and RudderStack's clients send.",
        "segment",
        [],
        taken,
        {"writeKey": []},
    )
    batch["requestBody"] = content("SegmentBatch") | {"required": True}
    said = "What Segment's client in a page sends; with a client key, exposures alone are kept."
    page = operation("segment_page", said, "segment", [_KIND], taken, {"writeKey": []})
    page["requestBody"] = content("SegmentBatch", "text/plain") | {"required": True}
    events = {**track, "operationId": "growthbook_events"}
    found = {"/track": track, "/events": events, "/v1/batch": batch, "/v1/{kind}": page}
    return {address: {"post": described} for address, described in found.items()}
