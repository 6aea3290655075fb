"""Units as the sources' quick starts send them: a user's id (often a number), a session's, a
tenant's.

A whole number is its decimal text, as at every door: ``7`` and ``"7"`` are one unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from experiments.core.errors import InvalidInput
from experiments.core.serving.asking import Asked, asked

UnitId: TypeAlias = Any  # text or a whole number; whatever else is sent makes that unit unfit


class SourceUnits(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who asks, or whom something happened to; ``units`` is the map that all other doors take."""

    user_id: UnitId | None = None
    session_id: UnitId | None = None
    tenant: UnitId | None = None
    units: dict[str, UnitId] = {}

    def asked(self, attributes: Mapping[str, object] | None = None) -> Asked:
        """The units that can be used; refuses a call that names nobody, and one whose every unit is
        unfit.
        """
        named = {"user": self.user_id, "session": self.session_id, "tenant": self.tenant}
        found = {
            name: sent
            for sent_as in (self.units, named)
            for name, sent in sent_as.items()
            if sent is not None
        }
        if not found:
            raise InvalidInput(
                "send user_id, session_id or tenant: nobody is named",
                "user_id",
                code="unit_missing",
            )
        about = asked(found, attributes or {})
        about.refuse_nobody()
        return about
