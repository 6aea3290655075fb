"""What the doors that take items are sent, for the schema: each item's fields, alone or in a batch
under the door's plural.

The reading itself is ``core.ingest_items``: item by item, so that one that does not fit leaves the
others be.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]  # Any: JSON schema
BATCH = 1000


def _text(longest: int, **more: Any) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": longest, **more}


_OBJECT: Schema = {"type": "object", "additionalProperties": True}
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_FLAG: Schema = {"type": "boolean"}
_ID: Schema = {
    "event_id": _text(
        128,
        description="Makes sending the item again count once; a single item without one gets one.",
    ),
    "timestamp": {
        "type": "string",
        "format": "date-time",
        "description": "With a zone, at most 90 days ago and 2 days ahead; absent: now.",
    },
}
_WHOM: Schema = {
    "user_id": _text(256, description="One of user_id, unit and units."),
    "unit": _text(256),
    "units": {
        "type": "object",
        "additionalProperties": _text(256),
        "example": {"user": "u1", "tenant": "acme"},
    },
    "unit_type": _text(32),
    "experiment": {
        "oneOf": [_text(200), {"type": "integer"}],
        "description": "Id, UUID, key or name.",
    },
    "experiment_id": {"oneOf": [_text(200), {"type": "integer"}]},
    "variant": _text(200, description="Key or name."),
    "context": _OBJECT,
}
_COMMON = _ID | _WHOM
_ITERATION = {
    "type": "integer",
    "minimum": 0,
    "description": "The iteration in which the unit was exposed; the answer's metadata contain it.",
}
_EXPOSURE = _COMMON | {"covariates": _OBJECT, "iteration": _ITERATION}
_OBSERVATION = _COMMON | {
    "metric": _text(80),
    "metric_name": _text(80),
    "value": _NUMBER,
    "covariates": _OBJECT,
}
_EVENT = _COMMON | {
    "event_type": _text(80),
    "type": _text(80),
    "value": _NUMBER,
    "payload": _OBJECT,
    "cost_micro": {"type": "integer", "description": "Millionths of the currency."},
    "latency_ms": {"type": "number", "minimum": 0},
    "language": _text(16),
    "embedding_stats": _OBJECT,
    "request_id": _text(128),
}
_FEEDBACK = _COMMON | {
    "label": {"type": "string", "enum": ["useful", "not_useful"]},
    "comment": {"type": "string", "maxLength": 4000},
    "manual_edit_flag": _FLAG,
    "request_id": _text(128, description="Of which answer, as in its events."),
}
_COST = _ID | {
    "request_id": _text(128),
    "model": _text(200),
    "tokens_in": _WHOLE,
    "tokens_out": _WHOLE,
    "cost_micro": {"type": "integer", "description": "Millionths of the currency."},
    "cache_hit": _FLAG,
    "qps_bucket": {
        "oneOf": [_text(40), _WHOLE],
        "description": "How busy the service was, in its own words.",
    },
}
ITEMS: dict[str, tuple[Schema, tuple[str, ...]]] = {
    "exposures": (_EXPOSURE, ("experiment",)),
    "observations": (_OBSERVATION, ("value",)),
    "events": (_EVENT, ()),
    "feedback": (_FEEDBACK, ()),
    "costs": (_COST, ("request_id", "model")),
}
"""Plural → fields, and those that every item has."""

_ERROR: Schema = {
    "type": "object",
    "properties": {"index": {"type": "integer"}}
    | {name: {"type": "string"} for name in ("code", "field", "message")},
}
COUNTS: Schema = {
    "type": "object",
    "properties": {name: {"type": "integer"} for name in ("accepted", "duplicates", "conflicts")}
    | {
        "errors": {"type": "array", "items": _ERROR},
        "event_id": {"type": "string", "description": "Of a single item."},
    },
    "required": ["accepted", "duplicates", "conflicts", "errors"],
}
"""What became of the items; a conflict is among the errors too."""


def body_of(plural: str) -> dict[str, Schema]:
    """One item, or a batch."""
    fields, needed = ITEMS[plural]
    item = {
        "type": "object",
        "properties": fields,
        "required": list(needed),
        "additionalProperties": False,
    }
    several = {
        "type": "array",
        "items": item | {"required": [*needed, "event_id"]},
        "maxItems": BATCH,
    }
    batch = {
        "type": "object",
        "properties": {plural: several},
        "required": [plural],
        "additionalProperties": False,
    }
    return {"application/json": {"oneOf": [batch, item]}}
