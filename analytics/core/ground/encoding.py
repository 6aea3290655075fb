"""Frozen results to plain JSON and back, so that what was stored can be replayed to the last digit.

JSON knows no infinity; boundaries do (a look that may spend nothing). They travel as the text
"inf".
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def plain(value: object) -> Any:
    """A dataclass, or a container of them, as what a JSON column takes. Any: JSON."""
    return _finite(msgspec.to_builtins(value, str_keys=True))


def restored(document: object, kind: type[T]) -> T:
    """What ``plain`` made, back as frozen dataclasses; refuses a document of another shape."""
    return msgspec.convert(document, kind, strict=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
