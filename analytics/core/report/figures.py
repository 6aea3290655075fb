"""How a report writes numbers and moments; a dash where there is nothing to say."""

from __future__ import annotations

from datetime import datetime

from analytics.core.planner.words import number
from analytics.core.stats.arms.comparison import Interval
from experiments.core.figures import counted

DASH = "–"
MICRO = 1_000_000


def figure(value: float | None) -> str:
    """Whole numbers grouped, others to four significant digits."""
    return DASH if value is None else number(value)


def percent(value: float | None, digits: int = 2) -> str:
    """A share as per cent."""
    return DASH if value is None else f"{value * 100:.{digits}f} %"


def signed_percent(value: float | None) -> str:
    """A lift with its sign."""
    return DASH if value is None else f"{value * 100:+.2f} %"


def thousandths(value: int) -> str:
    """125 → 12.5 %."""
    return f"{value / 10:g} %"


def level(value: float | None, share: bool) -> str:
    """A metric's value: a share as per cent, anything else as a figure."""
    return percent(value) if share else figure(value)


def difference(value: float | None, share: bool) -> str:
    """A difference with its sign: of shares in percentage points, else in the metric's own
    units.
    """
    if value is None:
        return DASH
    return f"{value * 100:+.2f} pp" if share else f"{value:+,.4g}"


def bounds(interval: Interval | None, share: bool) -> str:
    """Both ends of an interval of differences."""
    return (
        DASH
        if interval is None
        else f"{difference(interval.low, share)} to {difference(interval.high, share)}"
    )


def confidence(value: float) -> str:
    """.95 → 95 %."""
    return f"{value * 100:.4g} %"


def days(begin: datetime | None, end: datetime | None) -> str:
    """How long it took, in days."""
    return (
        DASH
        if begin is None or end is None
        else counted(round((end - begin).total_seconds() / 86_400, 1), "day")
    )


def money(micro: float | None) -> str:
    """Millionths of the currency as the currency."""
    return DASH if micro is None else f"{micro / MICRO:,.4f}".rstrip("0").rstrip(".")


def words(value: str) -> str:
    """An enum value as words."""
    return value.replace("_", " ")


def sentence(text: str) -> str:
    """With a capital, unless it begins with somebody's key or name, and a full stop."""
    first = text.partition(" ")[0].rstrip(",;")
    text = text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
