"""The fields of one sent item, read one by one: what is there, of what type, within which bounds.

A field that does not fit raises ``Bad`` with a stable code, the field's name and a sentence;
whoever reads a batch makes an error in the item's place of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from analytics.core.intake.magnitudes import LARGEST, fits
from experiments.core.serving.asking import asked
from experiments.core.units import id_text

Fields: TypeAlias = Mapping[str, object]

MAX_EVENT_ID = 128
MAX_COVARIATES = 50
MAX_WHOLE = 2**63 - 1
MAX_LATENCY_MS = 2**31 - 1
MAX_PROSE = 4000


class Bad(Exception):
    """Why an item cannot be stored."""

    def __init__(self, code: str, name: str, message: str) -> None:
        super().__init__(message)
        self.code, self.name, self.message = code, name, message


def refuse_unknown(raw: Fields, known: frozenset[str] | set[str]) -> None:
    """Refuse a field that is not known: a misspelled one would be lost without a word."""
    unknown = sorted(set(raw) - known)
    if unknown:
        raise Bad(
            "unknown_field",
            unknown[0][:64],
            f"unknown field {unknown[0][:64]!r}; known are {', '.join(sorted(known))}",
        )


def event_id(raw: Fields) -> str:
    """The id under which the item counts once."""
    found = text(raw, "event_id", MAX_EVENT_ID)
    if found is None:
        message = "event_id is missing; it makes sending an item twice count once (any unique text up to 128 characters, such as a UUID)"
        raise Bad("event_id_missing", "event_id", message)
    return found


def units(raw: Fields) -> dict[str, str]:
    """The map of units, whichever of its three spellings was sent."""
    given = [name for name in ("units", "unit", "user_id") if raw.get(name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise Bad(
            "unit_missing" if not given else "unit_ambiguous",
            "units",
            f"expected exactly one of units, unit and user_id; found {found}",
        )
    value = raw[given[0]]
    if given[0] != "units":
        return {text(raw, "unit_type", 32) or "user": unit_text(value, given[0])}
    if not isinstance(value, dict) or not value:
        raise Bad(
            "unit_missing",
            "units",
            f'units: expected a map such as {{"user": "u1"}}; found {kind(value)}',
        )
    about = asked(value, {})
    if about.problems and not about.units:
        raise Bad(
            about.problems[0].code,
            about.problems[0].field,
            f"{about.problems[0].field}: {about.problems[0].message}",
        )
    return about.units


def unit_text(value: object, name: str) -> str:
    """A unit's id: text, or a whole number as its decimal text."""
    found = id_text(value)
    if not isinstance(found, str):
        raise Bad(
            "unit_id_type",
            name,
            f"{name}: a unit's id is text or a whole number up to 2^53 - 1; found {kind(value)}",
        )
    return found


def moment(raw: Fields) -> datetime | None:
    """When it happened, in UTC; ``None``: when it arrives."""
    value = raw.get("timestamp")
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise Bad(
            "timestamp_invalid",
            "timestamp",
            f"timestamp: expected ISO 8601 such as 2026-01-31T12:00:00Z; found {shown(value)}",
        )
    if found.utcoffset() is None:
        raise Bad(
            "timestamp_naive",
            "timestamp",
            f"timestamp {value!r} has no zone: add Z or an offset such as +03:00",
        )
    try:
        return found.astimezone(UTC)
    except OverflowError:
        # Hours from the ends of the calendar, and beyond them once the offset is taken off.
        raise Bad(
            "timestamp_range", "timestamp", f"timestamp {value!r} is no day of the calendar in UTC"
        ) from None


def one_of(raw: Fields, name: str, alias: str) -> str | None:
    """A text that goes by two names; sending both is refused."""
    if raw.get(name) is not None and raw.get(alias) is not None:
        raise Bad("field_twice", name, f"{name} and {alias} mean the same; send one of them")
    return text(raw, name if raw.get(name) is not None else alias, 200)


def matching(value: str | None, name: str, pattern: re.Pattern[str], expected: str) -> str:
    """A needed text of a given form."""
    if pattern.fullmatch(needed(value, name)) is None:
        raise Bad("invalid", name, f"{name}: expected {expected}; found {shown(value)}")
    return needed(value, name)


def needed(value: str | None, name: str) -> str:
    """A text that must be there."""
    if value is None:
        raise Bad("missing", name, f"{name} is missing")
    return value


def ref(raw: Fields) -> str | int | None:
    """The experiment an item names, by id, UUID, key or name."""
    name = "experiment" if raw.get("experiment") is not None else "experiment_id"
    value = raw.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return text(raw, name, 200)


def needed_ref(raw: Fields) -> str | int:
    """The same, where there must be one."""
    found = ref(raw)
    if found is None:
        raise Bad("missing", "experiment", "experiment is missing: its key, id, UUID or name")
    return found


def text(raw: Fields, name: str, longest: int) -> str | None:
    """A line of printable text."""
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Bad("invalid", name, f"{name}: expected text; found {kind(value)}")
    if not value or len(value) > longest or not value.isprintable():
        raise Bad(
            "invalid",
            name,
            f"{name}: expected 1 to {longest} printable characters; found {shown(value)}",
        )
    return value


def prose(raw: Fields, name: str) -> str | None:
    """Whatever a person wrote, lines and all; an empty text says nothing."""
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise Bad("invalid", name, f"{name}: expected text; found {kind(value)}")
    if value is not None and len(value) > MAX_PROSE:
        raise Bad(
            "invalid", name, f"{name}: at most {MAX_PROSE:,} characters; found {len(value):,}"
        )
    return value or None


def flag(raw: Fields, name: str) -> bool | None:
    """True or false."""
    value = raw.get(name)
    if value is not None and not isinstance(value, bool):
        raise Bad("invalid", name, f"{name}: expected true or false; found {shown(value)}")
    return value


def number(raw: Fields, name: str) -> float | None:
    """A finite number."""
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Bad("value_type", name, f"{name}: expected a number; found {kind(value)}")
    if not fits(value):
        raise Bad(
            "value_not_finite",
            name,
            f"{name}: expected a finite number up to {LARGEST:g}; found {shown(value)}",
        )
    return float(value)


def needed_number(raw: Fields, name: str) -> float:
    """A finite number that must be there."""
    value = number(raw, name)
    if value is None:
        raise Bad("missing", name, f"{name} is missing: a finite number")
    return value


def whole(raw: Fields, name: str, least: int, most: int) -> int | None:
    """A whole number within bounds."""
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Bad(
            "invalid",
            name,
            f"{name}: expected a whole number from {least} to {most}; found {shown(value)}",
        )
    return value


def milliseconds(raw: Fields) -> int | None:
    """A latency, rounded to whole milliseconds."""
    value = number(raw, "latency_ms")
    if value is None:
        return None
    if not 0 <= value <= MAX_LATENCY_MS:
        raise Bad(
            "invalid",
            "latency_ms",
            f"latency_ms: expected 0 to {MAX_LATENCY_MS} milliseconds; found {shown(value)}",
        )
    return round(value)


def mapping(raw: Fields, name: str) -> dict[str, object] | None:
    """An object, whatever is in it."""
    value = raw.get(name)
    if value is not None and not isinstance(value, dict):
        raise Bad("invalid", name, f"{name}: expected an object; found {kind(value)}")
    return value


def covariates(raw: Fields) -> dict[str, object] | None:
    """What was known of the unit: text, numbers, yes or no."""
    found = mapping(raw, "covariates")
    if found is None:
        return None
    if len(found) > MAX_COVARIATES:
        raise Bad(
            "too_many", "covariates", f"covariates: at most {MAX_COVARIATES}; found {len(found)}"
        )
    for name, value in found.items():
        if isinstance(value, int | float) and not fits(value):
            wanted = f"expected a finite number up to {LARGEST:g}; found {shown(value)}"
            raise Bad(
                "value_not_finite", f"covariates.{name[:64]}", f"covariate {name[:64]!r}: {wanted}"
            )
        if not isinstance(value, str | int | float | bool | None):
            raise Bad(
                "invalid",
                f"covariates.{name[:64]}",
                f"covariate {name[:64]!r}: expected text, a number or yes/no; found {kind(value)}",
            )
    return found


def kind(value: object) -> str:
    """A value's type in a sentence."""
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


def shown(value: object) -> str:
    """A value in a sentence, cut off where it is long."""
    found = repr(value)
    return found if len(found) <= 80 else found[:77] + "..."
