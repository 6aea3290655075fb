"""What GrowthBook's SDKs report, in our words: that a unit met an experiment.

Two spellings of one thing: JavaScript sends ``Experiment Viewed`` {experimentId, variationId: key,
hashAttribute, hashValue}; Python sends ``$$experiment_viewed`` {experiment_id, variation_id: index,
variation_key, hash_attribute, hash_value}. Events have no id of their own, and these SDKs send each once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from analytics.core.ingest_items import ExposureItem, parse_exposure
from analytics.core.item_fields import Bad, Fields, mapping, shown, text, unit_text

VIEWED = ("Experiment Viewed", "$$experiment_viewed")


def is_exposure(event: object) -> bool:
    """Whether it says that a unit met an experiment, by the unit's own bucket; what is no object is read, and refused."""
    if not isinstance(event, dict):
        return True
    properties = event.get("properties_json")
    forced = isinstance(properties, dict) and (properties.get("hash_used") is False or properties.get("in_experiment") is False)
    return event.get("event_name") in VIEWED and not forced


def read_exposure(event: Fields, unit_types: Mapping[str, str], event_id: str) -> ExposureItem:
    """The exposure; ``unit_types`` by the attribute that holds their id. Raises ``Bad``."""
    properties = mapping(event, "properties_json")
    if properties is None:
        raise Bad("missing", "properties_json", "properties_json is missing: which experiment, which variation and whose")
    experiment = properties.get("experiment_id", properties.get("experimentId"))
    said = {"event_id": event_id, "experiment": experiment, "variant": _variant(properties), "units": _units(properties, unit_types)}
    said["iteration"] = _iteration(event, properties)
    return parse_exposure(said | {"timestamp": _timestamp(event, properties)})


def _timestamp(event: Fields, properties: Fields) -> object:
    """When the unit met it, where the client says so: ISO 8601 text, or JavaScript's milliseconds."""
    stated = event.get("timestamp", properties.get("timestamp"))
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        return stated
    try:
        return datetime.fromtimestamp(stated / 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        raise Bad("timestamp_invalid", "timestamp", f"timestamp: expected milliseconds since 1970; found {shown(stated)}") from None


def _variant(properties: Fields) -> object:
    """The variation's key; an index alone says less than the unit's bucket."""
    stated = properties.get("variation_key", properties.get("variationId"))
    return None if isinstance(stated, int) and not isinstance(stated, bool) else stated


def _iteration(event: Fields, properties: Fields) -> object:
    """Which iteration's payload the client evaluated, where it can be known.

    A snippet says it as ``phase``. SDKs report only the variation's key, in which the payload of every later
    iteration names it; so the bare key that an SDK reports comes from the first one.
    """
    phase = properties.get("phase", properties.get("iteration"))
    if isinstance(phase, str) and phase.isascii() and phase.isdigit() and len(phase) < 10:
        return int(phase)
    if phase is not None:
        return phase
    key = _variant(properties)
    return 1 if event.get("sdk_language") and isinstance(key, str) and "@" not in key else None


def _units(properties: Fields, unit_types: Mapping[str, str]) -> dict[str, object]:
    name = "hash_attribute" if "hash_attribute" in properties else "hashAttribute"
    attribute = text(properties, name, 64) or "id"
    if attribute not in unit_types:
        raise Bad("unit_type", name, f"{name}: expected one of {', '.join(unit_types)}; found {shown(attribute)}")
    value = properties.get("hash_value", properties.get("hashValue"))
    if value is None or value == "":
        raise Bad("unit_missing", "hash_value", f"hash_value is missing: the id of a {unit_types[attribute]}")
    return {unit_types[attribute]: unit_text(value, "hash_value")}
