"""A flag's typed value: what each type accepts, and how it is written so that clients read it
back.
"""

from __future__ import annotations

import math
from typing import cast

from experiments.core.errors import InvalidInput
from experiments.core.types import JSON, FlagType

_INT64 = 2**63
_EXPECTED = {
    FlagType.BOOLEAN: "true or false",
    FlagType.STRING: "a string",
    FlagType.INTEGER: "a whole number of at most 64 bits",
    FlagType.FLOAT: "a finite number",
    FlagType.OBJECT: "an object",
}


def typed_value(flag_type: FlagType, value: object, path: str = "value") -> JSON:
    """The value as the flag's type writes it (a float flag's 1 is 1.0), or a refusal naming the
    place.
    """
    if (
        flag_type is FlagType.FLOAT
        and isinstance(value, int)
        and not isinstance(value, bool)
        and abs(value) < _INT64
    ):
        return float(value)
    if _fits(flag_type, value):
        return cast("JSON", value)
    raise InvalidInput(
        f"{path}: a flag of type {flag_type} needs {_EXPECTED[flag_type]}, found {str(value)[:64]!r}",
        path,
    )


def _fits(flag_type: FlagType, value: object) -> bool:
    if flag_type is FlagType.BOOLEAN:
        return isinstance(value, bool)
    if flag_type is FlagType.STRING:
        return isinstance(value, str)
    if flag_type is FlagType.INTEGER:
        return isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64
    if flag_type is FlagType.FLOAT:
        return isinstance(value, float) and math.isfinite(value)
    return isinstance(value, dict)
