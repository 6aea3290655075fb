"""The id that a row of events carries for a unit type, as SQL; the expression of the stores, for
queries written by hand.
"""

from __future__ import annotations

_OWN = "CASE WHEN {row}.unit_type = %(unit)s THEN {row}.user_id ELSE {row}.units ->> %(unit)s END"
_USER = "CASE WHEN {row}.unit_type = 'user' THEN {row}.user_id ELSE {row}.units ->> 'user' END"
_VISITOR = f"COALESCE({_OWN}, {_USER}, {{row}}.units ->> 'session')"


def unit_of(row: str, unit_type: str) -> str:
    """SQL for the unit of a table's alias; the query names the unit type ``%(unit)s``. A visitor is
    the user, else the session.
    """
    return (_VISITOR if unit_type == "visitor" else _OWN).format(row=row)
