"""What changed between two versions of a metric."""

from __future__ import annotations

from dataclasses import dataclass, fields

from experiments.core.design.metric_definitions import MetricDefinition

_SAME = ("key", "version", "exploratory")
_WORDS = {
    "scale": "unit of the value",
    "source": "read from",
    "value_field": "field",
    "denominator_event_types": "events below the line",
}


@dataclass(frozen=True)
class FieldChange:
    """One field of a definition, as it was and as it is."""

    what: str
    was: str
    now: str


def changes(before: MetricDefinition, after: MetricDefinition) -> tuple[FieldChange, ...]:
    """Every field that differs, in the definition's order."""
    pairs = (
        (f.name, getattr(before, f.name), getattr(after, f.name))
        for f in fields(MetricDefinition)
        if f.name not in _SAME
    )
    return tuple(
        FieldChange(_WORDS.get(name, name.replace("_", " ")), _text(was), _text(now))
        for name, was, now in pairs
        if was != now
    )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
