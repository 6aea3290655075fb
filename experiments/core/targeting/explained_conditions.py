"""Conditions beside what they met: the attribute's value, the segment's membership, the list's
rule.
"""

from __future__ import annotations

from collections.abc import Mapping

from experiments.core.serving.explanation import Detail
from experiments.core.targeting.exclusions import ExclusionList
from experiments.core.targeting.predicates import (
    Attributes,
    Condition,
    Segments,
    Units,
    compile_conditions,
    found_by,
)
from experiments.core.types import JSON
from experiments.core.units import Unfit, unit_id

MAX_SHOWN = 256
"""Characters of an attribute's value that are repeated."""


def how_excluded(
    listed: ExclusionList, units: Units, attributes: Attributes, segments: Segments
) -> str:
    """Whether a list met the request by an id, or by which of its rules."""
    by_id = next(
        (unit_type for unit_type, ids in listed.ids.items() if unit_id(units, unit_type) in ids),
        None,
    )
    if by_id is not None:
        return f"the id of its {by_id}"
    rules = (
        number
        for number, rule in enumerate(listed.rules, 1)
        if rule and compile_conditions(rule, segments)(units, attributes)
    )
    return f"rule {next(rules)}"


def condition_row(
    condition: Condition, units: Units, attributes: Attributes, segments: Segments
) -> Detail:
    """A condition with what was found: the attribute's value, or how the request is in the
    segment.
    """
    holds = compile_conditions((condition,), segments)(units, attributes)
    if not condition.attribute:
        return {
            **condition.as_json(),
            "found": _membership(str(condition.value), units, attributes, segments),
            "holds": holds,
        }
    return {
        **condition.as_json(),
        "found": _shown(found_by(condition, units, attributes)),
        "holds": holds,
    }


def _membership(key: str, units: Units, attributes: Attributes, segments: Segments) -> str:
    segment = segments[key]
    listed = segment.listed_as(units)
    if listed is not None:
        return f"inside, by the id of its {listed}"
    rules = (
        number
        for number, rule in enumerate(segment.rules, 1)
        if rule and compile_conditions(rule)(units, attributes)
    )
    rule = next(rules, None)
    return "outside" if rule is None else f"inside, by rule {rule}"


def why_not(row: Mapping[str, JSON]) -> str:
    """A condition that does not hold, as a sentence."""
    wanted = f"{row['op']} {row['value']!r}" if "value" in row else f"{row['op']}"
    if "attribute" not in row:
        return f"wanted {wanted}, found {row['found']}"
    found = "is missing" if row["found"] is None else f"is {row['found']!r}"
    return f"{row['attribute']} {found}; wanted {wanted}"


def _shown(value: object) -> JSON:
    if isinstance(value, str):
        return value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}…"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Unfit):
        return "an id or value that cannot be used"
    return "a list" if isinstance(value, list | tuple) else "an object"
