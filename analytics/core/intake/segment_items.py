"""What Segment's and RudderStack's clients send, in our words.

A ``track`` of ``Experiment Viewed`` is an exposure. One whose properties name a ``metric`` is an
observation of it, and every other one is an event: its name in lower case with ``_`` between the
words, its properties the payload, save those that events have a field for. An optional property
that does not fit its field (``revenue: "19.50"``, another tool's ``experiment_id``) stays in the
payload, and ``assay_notes`` there says why. ``userId`` is the user, ``anonymousId`` the session,
``context.groupId`` the tenant. ``messageId`` makes a repeated message count once.
"""

from __future__ import annotations

from typing import TypeAlias

from analytics.core.intake.event_types import from_words
from analytics.core.intake.ingest_items import (
    EventItem,
    ExposureItem,
    ObservationItem,
    fitting,
    parse_event,
    parse_exposure,
    parse_observation,
    with_notes,
)
from analytics.core.intake.item_fields import Bad, Fields, mapping, needed, ref, text

Track: TypeAlias = ExposureItem | ObservationItem | EventItem

VIEWED = "Experiment Viewed"
OTHER_TYPES = ("alias", "group", "identify", "page", "screen")
"""Messages that say nothing of an experiment."""
_FIELDS = ("cost_micro", "latency_ms", "language", "embedding_stats", "request_id")
"""Properties that are fields of an event under the same name."""
_EXPERIMENT = ("experiment_id", "experimentId", "experiment_name")
_VARIANT = ("variation_id", "variationId", "variation_name")
_UNITS = ("tenantId", "sessionId")


def is_track(message: object) -> bool:
    """Whether the message is read at all; what is of no known type is read, and refused."""
    return not (isinstance(message, dict) and message.get("type") in OTHER_TYPES)


def is_viewed(message: object) -> bool:
    """Whether the message says that a unit saw an experiment."""
    return (
        isinstance(message, dict)
        and message.get("type") == "track"
        and message.get("event") == VIEWED
    )


def read_track(message: Fields) -> Track:
    """The exposure, observation or event that a message is. Raises ``Bad``."""
    if message.get("type") != "track":
        raise Bad("type", "type", f"type: expected track or one of {', '.join(OTHER_TYPES)}")
    name = needed(text(message, "event", 200), "event")
    properties = mapping(message, "properties") or {}
    common = _common(message, properties)
    if name == VIEWED:
        return parse_exposure(common)
    stamp = {
        key: properties[key] for key in (*_EXPERIMENT, *_VARIANT) if properties.get(key) is not None
    }
    if "metric" in properties:
        return parse_observation(
            _readable(common) | {"metric": properties["metric"], "value": properties.get("value")},
            stamp,
        )
    return parse_event(_readable(common) | _event(name, properties), stamp)


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
    units = {
        unit_type: value for unit_type, value in found.items() if value is not None and value != ""
    }
    if not units:
        raise Bad("unit_missing", "userId", "expected userId or anonymousId; found neither")
    return units


def _event(name: str, properties: Fields) -> dict[str, object]:
    lifted = {*_FIELDS, *_EXPERIMENT, *_VARIANT, *_UNITS, "value"}
    own = {
        field: properties[field]
        for field in (*_FIELDS, "value")
        if properties.get(field) is not None
    }
    if "value" not in own and properties.get("revenue") is not None:
        own["value"] = properties["revenue"]
    kept, left, notes = fitting(own)
    payload = {field: value for field, value in properties.items() if field not in lifted}
    if "value" in left and "value" not in properties:
        left.pop("value")  # it is the revenue, which the payload holds under its own name
    return kept | {"event_type": from_words(name), "payload": with_notes(payload, left, notes)}


def _readable(common: dict[str, object]) -> dict[str, object]:
    """Without an experiment and a variant that cannot be names; the properties that hold them are
    the item's stamp.
    """
    found = dict(common)
    for name, read in (("experiment", ref), ("variant", lambda raw: text(raw, "variant", 200))):
        try:
            read(found)
        except Bad:
            found.pop(name)
    return found


def _first(properties: Fields, names: tuple[str, ...]) -> object:
    return next((properties[name] for name in names if properties.get(name) is not None), None)


def _word(value: object) -> object:
    """A variation's key may be written as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
