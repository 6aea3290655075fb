"""What an application says, as JSON can hold it: money is a number, a moment is ISO 8601 text, a
UUID is text.

A key of a payload whose value JSON cannot hold is left out and named in the log; the event stays. A
field of the item itself (``value``) that cannot be written makes the whole item unfit, since an
event without its value is another event.
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real

log = logging.getLogger("assay")

_DEEPEST = 50
_AS_THEY_ARE = (str, int, bool)

_named: set[tuple[str, str]] = set()


class Unwritable(ValueError):
    """A value that JSON cannot hold; the message says where it is and what it is."""


def written(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields that were said (not ``None``), each as JSON holds it; one that cannot be written
    stays for the outbox to refuse.
    """
    found: dict[str, object] = {}
    for name, value in fields.items():
        if value is None:
            continue
        try:
            found[name] = value if type(value) in _AS_THEY_ARE else plain(value, name)
        except Unwritable:
            found[name] = value
    return found


def why_not(item: Mapping[str, object], error: Exception) -> str:
    """Which field of a refused item cannot be written."""
    for name, value in item.items():
        try:
            plain(value, name)
        except Unwritable as found:
            return str(found)
    return str(error)


def plain(value: object, path: str, depth: int = 0) -> object:
    """The value as JSON holds it."""
    if depth > _DEEPEST:
        raise Unwritable(f"{path[:200]}: nested more than {_DEEPEST} deep")
    if isinstance(value, Mapping):
        return _mapping(value, path, depth)
    if isinstance(value, list | tuple):
        return [plain(entry, f"{path}[{index}]", depth + 1) for index, entry in enumerate(value)]
    return _single(value, path)


def _mapping(value: Mapping[object, object], path: str, depth: int) -> dict[str, object]:
    """Without the keys that cannot be written, which are named."""
    found: dict[str, object] = {}
    for key, entry in value.items():
        where = f"{path}.{str(key)[:80]}"
        try:
            found[_key(key, where)] = plain(entry, where, depth + 1)
        except Unwritable as error:
            _say(where, entry, error)
    return found


def _key(key: object, path: str) -> str:
    if isinstance(key, str):
        return str(key)
    single = _single(key, path)
    return single if isinstance(single, str) else str(single)


def _single(value: object, path: str) -> object:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Enum):
        return _single(value.value, path)
    if isinstance(value, datetime):  # one without a zone is local time, as everywhere in the SDK
        return (value if value.tzinfo else value.astimezone()).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Decimal | Real):
        return _number(value, path)
    raise Unwritable(
        f"{path}: JSON has no {type(value).__name__}; send text, a number, a moment, or a dict or list of them"
    )


def _number(value: Decimal | Real, path: str) -> float | int:
    """Numbers of any library; a whole amount of money stays whole."""
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and value == value.to_integral_value()
        and abs(value) < 2**53
    ):
        return int(value)
    number = float(value)
    if not math.isfinite(number):
        raise Unwritable(f"{path}: expected a finite number, found {value}")
    return number


def _say(path: str, value: object, error: Unwritable) -> None:
    """Each place and type is a warning once, not at every event."""
    seen = (path, type(value).__name__)
    log.log(logging.DEBUG if seen in _named else logging.WARNING, "left out: %s", error)
    if len(_named) < 1_000:
        _named.add(seen)
