"""Exclusions: who is never part of an experiment (staff, key clients), decided before any
hashing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from experiments.core.targeting.predicates import (
    Attributes,
    Condition,
    Predicate,
    Segments,
    compile_conditions,
)
from experiments.core.units import unit_id


@dataclass(frozen=True)
class ExclusionList:
    """A named list: ids by unit type, and rules of which any one suffices (a rule's conditions all
    hold).

    A rule that says ``ne`` or ``not_in`` also meets requests without the attribute; add ``exists``
    where these should stay in.
    """

    key: str
    ids: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rules: tuple[tuple[Condition, ...], ...] = ()


@dataclass(frozen=True)
class Exclusions:
    """All global lists, compiled: one look-up per unit type and one pass over the rules."""

    lists: tuple[ExclusionList, ...] = ()
    segments: Segments = field(default_factory=dict, compare=False, repr=False)
    _by_id: Mapping[str, Mapping[str, str]] = field(init=False, compare=False, repr=False)
    _rules: tuple[tuple[str, Predicate], ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", _index(self.lists))
        object.__setattr__(self, "_rules", _compiled(self.lists, self.segments))

    def excluded_by(self, units: Mapping[str, str], attributes: Attributes) -> str | None:
        """The key of the first list that names any of the request's units or matches its
        attributes.
        """
        for unit_type, owners in self._by_id.items():
            identity = unit_id(units, unit_type)
            if identity is not None and identity in owners:
                return owners[identity]
        return next((key for key, matches in self._rules if matches(units, attributes)), None)


def _index(lists: Sequence[ExclusionList]) -> dict[str, dict[str, str]]:
    index: dict[str, dict[str, str]] = {}
    for entry in lists:
        for unit_type, ids in entry.ids.items():
            owners = index.setdefault(unit_type, {})
            owners.update({identity: entry.key for identity in ids if identity not in owners})
    return index


def _compiled(
    lists: Sequence[ExclusionList], segments: Segments
) -> tuple[tuple[str, Predicate], ...]:
    # A rule without conditions would exclude everyone; nobody means that by an empty form.
    return tuple(
        (entry.key, compile_conditions(rule, segments))
        for entry in lists
        for rule in entry.rules
        if rule
    )
