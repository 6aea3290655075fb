"""Whole numbers that JavaScript and many JSON readers would round: beyond ±(2^53 − 1) a client may
read another number.

Looked at when somebody saves a value, never when it is served. A number that has to be larger is
sent as text.
"""

from __future__ import annotations

from experiments.core.types import JSON
from experiments.core.units import MAX_EXACT


def inexact(value: JSON, path: str) -> str | None:
    """Where the first such number of a document is, and what to do about it; None when every number
    arrives as it is.
    """
    if isinstance(value, dict):
        inside = ((entry, f"{path}.{name[:64]}") for name, entry in value.items())
    elif isinstance(value, list):
        inside = ((entry, f"{path}[{index}]") for index, entry in enumerate(value))
    else:
        return _of_number(value, path)
    return next(
        (found for entry, place in inside if (found := inexact(entry, place)) is not None), None
    )


def _of_number(value: JSON, path: str) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) <= MAX_EXACT:
        return None
    return f"{path}: {value} is beyond ±(2^53 − 1) = {MAX_EXACT}, so JavaScript and many JSON readers would round it; make it a string"
