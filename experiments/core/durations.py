"""Lengths of time as people write them: 30m, 24h, 7d, 2w."""

from __future__ import annotations

import re
from datetime import timedelta

from experiments.core.errors import InvalidInput

_FORM = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_duration(text: str, field: str = "duration") -> timedelta:
    """The length; refuses anything else by the field's name."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{field}: expected a whole number and m, h, d or w such as 7d; found {text[:40]!r}",
            field,
        )
    return int(found[1]) * _UNITS[found[2]]
