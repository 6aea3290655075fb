"""How sentences write differences, shares and moments: the one spelling for pages, messages and
answers.
"""

from __future__ import annotations

from datetime import date, datetime

DASH = "–"
SMALLEST_P = 1e-300
"""No p is given as less: below, a float would be 0, and a p of 0 would be proof."""
THOUSAND = 1000


def percent(value: float | None, digits: int = 2) -> str:
    """A share as per cent; a dash when there is nothing to say."""
    return DASH if value is None else f"{value * 100:.{digits}f} %"


def signed(value: float | None) -> str:
    """A difference to four significant digits with its sign; whole and grouped from a thousand
    on.
    """
    if value is None:
        return DASH
    return f"{value:+,.0f}" if THOUSAND <= abs(value) < 1e15 else f"{value:+,.4g}"


UNITS = {
    "USD micros": ("USD", 1_000_000),
    "USD": ("USD", 1),
    "ms": ("ms", 1),
    "seconds": ("seconds", 1),
    "hours": ("hours", 1),
    "MB": ("MB", 1),
    "tokens": ("tokens", 1),
}
"""Beginnings of a metric's scale: the unit that people read, and how many of the stored unit make
it.
"""


def difference(value: float | None, share: bool, scale: str = "") -> str:
    """A difference of a metric: shares in percentage points, anything else with its scale's
    unit.
    """
    if value is None:
        return DASH
    if share:
        return f"{value * 100:+.2f} pp"
    unit, size = unit_of(scale)
    return f"{signed(value / size)} {unit}".rstrip()


def unit_of(scale: str) -> tuple[str, int]:
    """The unit that people read and its size in the stored one: ``("USD", 1000000)``; ``("", 1)``
    without one.
    """
    plain = scale.partition(",")[0].partition(" per ")[0].strip()
    return UNITS.get(plain, ("", 1))


def figure(value: float | None) -> str:
    """A number to four significant digits; whole and grouped from a thousand on."""
    if value is None:
        return DASH
    whole = (float(value).is_integer() or abs(value) >= THOUSAND) and abs(value) < 1e15
    return f"{value:,.0f}" if whole else f"{value:,.4g}"


def counted(number: float, noun: str, plural: str = "") -> str:
    """How many of something: ``1 unit``, ``2,000 units``; ``plural`` where it is not the noun with
    an s.
    """
    written = f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"
    return f"{written} {noun if written == '1' else plural or noun + 's'}"


def day(value: date | None) -> str:
    """A day, as ``moment`` begins."""
    return DASH if value is None else f"{value:%d %b %Y}"


def moment(value: datetime | None) -> str:
    """A moment in UTC to the minute."""
    return DASH if value is None else f"{value:%d %b %Y, %H:%M} UTC"


def listed(names: list[str] | tuple[str, ...], most: int = 3) -> str:
    """Names as a person lists them: ``A, B and C``; beyond ``most`` the others are counted."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    *front, last = names or ("",)
    return f"{', '.join(front)} and {last}" if front else last


def positive_p(p: float) -> float:
    """A p as a number: never below 1e-300, so that it is 0 nowhere."""
    return max(p, SMALLEST_P)


def p_value(p: float | None) -> str:
    """A p in a table: four digits, a dash when it cannot be said."""
    if p is None:
        return DASH
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def p_is(p: float) -> str:
    """A p in a sentence: "p = 0.012", "p = 1.5e-14", "p < 1e-300"."""
    return "p < 1e-300" if p <= SMALLEST_P else f"p = {p:.2g}"


def p_is_short(p: float) -> str:
    """A p as commands print it: "p = .012", "p = 1.1e-08"."""
    return p_is(p) if p <= SMALLEST_P else f"p = {p_short(p)}"


def p_short(p: float) -> str:
    """Its number alone: ".012", "1.1e-08", "< 1e-300"."""
    if p <= SMALLEST_P:
        return "< 1e-300"
    return f"{p:.2g}".removeprefix("0") if p >= 1e-4 else f"{p:.1e}"


def p_said(p: float | None) -> str:
    """A p of a table in a sentence: "p = 0.0123", "p < 0.0001"."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
