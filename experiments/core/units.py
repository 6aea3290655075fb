"""Units: who is randomised. A request carries a map from unit type to id; an experiment reads
one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from experiments.core.errors import Problem

VISITOR = "visitor"
"""The derived type: the user's id when present, else the session's."""
MAX_UNIT_ID = 256
MAX_EXACT = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly; as a unit's id it is its decimal
text.
"""
UNIT_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("id", "targetingKey", "userId", "user_id", "user"), "user"),
    **dict.fromkeys(("tenantId", "tenant_id", "tenant"), "tenant"),
    **dict.fromkeys(("sessionId", "session_id", "session"), "session"),
}
"""What conditions may call a unit. A name means the same unit at every door, whichever spelling the
door itself uses.
"""


class Unfit:
    """Stands for an id or attribute that was sent and cannot be used, and says why: it is present,
    and it equals nothing.
    """

    __slots__ = ("why",)

    def __init__(self, why: str = "") -> None:
        self.why = why

    def __repr__(self) -> str:
        return "unfit"


UNFIT = Unfit()
_TYPE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_FORBIDDEN = {
    "Cc": "a control character",
    "Cf": "an invisible (zero-width or direction) character",
    "Cs": "half of a surrogate pair",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


def unit_id(units: Mapping[str, str], unit_type: str) -> str | None:
    """The id that an experiment on this unit type hashes, or ``None`` when the request has none."""
    if unit_type == VISITOR:
        return units.get("user") or units.get("session") or None
    return units.get(unit_type) or None


def id_text(value: object) -> object:
    """A value as a unit's id: text as sent, an exact whole number as its decimal text; anything
    else as it is.
    """
    if isinstance(value, int) and not isinstance(value, bool) and -MAX_EXACT <= value <= MAX_EXACT:
        return str(value)
    return value


def unit_named(
    name: str, unit_type: str, units: Mapping[str, str], attributes: Mapping[str, object]
) -> str | Unfit | None:
    """What a condition finds under a unit's name: the request's unit, else the attribute of that
    name read as an id.

    ``None`` when there is neither. An id that cannot be used is unfit, so that no condition takes
    it for missing.
    """
    identity = units.get(unit_type)
    if identity:
        return identity
    found = id_text(attributes.get(name))
    if found is None or found == "":
        return None
    return found if isinstance(found, str) and check_unit_id(found) is None else UNFIT


def is_unit_type(name: str) -> bool:
    """Whether a name can be a unit type: a lower-case word of up to 32 characters."""
    return _TYPE_NAME.fullmatch(name) is not None


def check_unit_type(name: str, field: str = "unit_type") -> Problem | None:
    """What is wrong with a unit type's name, or ``None``."""
    if is_unit_type(name):
        return None
    return Problem(
        "unit_type_invalid",
        f"unit type {name[:64]!r}: expected a-z, then up to 31 of a-z, 0-9 and _",
        field,
    )


def check_unit_id(text: str, field: str = "unit") -> Problem | None:
    """What is wrong with a unit's id, or ``None``; a good id is kept exactly as sent.

    1 to 256 code points, none of them control, zero-width, direction marks or lone surrogates, and
    no white space of any kind at either end: two ids that look alike must not be two units.
    """
    if not text:
        return Problem(
            "unit_id_empty", "a unit's id is empty; leave the unit out when it is not known", field
        )
    if len(text) > MAX_UNIT_ID:
        return Problem(
            "unit_id_too_long",
            f"a unit's id has {len(text)} characters; at most {MAX_UNIT_ID} are kept",
            field,
        )
    if (
        " " not in text and text.isprintable()
    ):  # of printable characters only the space is white space
        return None
    return _forbidden_character(text, field) or _white_space(text, field)


def _white_space(text: str, field: str) -> Problem | None:
    """White space at an end. The id is not trimmed: a local SDK hashes it as it is, into another
    bucket.
    """
    if text.strip() == text:
        return None
    end, found = ("begins", text[0]) if text[0].isspace() else ("ends", text[-1])
    named = f"U+{ord(found):04X}, {unicodedata.name(found, 'white space').lower()}"
    message = f"a unit's id {end} with white space ({named}); send it without, at every place that sends it"
    return Problem("unit_id_white_space", message, field)


def _forbidden_character(text: str, field: str) -> Problem | None:
    for position, character in enumerate(text):
        found = _FORBIDDEN.get(unicodedata.category(character))
        if found is not None:
            message = f"a unit's id holds {found} (U+{ord(character):04X}) at position {position}"
            return Problem("unit_id_character", message, field)
    return None


def check_units(units: Mapping[str, str], field: str = "units") -> tuple[Problem, ...]:
    """Everything that is wrong with a map of units; empty when it can be used as it is."""
    found: list[Problem | None] = []
    for name, text in units.items():
        path = f"{field}.{name[:64]}"
        found.append(check_unit_type(name, path))
        found.append(check_unit_id(text, path))
        if name == VISITOR:
            found.append(
                Problem(
                    "unit_type_derived",
                    "visitor is taken from user and session; send one of these instead",
                    path,
                )
            )
    return tuple(problem for problem in found if problem is not None)
