"""Targeting: a rule's conditions compiled once into a predicate over a request's units and
attributes.

All conditions of a rule must hold. What a condition says of an attribute:

- **missing** (absent or null): ``ne``, ``not_in`` and ``not_exists`` hold, everything else does
  not;
- **of another type** than the condition's value: only ``exists`` can hold (so ``ne "5"`` does not
  hold for the number 5);
- types are boolean, number and string: a boolean is not a number, 1 and 1.0 are the same number,
  text is compared exactly, upper and lower case apart. There are no regular expressions;
- ``semver_…`` compare by the precedence of SemVer 2.0 (``semver``); ``v2.1.0`` is 2.1.0, and
  ``2.1`` is 2.1.0 too. An attribute that is no version (text of another form, a number) holds for
  none of them;
- **names of units** (``UNIT_NAMES``: ``id``, ``targetingKey``, ``userId``, ``tenantId``, …) mean
  the unit that the request asks for, at every door alike, and the attribute of that name only when
  the request has no such unit. Ids are text: a whole number in a condition or an attribute is its
  decimal text. An id that cannot be used is not missing: only ``exists`` holds for it;
- ``in_segment`` and ``not_in_segment`` ask about the request as a whole, so nothing can be missing:
  one is always the opposite of the other. Inside a segment's rules all of the above counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from experiments.core.errors import InvalidInput
from experiments.core.targeting.conditions import (
    HOLD_WHEN_MISSING,
    PRESENCE_OPS,
    SEGMENT_OPS,
    SEMVER_OPS,
    TEXT_OPS,
    Condition,
    Op,
    Scalar,
    conditions_json,
    kind_of,
    parse_conditions,
    segments_named,
)
from experiments.core.targeting.semver import Precedence, precedence
from experiments.core.units import UNIT_NAMES, id_text, unit_id, unit_named

__all__ = [
    "Attributes", "Condition", "Op", "Predicate", "Scalar", "Segment", "Segments", "Units", "about_ids", "compile_conditions",
    "conditions_json", "first_look", "found_by", "kind_of", "parse_conditions", "segments_named",
]  # fmt: skip

Units: TypeAlias = Mapping[str, str]
Attributes: TypeAlias = Mapping[str, object]
Predicate: TypeAlias = Callable[[Units, Attributes], bool]
_Check: TypeAlias = Callable[[object], bool]


@dataclass(frozen=True)
class Segment:
    """A named audience: ids by unit type, and rules of which any one suffices (a rule's conditions
    all hold).

    Its rules name no segments. One without ids and rules holds nobody.
    """

    key: str
    ids: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rules: tuple[tuple[Condition, ...], ...] = ()
    _rules: tuple[Predicate, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if any(segments_named(rule) for rule in self.rules):
            raise InvalidInput(
                f"segment {self.key}: its rules name another segment; write that one's conditions here instead",
                "rules",
            )
        object.__setattr__(
            self, "_rules", tuple(compile_conditions(rule) for rule in self.rules if rule)
        )

    def holds(self, units: Units, attributes: Attributes) -> bool:
        """Whether the request belongs to it."""
        return self.listed_as(units) is not None or any(
            matches(units, attributes) for matches in self._rules
        )

    def listed_as(self, units: Units) -> str | None:
        """The first unit type under which one of the request's ids is on the list."""
        return next(
            (unit_type for unit_type, ids in self.ids.items() if unit_id(units, unit_type) in ids),
            None,
        )


Segments: TypeAlias = Mapping[str, Segment]


def compile_conditions(
    conditions: Sequence[Condition], segments: Segments | None = None
) -> Predicate:
    """One predicate for a whole rule; it never raises, whatever the attributes hold.

    Refuses conditions on a segment that is not among ``segments``.
    """
    checks = tuple(_compiled(condition, segments or {}) for condition in conditions)
    if len(checks) == 1:
        return checks[0]

    def holds(units: Units, attributes: Attributes) -> bool:
        for check in checks:  # noqa: SIM110  (all() with a generator takes twice as long)
            if not check(units, attributes):
                return False
        return True

    return holds


_NEVER = object()


def first_look(conditions: Sequence[Condition]) -> tuple[str, object]:
    """An attribute and a value: when a request's attribute has this value, the rule holds.

    The predicate decides when it has another value. This answers the two most frequent rules with
    one comparison: no condition at all (no attribute is called ``""``), and one text that must be
    equal.
    """
    if not conditions:
        return "", None
    first = conditions[0]
    plain = (
        len(conditions) == 1
        and first.op is Op.EQ
        and isinstance(first.value, str)
        and first.attribute not in UNIT_NAMES
    )
    return (first.attribute, first.value) if plain else ("", _NEVER)


def _compiled(condition: Condition, segments: Segments) -> Predicate:
    attribute, op, value = condition.attribute, condition.op, condition.value
    if op in SEGMENT_OPS:
        return _membership(op, str(value), segments)
    if attribute in UNIT_NAMES:
        return _unit_condition(about_ids(condition))
    if op is Op.EQ and isinstance(value, str):
        return lambda units, attributes: (
            attributes.get(attribute) == value
        )  # nothing but the same text equals a text
    check, when_missing = _compile_check(condition), op in HOLD_WHEN_MISSING

    def holds(units: Units, attributes: Attributes) -> bool:
        found = attributes.get(attribute)
        return when_missing if found is None else check(found)

    return holds


def found_by(condition: Condition, units: Units, attributes: Attributes) -> object:
    """What the condition looks at: a unit of the request, or one of its attributes."""
    unit_type = UNIT_NAMES.get(condition.attribute)
    if unit_type is None:
        return attributes.get(condition.attribute)
    return unit_named(condition.attribute, unit_type, units, attributes)


def about_ids(condition: Condition) -> Condition:
    """A condition on a unit's name with its values as ids."""
    value = condition.value
    ids = tuple(map(id_text, value)) if isinstance(value, tuple) else id_text(value)
    return replace(condition, value=cast("Scalar | tuple[Scalar, ...] | None", ids))


def _unit_condition(condition: Condition) -> Predicate:
    name, unit_type = condition.attribute, UNIT_NAMES[condition.attribute]
    check, when_missing = _compile_check(condition), condition.op in HOLD_WHEN_MISSING

    def holds(units: Units, attributes: Attributes) -> bool:
        found = unit_named(name, unit_type, units, attributes)
        return when_missing if found is None else check(found)

    return holds


def _membership(op: Op, key: str, segments: Segments) -> Predicate:
    segment = segments.get(key)
    if segment is None:
        raise InvalidInput(f"segment {key!r}: there is none of this key", "segments")
    if op is Op.IN_SEGMENT:
        return segment.holds
    return lambda units, attributes: not segment.holds(units, attributes)


def _compile_check(condition: Condition) -> _Check:
    """The check of a present attribute."""
    op, value = condition.op, condition.value
    if op in PRESENCE_OPS:
        return lambda _found: op is Op.EXISTS
    if isinstance(value, tuple):
        return _list_check(op, frozenset(value), kind_of(value[0]))
    if op in TEXT_OPS and isinstance(value, str):
        return _text_check(op, value)
    wanted = precedence(value) if op in SEMVER_OPS else None
    return _comparison(op, value) if wanted is None else _version_check(op, wanted)


def _list_check(op: Op, values: frozenset[Scalar], kind: str | None) -> _Check:
    if op is Op.IN:
        return lambda found: kind_of(found) == kind and found in values
    return lambda found: kind_of(found) == kind and found not in values


def _text_check(op: Op, text: str) -> _Check:
    if op is Op.CONTAINS:
        return lambda found: isinstance(found, str) and text in found
    return lambda found: isinstance(found, str) and found.startswith(text)


def _version_check(op: Op, wanted: Precedence) -> _Check:
    compare = _COMPARISONS[Op(op.value.removeprefix("semver_"))]

    def holds(found: object) -> bool:
        version = precedence(found)
        return version is not None and compare(version, wanted)

    return holds


def _comparison(op: Op, value: object) -> _Check:
    kind = kind_of(value)
    compare = _COMPARISONS[op]
    return lambda found: kind_of(found) == kind and compare(found, value)


# Both sides are of one kind when these run, and the ordered four only ever meet numbers or
# versions.
_COMPARISONS: Mapping[Op, Callable[[object, object], bool]] = {
    Op.EQ: lambda found, value: found == value,
    Op.NE: lambda found, value: found != value,
    Op.GT: lambda found, value: found > value,  # type: ignore[operator]  # of one ordered kind
    Op.GTE: lambda found, value: found >= value,  # type: ignore[operator]  # of one ordered kind
    Op.LT: lambda found, value: found < value,  # type: ignore[operator]  # of one ordered kind
    Op.LTE: lambda found, value: found <= value,  # type: ignore[operator]  # of one ordered kind
}
