"""One style of dates on every page, as ``experiments.core.figures`` writes them."""

from __future__ import annotations

DATE_FORMAT = SHORT_DATE_FORMAT = "d M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = r"d M Y, H:i \U\T\C"
