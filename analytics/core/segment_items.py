"""What Segment's and RudderStack's clients send, in our words.

A ``track`` of ``Experiment Viewed`` is an exposure. One whose properties name a ``metric`` is an observation
of it, and every other one is an event: its name in lower case with ``_`` between the words, its properties
the payload, save those that events have a field for. ``userId`` is the user, ``anonymousId`` the session,
``context.groupId`` the tenant. ``messageId`` makes a repeated message count once.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from analytics.core.ingest_items import EventItem, ExposureItem, ObservationItem, parse_event, parse_exposure, parse_observation
from analytics.core.item_fields import Bad, Fields, mapping, needed, text

Track: TypeAlias = ExposureItem | ObservationItem | EventItem

VIEWED = "Experiment Viewed"
OTHER_TYPES = ("alias", "group", "identify", "page", "screen")
"""Messages that say nothing of an experiment."""
_FIELDS = ("cost_micro", "latency_ms", "language", "embedding_stats", "request_id")
"""Properties that are fields of an event under the same name."""
_EXPERIMENT = ("experiment_id", "experimentId", "experiment_name")
_VARIANT = ("variation_id", "variationId", "variation_name")
_UNITS = ("tenantId", "sessionId")
_ODD = re.compile(r"[^A-Za-z0-9_.:/-]+")


def is_track(message: object) -> bool:
    """Whether the message is read at all; what is of no known type is read, and refused."""
    return not (isinstance(message, dict) and message.get("type") in OTHER_TYPES)


def read_track(message: Fields) -> Track:
    """The exposure, observation or event that a message is. Raises ``Bad``."""
    if message.get("type") != "track":
        raise Bad("type", "type", f"type: expected track or one of {', '.join(OTHER_TYPES)}")
    name = needed(text(message, "event", 200), "event")
    properties = mapping(message, "properties") or {}
    common = _common(message, properties)
    if name == VIEWED:
        return parse_exposure(common)
    if "metric" in properties:
        return parse_observation(common | {"metric": properties["metric"], "value": properties.get("value")})
    return parse_event(common | _event(name, properties))


def event_type(name: str) -> str:
    """An event's name as one of our types: one that could be one is kept, ``Order Completed`` becomes ``order_completed``."""
    return name if _ODD.search(name) is None else _ODD.sub("_", name).strip("_").lower()


def _common(message: Fields, properties: Fields) -> dict[str, object]:
    found = {
        "event_id": message.get("messageId"),
        "units": _units(message, properties),
        "timestamp": message.get("timestamp", message.get("originalTimestamp")),
        "experiment": _first(properties, _EXPERIMENT),
        "variant": _word(_first(properties, _VARIANT)),
    }
    return {name: value for name, value in found.items() if value is not None}


def _units(message: Fields, properties: Fields) -> dict[str, object]:
    context = mapping(message, "context") or {}
    found = {
        "user": message.get("userId"),
        "session": properties.get("sessionId") or message.get("anonymousId"),
        "tenant": properties.get("tenantId") or context.get("groupId"),
    }
    units = {unit_type: value for unit_type, value in found.items() if value is not None and value != ""}
    if not units:
        raise Bad("unit_missing", "userId", "expected userId or anonymousId; found neither")
    return units


def _event(name: str, properties: Fields) -> dict[str, object]:
    lifted = {*_FIELDS, *_EXPERIMENT, *_VARIANT, *_UNITS, "value"}
    own = {field: properties[field] for field in _FIELDS if properties.get(field) is not None}
    value = properties.get("value", properties.get("revenue"))
    payload = {field: value for field, value in properties.items() if field not in lifted}
    return own | {"event_type": event_type(name), "value": value, "payload": payload}


def _first(properties: Fields, names: tuple[str, ...]) -> object:
    return next((properties[name] for name in names if properties.get(name) is not None), None)


def _word(value: object) -> object:
    """A variation's key may be written as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
