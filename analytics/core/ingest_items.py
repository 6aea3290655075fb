"""What applications send us, one item at a time: its shape, checked before anything is looked up.

Each item of a batch is read on its own: a bad one becomes an ``ItemError`` in its place and the
good ones are kept. Unknown fields are refused, since a misspelled ``timestamp`` would otherwise
quietly become "now". Whether units, experiments and variants exist is the service's question.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias, TypedDict, TypeVar

Fields: TypeAlias = Mapping[str, object]

MAX_EVENT_ID = 128
MAX_COVARIATES = 50
MAX_WHOLE = 2**63 - 1
MAX_LATENCY_MS = 2**31 - 1
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_.:/-]{1,80}")
_UNIT_FIELDS = frozenset({"units", "unit", "user_id", "unit_type"})
_COMMON = _UNIT_FIELDS | {"event_id", "timestamp", "experiment", "experiment_id", "variant", "context"}


@dataclass(frozen=True)
class ItemError:
    """Why one item was not stored: its place in the batch, a stable code, the field, a sentence."""

    index: int
    code: str
    field: str
    message: str

    def as_json(self) -> dict[str, object]:
        return {"index": self.index, "code": self.code, "field": self.field, "message": self.message}


@dataclass(frozen=True, kw_only=True)
class _Item:
    """What all items have. ``at`` is when it happened; absent: when it arrives.

    ``unit_type`` says which of ``units`` the item is about when no experiment says so. ``body_hash``
    tells a repeated item from another one under the same id; empty: taken from the item itself.
    """

    event_id: str
    units: dict[str, str]
    unit_type: str | None = None
    at: datetime | None = None
    variant: str | None = None
    context: dict[str, object] | None = None
    body_hash: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class ExposureItem(_Item):
    """The unit really met the experiment; ``variant`` is what it met, when the application says."""

    experiment: str | int
    covariates: dict[str, object] | None = None


@dataclass(frozen=True, kw_only=True)
class ObservationItem(_Item):
    """One measured value of a metric. With an experiment it counts in that one only."""

    metric: str
    value: float
    experiment: str | int | None = None
    covariates: dict[str, object] | None = None


@dataclass(frozen=True, kw_only=True)
class EventItem(_Item):
    """One interaction. Cost is in whole millionths of the currency, latency in milliseconds."""

    event_type: str
    experiment: str | int | None = None
    value: float | None = None
    payload: dict[str, object] = field(default_factory=dict)
    cost_micro: int | None = None
    latency_ms: int | None = None
    language: str | None = None
    embedding_stats: dict[str, object] | None = None
    request_id: str | None = None


Item = TypeVar("Item", bound=_Item)


class _Common(TypedDict):
    event_id: str
    units: dict[str, str]
    unit_type: str | None
    at: datetime | None
    variant: str | None
    context: dict[str, object] | None
    body_hash: str


class _Bad(Exception):
    def __init__(self, code: str, name: str, message: str) -> None:
        super().__init__(message)
        self.code, self.name, self.message = code, name, message


def parse_items(raw: Sequence[object], parse: Callable[[Fields], Item]) -> list[Item | ItemError]:
    """Every item read, or the reason why not, in the order sent."""
    return [_parse_one(index, item, parse) for index, item in enumerate(raw)]


def parse_exposure(raw: Fields) -> ExposureItem:
    """An exposure: ``event_id``, ``experiment``, units; optional ``variant``, ``timestamp``, ``covariates``, ``context``."""
    _refuse_unknown(raw, _COMMON | {"covariates"})
    return ExposureItem(experiment=_needed_ref(raw), covariates=_covariates(raw), **_common(raw, "exposure"))


def parse_observation(raw: Fields) -> ObservationItem:
    """An observation: ``event_id``, ``metric``, ``value``, units; optional ``experiment``, ``variant``, ``timestamp``, …"""
    _refuse_unknown(raw, _COMMON | {"metric", "metric_name", "value", "covariates"})
    return ObservationItem(
        metric=_matching(_one_of(raw, "metric", "metric_name"), "metric", _NAME, "1 to 80 letters, digits, _ and -"),
        value=_needed_number(raw, "value"),
        experiment=_ref(raw),
        covariates=_covariates(raw),
        **_common(raw, "observation"),
    )


def parse_event(raw: Fields) -> EventItem:
    """An event: ``event_id``, ``event_type``, units; optional ``payload``, ``value``, ``cost_micro``, ``latency_ms``, …"""
    own = {"event_type", "type", "value", "payload", "cost_micro", "latency_ms", "language", "embedding_stats", "request_id"}
    _refuse_unknown(raw, _COMMON | own)
    return EventItem(
        event_type=_matching(_one_of(raw, "event_type", "type"), "event_type", _EVENT_TYPE, "1 to 80 letters, digits and _ . : / -"),
        experiment=_ref(raw),
        value=_number(raw, "value"),
        payload=_object(raw, "payload") or {},
        cost_micro=_whole(raw, "cost_micro", -MAX_WHOLE, MAX_WHOLE),
        latency_ms=_milliseconds(raw),
        language=_text(raw, "language", 16),
        embedding_stats=_object(raw, "embedding_stats"),
        request_id=_text(raw, "request_id", 128),
        **_common(raw, "event"),
    )


def hash_of(item: _Item) -> str:
    """What tells this body from another one under the same id (SHA-256)."""
    return item.body_hash or hashlib.sha256(repr(item).encode()).hexdigest()


def _parse_one(index: int, raw: object, parse: Callable[[Fields], Item]) -> Item | ItemError:
    if not isinstance(raw, dict):
        return ItemError(index, "not_an_object", "", f"an item is a JSON object; found {_kind(raw)}")
    try:
        return parse(raw)
    except _Bad as bad:
        return ItemError(index, bad.code, bad.name, bad.message)


def _common(raw: Fields, kind: str) -> _Common:
    return _Common(
        event_id=_event_id(raw),
        units=_units(raw),
        unit_type=_text(raw, "unit_type", 32),
        at=_moment(raw),
        variant=_text(raw, "variant", 200),
        context=_object(raw, "context"),
        body_hash=hashlib.sha256(f"{kind}:{_canonical(raw)}".encode()).hexdigest(),
    )


def _canonical(raw: Fields) -> str:
    return json.dumps(raw, sort_keys=True, separators=(",", ":"))


def _refuse_unknown(raw: Fields, known: frozenset[str] | set[str]) -> None:
    unknown = sorted(set(raw) - known)
    if unknown:
        raise _Bad("unknown_field", unknown[0][:64], f"unknown field {unknown[0][:64]!r}; known are {', '.join(sorted(known))}")


def _event_id(raw: Fields) -> str:
    text = _text(raw, "event_id", MAX_EVENT_ID)
    if text is None:
        message = "event_id is missing; it makes sending an item twice count once (any unique text up to 128 characters, such as a UUID)"
        raise _Bad("event_id_missing", "event_id", message)
    return text


def _units(raw: Fields) -> dict[str, str]:
    given = [name for name in ("units", "unit", "user_id") if raw.get(name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise _Bad(
            "unit_missing" if not given else "unit_ambiguous", "units", f"expected exactly one of units, unit and user_id; found {found}"
        )
    value = raw[given[0]]
    if given[0] != "units":
        return {_text(raw, "unit_type", 32) or "user": _unit_text(value, given[0])}
    if not isinstance(value, dict) or not value:
        raise _Bad("unit_missing", "units", f'units: expected a map such as {{"user": "u1"}}; found {_kind(value)}')
    return {name: _unit_text(text, f"units.{name[:32]}") for name, text in value.items()}


def _unit_text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _Bad("unit_id_type", name, f"{name}: a unit's id is text; found {_kind(value)}")
    return value


def _moment(raw: Fields) -> datetime | None:
    value = raw.get("timestamp")
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise _Bad("timestamp_invalid", "timestamp", f"timestamp: expected ISO 8601 such as 2026-01-31T12:00:00Z; found {_shown(value)}")
    if moment.utcoffset() is None:
        raise _Bad("timestamp_naive", "timestamp", f"timestamp {value!r} has no zone: add Z or an offset such as +03:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # Hours from the ends of the calendar, and beyond them once the offset is taken off.
        raise _Bad("timestamp_range", "timestamp", f"timestamp {value!r} is no day of the calendar in UTC") from None


def _one_of(raw: Fields, name: str, alias: str) -> str | None:
    if raw.get(name) is not None and raw.get(alias) is not None:
        raise _Bad("field_twice", name, f"{name} and {alias} mean the same; send one of them")
    return _text(raw, name if raw.get(name) is not None else alias, 200)


def _matching(text: str | None, name: str, pattern: re.Pattern[str], expected: str) -> str:
    if text is None:
        raise _Bad("missing", name, f"{name} is missing")
    if pattern.fullmatch(text) is None:
        raise _Bad("invalid", name, f"{name}: expected {expected}; found {_shown(text)}")
    return text


def _ref(raw: Fields) -> str | int | None:
    name = "experiment" if raw.get("experiment") is not None else "experiment_id"
    value = raw.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _text(raw, name, 200)


def _needed_ref(raw: Fields) -> str | int:
    ref = _ref(raw)
    if ref is None:
        raise _Bad("missing", "experiment", "experiment is missing: its key, id, UUID or name")
    return ref


def _text(raw: Fields, name: str, longest: int) -> str | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Bad("invalid", name, f"{name}: expected text; found {_kind(value)}")
    if not value or len(value) > longest or not value.isprintable():
        raise _Bad("invalid", name, f"{name}: expected 1 to {longest} printable characters; found {_shown(value)}")
    return value


def _number(raw: Fields, name: str) -> float | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Bad("value_type", name, f"{name}: expected a number; found {_kind(value)}")
    if abs(value) > 1e300 or not math.isfinite(value):
        raise _Bad("value_not_finite", name, f"{name}: expected a finite number below 1e300; found {_shown(value)}")
    return float(value)


def _needed_number(raw: Fields, name: str) -> float:
    value = _number(raw, name)
    if value is None:
        raise _Bad("missing", name, f"{name} is missing: a finite number")
    return value


def _whole(raw: Fields, name: str, least: int, most: int) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _Bad("invalid", name, f"{name}: expected a whole number from {least} to {most}; found {_shown(value)}")
    return value


def _milliseconds(raw: Fields) -> int | None:
    value = _number(raw, "latency_ms")
    if value is None:
        return None
    if not 0 <= value <= MAX_LATENCY_MS:
        raise _Bad("invalid", "latency_ms", f"latency_ms: expected 0 to {MAX_LATENCY_MS} milliseconds; found {_shown(value)}")
    return round(value)


def _object(raw: Fields, name: str) -> dict[str, object] | None:
    value = raw.get(name)
    if value is not None and not isinstance(value, dict):
        raise _Bad("invalid", name, f"{name}: expected an object; found {_kind(value)}")
    return value


def _covariates(raw: Fields) -> dict[str, object] | None:
    found = _object(raw, "covariates")
    if found is None:
        return None
    if len(found) > MAX_COVARIATES:
        raise _Bad("too_many", "covariates", f"covariates: at most {MAX_COVARIATES}; found {len(found)}")
    for name, value in found.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise _Bad("value_not_finite", f"covariates.{name[:64]}", f"covariate {name[:64]!r}: expected a finite number; found {value!r}")
        if not isinstance(value, str | int | float | bool | None):
            raise _Bad(
                "invalid", f"covariates.{name[:64]}", f"covariate {name[:64]!r}: expected text, a number or yes/no; found {_kind(value)}"
            )
    return found


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
