"""Which attributes client payloads may compare: only those that somebody declared public, by name.

A payload that browsers evaluate shows every value that its conditions compare. A hash would hide
nothing, since its salt stands in the same browser and a dictionary of e-mail addresses is short. So
a flag that compares anything else is remote-only for client keys. A unit's id can never be
declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from experiments.core.errors import InvalidInput, Refused
from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.entities import ServedFlag
from experiments.core.targeting.conditions import ATTRIBUTE, Condition
from experiments.core.units import UNIT_NAMES

_PERSONAL = frozenset(
    {
        *(
            "address",
            "birthdate",
            "birthday",
            "dateofbirth",
            "deviceid",
            "email",
            "emailaddress",
            "firstname",
            "fullname",
            "ip",
        ),
        *(
            "ipaddress",
            "lastname",
            "login",
            "mail",
            "mobile",
            "name",
            "phone",
            "phonenumber",
            "postalcode",
            "ssn",
            "surname",
        ),
        *("username", "zip"),
    }
)
"""What names a person by itself, without regard to case, dots, dashes and underscores."""


def refuse_unless_publishable(name: str) -> None:
    """Refuse names that are no attribute's, units' ids, and what says by its name that it
    identifies a person.
    """
    if ATTRIBUTE.fullmatch(name) is None:
        message = f"attribute {name[:64]!r}: expected up to 64 letters, digits and _ . - starting with a letter or _"
        raise InvalidInput(message, "name")
    if name in UNIT_NAMES:
        raise Refused(
            f"attribute {name}: it is the id of a {UNIT_NAMES[name]}, and ids are never public",
            field="name",
        )
    if re.sub(r"[._-]", "", name).lower() in _PERSONAL:
        raise Refused(
            f"attribute {name}: it identifies a person; target a segment or another attribute instead",
            field="name",
        )


@dataclass(frozen=True)
class ComparedValue:
    """A value that becomes readable for every holder of a client key once its attribute is
    public.
    """

    attribute: str
    flag: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.attribute}: {', '.join(self.values) or 'that it is compared at all'} (flag {self.flag})"


def still_private(catalogue: Catalogue) -> list[ComparedValue]:
    """What flags visible to clients compare and client payloads do not show, by attribute and
    flag.
    """
    found = [
        compared
        for flag in catalogue.flags.values()
        if flag.client_visible
        for compared in _of_flag(catalogue, flag)
    ]
    return sorted(found, key=lambda compared: (compared.attribute, compared.flag))


def _of_flag(catalogue: Catalogue, flag: ServedFlag) -> Iterator[ComparedValue]:
    values: dict[str, set[str]] = {}
    for condition in _conditions(catalogue, flag):
        if (
            condition.attribute
            and condition.attribute not in UNIT_NAMES
            and condition.attribute not in catalogue.public_attributes
        ):
            compared = condition.value if isinstance(condition.value, tuple) else (condition.value,)
            values.setdefault(condition.attribute, set()).update(
                str(value) for value in compared if value is not None
            )
    yield from (
        ComparedValue(attribute, flag.key, tuple(sorted(those)))
        for attribute, those in values.items()
    )


def _conditions(catalogue: Catalogue, flag: ServedFlag) -> Iterator[Condition]:
    """Every condition of the flag's rules, with the rules of the segments that they name."""
    targetings = [experiment.targeting for experiment in flag.experiments()]
    if flag.rollout is not None:
        targetings.append(flag.rollout.audience.targeting)
    rules = (
        [*targetings, *(rule for listed in catalogue.exclusions.lists for rule in listed.rules)]
        if targetings
        else []
    )
    for condition in _flat(rules):
        yield condition
        segment = catalogue.segments.get(str(condition.value)) if not condition.attribute else None
        yield from () if segment is None else _flat(segment.rules)


def _flat(rules: Iterable[Iterable[Condition]]) -> Iterator[Condition]:
    return (condition for rule in rules for condition in rule)
