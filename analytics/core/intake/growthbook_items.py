"""What GrowthBook's SDKs report, in our words: that a unit met an experiment.

One thing in many spellings. JavaScript sends ``Experiment Viewed`` {experimentId, variationId: key,
hashAttribute, hashValue} under ``properties_json``; Python sends ``$$experiment_viewed``
{experiment_id, variation_id: index, variation_key, hash_attribute, hash_value}. PHP, .NET and Swift
send ``properties`` {experimentId, variationId: index} beside the user's ``attributes``, and no hash
value; Go and Java send ``experiment_viewed`` as ``event`` or ``event_type`` with everything in one
object, an index also as text. Events have no id of their own, and these SDKs send each once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from analytics.core.intake.ingest_items import ExposureItem, parse_exposure
from analytics.core.intake.item_fields import Bad, Fields, mapping, shown, text, unit_text

_VIEWED = "experiment viewed"
_NAMES = ("event_name", "event", "event_type", "eventName", "eventType")
_EXPERIMENT = ("experiment_id", "experimentId", "experiment_key", "experimentKey")
_KEYS = ("variation_key", "variationKey", "variationId", "variation_id")
_HASH_ATTRIBUTE, _HASH_VALUE = ("hash_attribute", "hashAttribute"), ("hash_value", "hashValue")
_FORCED = ("hash_used", "hashUsed", "in_experiment", "inExperiment")
_OWN_UNITS = {"user_id": "user", "session_id": "session"}
"""Fields beside the properties that name a unit, where the properties name none."""


def is_exposure(event: object) -> bool:
    """Whether it says that a unit met an experiment, by the unit's own bucket; what is no object is
    read, and refused.
    """
    if not isinstance(event, dict):
        return True
    found = event.get("properties_json", event.get("properties", event))
    forced = isinstance(found, dict) and any(found.get(name) is False for name in _FORCED)
    return _name(event) == _VIEWED and not forced


def _name(event: Fields) -> str:
    """The event's name without regard to case, underscores and dollars."""
    said = next((event[name] for name in _NAMES if isinstance(event.get(name), str)), "")
    return " ".join(str(said).replace("$", " ").replace("_", " ").lower().split())


def _first(fields: Fields, names: tuple[str, ...]) -> object:
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def read_exposure(event: Fields, unit_types: Mapping[str, str], event_id: str) -> ExposureItem:
    """The exposure; ``unit_types`` by the attribute that holds their id. Raises ``Bad``."""
    properties = _properties(event)
    said = {
        "event_id": event_id,
        "experiment": _first(properties, _EXPERIMENT),
        "variant": _variant(properties),
    }
    said["units"] = _units(event, properties, unit_types)
    said["iteration"] = _iteration(event, properties)
    item = parse_exposure(said | {"timestamp": _timestamp(event, properties)})
    return replace(item, variant_may_be_index=True)


def _properties(event: Fields) -> Fields:
    """What is said of the exposure, under whichever name, or in the event itself; the first may be
    JSON in a text.
    """
    sent = event.get("properties_json", event.get("properties"))
    if isinstance(sent, str):
        try:
            sent = json.loads(sent)
        except ValueError:
            raise Bad(
                "invalid",
                "properties_json",
                f"properties_json: expected an object; found {shown(sent)}",
            ) from None
    if sent is None and _first(event, _EXPERIMENT) is not None:
        return event
    found = mapping({"properties_json": sent}, "properties_json")
    if found is None:
        raise Bad(
            "missing",
            "properties_json",
            "properties_json is missing: which experiment, which variation and whose",
        )
    return found


def _timestamp(event: Fields, properties: Fields) -> object:
    """When the unit met it, where the client says so: ISO 8601 text, or JavaScript's
    milliseconds.
    """
    stated = event.get("timestamp", properties.get("timestamp"))
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        return stated
    try:
        return datetime.fromtimestamp(stated / 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        raise Bad(
            "timestamp_invalid",
            "timestamp",
            f"timestamp: expected milliseconds since 1970; found {shown(stated)}",
        ) from None


def _variant(properties: Fields) -> object:
    """The variation's key; an index alone says less than the unit's bucket."""
    stated = _first(properties, _KEYS)
    return None if isinstance(stated, int) and not isinstance(stated, bool) else stated


def _iteration(event: Fields, properties: Fields) -> object:
    """Which iteration's payload the client evaluated, where it can be known.

    A snippet says it as ``phase``. SDKs report only the variation's key, in which the payload of
    every later iteration names it; so the bare key that an SDK reports comes from the first one.
    """
    phase = properties.get("phase", properties.get("iteration"))
    if isinstance(phase, str) and phase.isascii() and phase.isdigit() and len(phase) < 10:
        return int(phase)
    if phase is not None:
        return phase
    key = _variant(properties)
    return 1 if event.get("sdk_language") and isinstance(key, str) and "@" not in key else None


def _units(event: Fields, properties: Fields, unit_types: Mapping[str, str]) -> dict[str, object]:
    """The unit that was hashed; where the SDK does not say which, every unit among the attributes
    that it sends.
    """
    name = next((name for name in _HASH_ATTRIBUTE if name in properties), _HASH_ATTRIBUTE[1])
    attribute = text(properties, name, 64) or "id"
    if attribute not in unit_types:
        raise Bad(
            "unit_type",
            name,
            f"{name}: expected one of {', '.join(unit_types)}; found {shown(attribute)}",
        )
    value = _first(properties, _HASH_VALUE)
    if value is not None:
        return {unit_types[attribute]: unit_text(value, "hash_value")}
    found = _among_attributes(event, properties, unit_types)
    if not found:
        wanted = f"hash_value, or attributes with {', '.join(unit_types)}"
        raise Bad(
            "unit_missing",
            "hash_value",
            f"no unit is named: expected {wanted} (a device_id is not a unit here)",
        )
    return found


def _among_attributes(
    event: Fields, properties: Fields, unit_types: Mapping[str, str]
) -> dict[str, object]:
    sources = (event.get("attributes"), properties.get("attributes"), event.get("context_json"))
    found: dict[str, object] = {}
    for fields in (source for source in sources if isinstance(source, dict)):
        for attribute, unit_type in unit_types.items():
            if fields.get(attribute) not in (None, ""):
                found.setdefault(unit_type, fields[attribute])
    for name, unit_type in _OWN_UNITS.items():
        if event.get(name) not in (None, ""):
            found.setdefault(unit_type, event[name])
    return found
