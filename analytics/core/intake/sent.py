"""What is known of an item that was not stored, so that whoever sent it can find it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LONGEST = {"event_id": 128, "experiment": 200, "unit_id": 256, "name": 80}


@dataclass(frozen=True)
class Sent:
    """As sent, cut to size; empty where nothing readable came. ``name`` is the event's type or the
    metric.
    """

    event_id: str = ""
    experiment: str = ""
    unit_id: str = ""
    name: str = ""


def sent_of(raw: object) -> Sent:
    """From an item's own JSON, however ill-formed."""
    if not isinstance(raw, Mapping):
        return Sent()
    found = {
        "event_id": raw.get("event_id"),
        "experiment": raw.get("experiment", raw.get("experiment_id")),
        "unit_id": _unit(raw),
        "name": raw.get("event_type", raw.get("type", raw.get("metric", raw.get("metric_name")))),
    }
    return Sent(**{name: _text(value)[: LONGEST[name]] for name, value in found.items()})


def _unit(raw: Mapping[str, object]) -> object:
    units = raw.get("units")
    if isinstance(units, Mapping) and units:
        return units.get("user", next(iter(units.values())))
    return raw.get("unit", raw.get("user_id"))


def _text(value: object) -> str:
    """A name or a number as text that can be stored; nothing for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()
