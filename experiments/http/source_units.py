"""Units as the sources' quick starts send them: a user's id (often a number), a session's, a tenant's.

Everywhere else an id is text, since ``7`` and ``"7"`` must not be two units; only doors that repeat the
sources' own calls take a whole number, and keep it as its decimal text.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from experiments.core.errors import InvalidInput
from experiments.core.units import check_units

UnitId: TypeAlias = str | int


class SourceUnits(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who asks, or whom something happened to; ``units`` is the map that all other doors take."""

    user_id: UnitId | None = None
    session_id: UnitId | None = None
    tenant: UnitId | None = None
    units: dict[str, UnitId] = {}

    def as_units(self) -> dict[str, str]:
        """The map of units; refuses an empty one, and ids that cannot be kept."""
        named = {"user": self.user_id, "session": self.session_id, "tenant": self.tenant}
        found = {name: str(sent) for sent_as in (self.units, named) for name, sent in sent_as.items() if sent is not None}
        if not found:
            raise InvalidInput("send user_id, session_id or tenant: nobody is named", "user_id", code="unit_missing")
        problems = check_units(found)
        if problems:
            raise InvalidInput(problems[0].message, problems[0].field, problems, code=problems[0].code)
        return found
