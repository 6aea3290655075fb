"""The stretch of time that a metric's past is read from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class PastSpan:
    """Whose past, and when: units of one type, rows from ``since`` up to ``cut``."""

    unit_type: str
    since: datetime
    cut: datetime
