"""What a request asks for: the units and attributes that can be used, and what is wrong with the
rest.

One unfit unit or attribute makes unanswerable only what needs it. An unfit unit is missing to
experiments that hash it; a condition on it, or on an unfit attribute, finds something that equals
nothing, so it does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from experiments.core.errors import InvalidInput, Problem
from experiments.core.units import (
    UNFIT,
    UNIT_NAMES,
    VISITOR,
    Unfit,
    check_unit_id,
    check_unit_type,
    id_text,
)


class Asked(NamedTuple):
    """``problems`` name every unit and attribute that was sent and is not used."""

    units: dict[str, str]
    attributes: Mapping[str, object]
    problems: tuple[Problem, ...] = ()

    def refuse_nobody(self) -> None:
        """Refuse a request whose every unit is unfit: there is nobody to answer for."""
        if self.problems and not self.units:
            raise InvalidInput(
                self.problems[0].message,
                self.problems[0].field,
                self.problems,
                code=self.problems[0].code,
            )

    def unfit(self) -> str:
        """What is not used, as a sentence; empty when all is."""
        return "; ".join(f"{problem.field}: {problem.message}" for problem in self.problems)


def asked(
    sent: Mapping[str, object],
    attributes: Mapping[str, object],
    *,
    field: str = "units",
    fields: Mapping[str, str] | None = None,
) -> Asked:
    """A request's units, each read by itself; ``fields`` says where a unit type's id was sent, if
    not under ``field``.
    """
    units: dict[str, str] = {}
    problems: list[Problem] = []
    for unit_type, value in sent.items():
        if type(value) is str and unit_type in _USUAL and check_unit_id(value) is None:
            units[unit_type] = value
            continue
        path = f"{field}.{unit_type[:64]}" if fields is None else fields[unit_type]
        found = _read(unit_type, value, path)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            units[unit_type] = found
    broken = [name for name, value in attributes.items() if type(value) is Unfit]
    if not problems and not broken:
        return Asked(units, attributes)
    unfit = sent.keys() - units.keys()
    marked = {name: UNFIT for name, unit_type in UNIT_NAMES.items() if unit_type in unfit}
    return Asked(units, {**attributes, **marked}, (*problems, *_about(attributes, broken)))


_USUAL = frozenset({"user", "tenant", "session"})


def _read(unit_type: str, value: object, path: str) -> str | Problem:
    text = id_text(value)
    if isinstance(text, Unfit):
        return Problem("unit_id_type", text.why or "a unit's id that cannot be used", path)
    if not isinstance(text, str):
        return Problem(
            "unit_id_type",
            f"a unit's id is text or a whole number up to 2^53 - 1; found {_shown(value)}",
            path,
        )
    if unit_type == VISITOR:
        return Problem(
            "unit_type_derived",
            "visitor is taken from user and session; send one of these instead",
            path,
        )
    return check_unit_type(unit_type, path) or check_unit_id(text, path) or text


def _about(attributes: Mapping[str, object], broken: list[str]) -> Iterator[Problem]:
    for name in broken:
        value = attributes[name]
        yield Problem(
            "attribute_unfit",
            value.why if isinstance(value, Unfit) else "",
            f"attributes.{name[:64]}",
        )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    names = {dict: "an object", list: "a list", type(None): "nothing"}
    return names.get(
        type(value),
        f"the number {value}" if isinstance(value, int | float) else f"a {type(value).__name__}",
    )
