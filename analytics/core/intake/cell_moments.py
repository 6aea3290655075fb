"""When a unit was exposed, as a file writes it: ISO 8601, a format that a person names, or Unix
time.

A date is its midnight. Without ``--time-zone`` dates are days of UTC, and a moment has to carry its
own zone: nobody guesses one. An hour that clocks repeat in autumn is the first of the two; one that
they leave out in spring is a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UNIX: Final = {"unix": 1.0, "unix-ms": 1000.0}
"""Formats that are a number, and how many of them a second has."""
_NUMBER = re.compile(r"[0-9]{1,16}(?:\.[0-9]{0,9})?")
_OF_A_DAY = re.compile(r"%[HIpMSfzZcXTs]")
"""Directives of a time of day: a format without them is one of dates."""
_PROBE = datetime(2031, 11, 23, 14, 0, tzinfo=UTC)
_LATEST: Final = 4_102_444_800
"""2100: what is later was written in another unit."""


@dataclass(frozen=True)
class MomentReader:
    """How a file writes moments: the zone of those without one of their own, and the format when it
    is not ISO 8601.
    """

    zone: ZoneInfo | None = None
    format: str | None = None

    def read(self, text: str) -> datetime:
        """The moment in UTC; ValueError says what is wrong, without the text itself."""
        if self.format in UNIX:
            return _unix(text, UNIX[self.format])
        found = self._found(text)
        if isinstance(found, datetime):
            return self._placed(found)
        return self._placed(datetime.combine(found, time(0), None if self.zone else UTC))

    def _found(self, text: str) -> date | datetime:
        if self.format is not None:
            return self._by_format(text, self.format)
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            wanted = "a date or an ISO 8601 moment such as 2026-01-31T12:00:00Z"
            raise ValueError(
                f"expected {wanted}; --date-format names another form, such as %d.%m.%Y"
            ) from None

    def _by_format(self, text: str, form: str) -> date | datetime:
        try:
            found = datetime.strptime(text, form)  # noqa: DTZ007  # the zone is placed afterwards
        except ValueError:
            raise ValueError(f"expected a moment in the form {form}") from None
        return found if _OF_A_DAY.search(form) else found.date()

    def _placed(self, moment: datetime) -> datetime:
        if moment.utcoffset() is not None:
            return moment.astimezone(UTC)
        if self.zone is None:
            raise ValueError(
                "the moment has no zone: --time-zone says which, or add Z or an offset such as +03:00 to it"
            )
        placed = moment.replace(tzinfo=self.zone).astimezone(UTC)
        if placed.astimezone(self.zone).replace(tzinfo=None) != moment:
            raise ValueError(
                f"clocks in {self.zone.key} never showed this time: another --time-zone, or a time in UTC, is meant"
            )
        return placed


ISO: Final = MomentReader()
"""ISO 8601, and nobody guesses a zone."""


def moment_reader(zone: str | None, form: str | None) -> MomentReader:
    """The reader that a person's words name; ValueError says which of them nobody knows."""
    if form is not None and form not in UNIX and not _keeps_years(form):
        raise ValueError(
            f"--date-format {form!r}: expected unix, unix-ms, or a form with a year such as %d.%m.%Y %H:%M"
        )
    if zone is None:
        return MomentReader(None, form)
    try:
        return MomentReader(ZoneInfo(zone), form)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"--time-zone {zone!r}: expected a name such as Europe/Berlin or UTC"
        ) from None


def _keeps_years(form: str) -> bool:
    """Whether what the form writes is read back with its year."""
    try:
        return datetime.strptime(_PROBE.strftime(form), form).year == _PROBE.year  # noqa: DTZ007  # a year has no zone
    except (ValueError, re.error):
        return False


def _unix(text: str, each_second: float) -> datetime:
    seconds = float(text) / each_second if _NUMBER.fullmatch(text) else -1.0
    if not 0 <= seconds < _LATEST:
        unit = "seconds" if each_second == 1 else "milliseconds"
        raise ValueError(f"expected a Unix time in {unit}, before the year 2100")
    return datetime.fromtimestamp(seconds, UTC)
