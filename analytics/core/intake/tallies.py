"""Under which names items are counted that were not stored as they were sent."""

from __future__ import annotations

from typing import Final

IGNORED: Final = "ignored"
"""Messages that are of no kind that is kept: a feature was read, a page was seen."""
OVER_CAP: Final = "over_cap"
"""Exposures of client keys beyond an hour's cap: not stored."""
OTHER_ARM: Final = "other_arm"
"""Exposures of client keys that state another variant: stored with the one of the unit's bucket."""
UNREGISTERED: Final = "unregistered"
"""Observations that were stored and whose name has no metric, since the bounds are reached."""
