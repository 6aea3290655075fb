"""How the pages write numbers, times and JSON. Loaded into templates as ``assay``."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

from django import template
from django.utils import timezone

from experiments.core import figures
from experiments.selectors import wording

register = template.Library()

TONES = {
    "draft": "",
    "dark_launch": "info",
    "running": "good",
    "paused": "warn",
    "completed": "info",
    "archived": "",
    "done": "good",
    "missing": "warn",
    "stale": "warn",
    "amber": "warn",
    "rejected": "bad",
    "not_needed": "",
    "safe": "good",
    "breach": "bad",
    "unknown": "",
    "promoted": "good",
    "stopped_harm": "bad",
    "worse": "bad",
    "promote": "good",
    "stop": "bad",
    "green": "good",
    "yellow": "warn",
    "red": "bad",
}
MARKS = {
    "done": "✓",
    "missing": "·",
    "stale": "↻",
    "amber": "!",
    "rejected": "✕",
    "not_needed": "–",
}
MARK_TONES = {"missing": ""}


@register.filter
def tone(word: str) -> str:
    """The colour class of a status, a state or a verdict; plain when it has none."""
    return TONES.get(str(word).lower(), "")


@register.filter
def mark(state: str) -> str:
    """The sign of a checklist state."""
    return MARKS.get(str(state), "·")


@register.filter
def words(value: Any) -> str:
    """A code as words: ``dark_launch`` → ``dark launch``."""
    return wording.words(value)


@register.filter
def sentence(text: str) -> str:
    """A message with a capital, unless it begins with somebody's key or name."""
    first = str(text).partition(" ")[0].rstrip(",;")
    return text[:1].upper() + text[1:] if first.isalpha() and first.islower() else str(text)


@register.filter
def thousandths(value: int | None) -> str:
    """Thousandths as per cent: 125 → 12.5 %."""
    return "–" if value is None else f"{value / 10:g} %"


@register.filter
def percent(value: float | None, digits: int = 2) -> str:
    """A share as per cent; a dash when there is nothing to say."""
    return figures.percent(value, digits)


@register.filter
def signed_percent(value: float | None, digits: int = 2) -> str:
    """A difference of shares, with its sign."""
    return "–" if value is None else f"{value * 100:+.{digits}f} %"


@register.filter
def difference(value: float | None, share: bool) -> str:
    """A difference of a metric: shares in percentage points, anything else in its own units."""
    return figures.difference(value, share)


@register.filter
def level(value: float | None, share: bool) -> str:
    """A metric's value: a share as per cent, anything else as a figure."""
    return percent(value) if share else figure(value)


@register.filter
def figure(value: float | None) -> str:
    """A number to four significant digits; from a thousand on whole, and grouped."""
    return figures.figure(value)


@register.filter
def usd(micros: int | None) -> str:
    """Micros as USD: 1250000 → 1.25 USD."""
    return "–" if micros is None else f"{micros / 1_000_000:,.2f} USD"


@register.filter
def money(micros: float | None) -> str:
    """A small sum in USD to four significant digits: what one unit or one outcome costs."""
    return "–" if micros is None else f"{micros / 1_000_000:,.4g} USD"


@register.filter
def signed(value: float | None) -> str:
    """A difference to four significant digits, with its sign; from a thousand on whole, and
    grouped.
    """
    return figures.signed(value)


@register.filter
def p_value(value: float | None) -> str:
    """A p-value as people read it; a dash when it cannot be said."""
    return figures.p_value(value)


@register.filter
def p_said(value: float | None) -> str:
    """The same in a sentence: "p = 0.0123", "p < 0.0001"."""
    return figures.p_said(value)


@register.filter
def web_address(text: str) -> bool:
    """Whether it may become a link; ``javascript:`` and the like stay text."""
    return str(text).lower().startswith(("https://", "http://"))


@register.filter
def compact(value: Any) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


@register.filter
def pretty(value: Any) -> str:
    """JSON over several lines."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


@register.filter
def ago(moment: datetime | None) -> str:
    """How long ago, in its largest unit; future moments say ``in``."""
    if moment is None:
        return "–"
    seconds = (timezone.now() - moment).total_seconds()
    size = abs(seconds)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if size >= length:
            count = int(size // length)
            text = figures.counted(count, unit)
            return f"{text} ago" if seconds >= 0 else f"in {text}"
    return "just now" if seconds >= 0 else "in a moment"


@register.filter
def counted(number: float, noun: str) -> str:
    """How many of something; the noun in the singular, or both forms with a comma between them."""
    one, _, many = noun.partition(",")
    return figures.counted(number, one, many)


@register.filter
def day(value: date | None) -> str:
    """A day as every page writes it."""
    return figures.day(value)


@register.filter
def moment(value: datetime | None) -> str:
    """A moment in UTC to the minute."""
    return figures.moment(value)


@register.filter
def exactly(value: float | None) -> str:
    """A number with the digits it takes to follow it by hand."""
    return "–" if value is None else f"{value:.10g}".replace("-", "−")
