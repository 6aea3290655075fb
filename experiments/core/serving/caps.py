"""How many rows a sender may have stored in an hour, counted in this process's memory."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

HOUR = 3600.0
_MOST_COUNTED = 200_000
"""Units counted one by one; above that only the addresses' cap holds, so that invented ids do not
fill the memory.
"""


@dataclass
class HourlyCaps:
    """Counts of the present hour. A count of a unit belongs to a key; a count of an address to
    everybody behind it.
    """

    per_unit: int
    per_address: int
    _hour: int = -1
    _units: Counter[tuple[int, str]] = field(default_factory=Counter)
    _addresses: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, key: int, unit: str, address: str, seconds: float) -> bool:
        """Count one row, at a moment in seconds since 1970; false when it is above a cap."""
        with self._lock:
            self._turn(int(seconds // HOUR))
            if (
                self._addresses[address] >= self.per_address
                or self._units[key, unit] >= self.per_unit
            ):
                return False
            self._addresses[address] += 1
            if len(self._units) < _MOST_COUNTED or (key, unit) in self._units:
                self._units[key, unit] += 1
            return True

    def _turn(self, hour: int) -> None:
        if hour != self._hour:
            self._hour = hour
            self._units.clear()
            self._addresses.clear()
