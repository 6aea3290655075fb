"""Form fields as plain data, and the reading of what people typed into them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TypeVar

from experiments.admin.gathering import gathered
from experiments.core.errors import InvalidInput, Problem
from experiments.core.types import JSON

ONE_LINE = 80


@dataclass(frozen=True)
class Field:
    """One thing to fill in; ``kind`` is an input type, or textarea, json, select, checkbox."""

    name: str
    label: str
    kind: str = "text"
    value: str = ""
    help: str = ""
    error: str = ""
    required: bool = False
    choices: Sequence[tuple[str, str]] = ()
    rows: int = 3
    placeholder: str = ""
    span: str = ""
    step: str = ""


def filled(
    fields: Iterable[Field], data: Mapping[str, str], problems: Sequence[Problem] = ()
) -> list[Field]:
    """The fields with what was sent, and each problem beside the field it names."""
    errors = {problem.field: problem.message for problem in problems if problem.field}
    return [
        replace(
            f,
            value=data.get(f.name, "" if f.kind == "checkbox" else f.value),
            error=errors.get(f.name, ""),
        )
        for f in fields
    ]


def marked(fields: Iterable[Field], problems: Sequence[Problem]) -> list[Field]:
    """The fields as they are, each with the problem that names it."""
    errors = {problem.field: problem.message for problem in problems if problem.field}
    return [replace(f, error=errors.get(f.name, "")) for f in fields]


def reason_field(*, required: bool = True, label: str = "Reason", about: str = "") -> Field:
    """Why: it goes into the changelog."""
    return Field(
        "reason",
        label,
        "textarea",
        required=required,
        rows=2,
        help=about or "Kept in the history with your name.",
    )


@gathered
def read_json(text: str, where: str, label: str, *, empty: JSON = None) -> JSON:
    """JSON typed by a person; says where it broke."""
    if not text.strip():
        return empty
    try:
        found: JSON = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as broken:
        raise InvalidInput(f"{label}: this is not JSON ({broken}).", where) from broken
    return found


def _no_constant(name: str) -> JSON:
    raise ValueError(f"{name} is not JSON")


@gathered
def read_number(text: str, where: str, label: str) -> float | None:
    """A number, or nothing; never NaN or infinity."""
    if not text.strip():
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError as broken:
        raise InvalidInput(f"{label}: “{text}” is not a number.", where) from broken
    if value != value or value in (float("inf"), float("-inf")):
        raise InvalidInput(f"{label}: a finite number is needed, found {text}.", where)
    return value


@gathered
def read_whole(text: str, where: str, label: str) -> int | None:
    """A whole number, or nothing."""
    value = read_number(text, where, label)
    if value is not None and value != int(value):
        raise InvalidInput(f"{label}: a whole number is needed, found {text}.", where)
    return None if value is None else int(value)


@gathered
def read_thousandths(text: str, where: str, label: str) -> int | None:
    """Per cent to one decimal, as thousandths: ``33.3`` → 333."""
    value = read_number(text.replace("%", ""), where, label)
    if value is None:
        return None
    if abs(value * 10 - round(value * 10)) > 1e-9:
        raise InvalidInput(
            f"{label}: per cent with at most one decimal (whole thousandths), found {text}.", where
        )
    return round(value * 10)


def read_usd(text: str, where: str, label: str) -> int | None:
    """USD as micros, or nothing: ``1.25`` → 1250000."""
    value = read_number(text.replace("$", ""), where, label)
    return None if value is None else round(value * 1_000_000)


E = TypeVar("E", bound=StrEnum)


def read_choice(kind: type[E], text: str, where: str, label: str) -> E:
    """One of an enum's values."""
    try:
        return kind(text)
    except ValueError as unknown:
        raise InvalidInput(
            f"{label}: one of {', '.join(kind)} is needed, found “{text}”.", where
        ) from unknown


@gathered
def read_moment(text: str, where: str, label: str) -> datetime | None:
    """A moment of a datetime-local input, taken as UTC."""
    if not text.strip():
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError as broken:
        raise InvalidInput(f"{label}: “{text}” is not a date and time.", where) from broken
    return value if value.tzinfo else value.replace(tzinfo=UTC)


@gathered
def read_day(text: str, where: str, label: str) -> date | None:
    """A day of a date input; None where it was left empty."""
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as broken:
        raise InvalidInput(f"{label}: “{text[:40]}” is not a day.", where) from broken


def written_json(value: JSON) -> str:
    """JSON for a text box; nothing for nothing."""
    if value is None:
        return ""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= ONE_LINE else json.dumps(value, ensure_ascii=False, indent=2)


def written_moment(value: datetime | None) -> str:
    """A moment for a datetime-local input, in UTC."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")


def written_share(thousandths: int | None) -> str:
    """Thousandths as per cent for an input."""
    return "" if thousandths is None else f"{thousandths / 10:g}"


def written_usd(micros: int | None) -> str:
    """Micros as USD for an input; nothing for nothing."""
    return "" if micros is None else f"{micros / 1_000_000:.12g}"


def written(value: float | int | None) -> str:
    """A number for an input; nothing for nothing."""
    return "" if value is None else f"{value:.12g}"
