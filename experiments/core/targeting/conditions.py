"""Conditions on a request, as data: their operators, their JSON, and what is refused in it.

What a condition holds for is said in ``targeting``, which compiles it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from experiments.core.errors import InvalidInput
from experiments.core.targeting.semver import full, precedence
from experiments.core.types import JSON

Scalar: TypeAlias = bool | int | float | str

MAX_CONDITIONS = 50
MAX_VALUES = 1000
MAX_TEXT = 1024
ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
"""How an attribute may be called."""
SEGMENT_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
"""How a segment may be called."""


class Op(StrEnum):
    EQ = "eq"
    NE = "ne"
    IN = "in"
    NOT_IN = "not_in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    SEMVER_EQ = "semver_eq"
    SEMVER_GT = "semver_gt"
    SEMVER_GTE = "semver_gte"
    SEMVER_LT = "semver_lt"
    SEMVER_LTE = "semver_lte"
    EXISTS = "exists"
    NOT_EXISTS = "not_exists"
    IN_SEGMENT = "in_segment"
    NOT_IN_SEGMENT = "not_in_segment"


LIST_OPS = frozenset({Op.IN, Op.NOT_IN})
NUMBER_OPS = frozenset({Op.GT, Op.GTE, Op.LT, Op.LTE})
TEXT_OPS = frozenset({Op.CONTAINS, Op.STARTS_WITH})
SEMVER_OPS = frozenset({Op.SEMVER_EQ, Op.SEMVER_GT, Op.SEMVER_GTE, Op.SEMVER_LT, Op.SEMVER_LTE})
PRESENCE_OPS = frozenset({Op.EXISTS, Op.NOT_EXISTS})
SEGMENT_OPS = frozenset({Op.IN_SEGMENT, Op.NOT_IN_SEGMENT})
SEGMENT_WORDS = tuple(op.value for op in (Op.IN_SEGMENT, Op.NOT_IN_SEGMENT))
HOLD_WHEN_MISSING = frozenset({Op.NE, Op.NOT_IN, Op.NOT_EXISTS})


@dataclass(frozen=True)
class Condition:
    """One comparison of one attribute; ``value`` is a tuple for list operators, ``None`` for
    presence.

    A segment's condition has no attribute (an empty one) and the segment's key as its value.
    """

    attribute: str
    op: Op
    value: Scalar | tuple[Scalar, ...] | None = None

    def as_json(self) -> dict[str, JSON]:
        """The form that ``parse_conditions`` reads back."""
        document: dict[str, JSON] = {"attribute": self.attribute} if self.attribute else {}
        document["op"] = self.op.value
        if self.value is not None:
            document["value"] = list(self.value) if isinstance(self.value, tuple) else self.value
        return document


def parse_conditions(document: object, path: str = "targeting") -> tuple[Condition, ...]:
    """Conditions from their JSON, a list of ``{attribute, op, value}``; ``None`` means no
    condition.
    """
    if document is None:
        return ()
    if not isinstance(document, list):
        raise InvalidInput(f"{path}: expected a list of conditions, found {_named(document)}", path)
    if len(document) > MAX_CONDITIONS:
        raise InvalidInput(
            f"{path}: {len(document)} conditions; at most {MAX_CONDITIONS} are allowed", path
        )
    return tuple(
        _parse_condition(entry, f"{path}[{index}]") for index, entry in enumerate(document)
    )


def conditions_json(conditions: Sequence[Condition]) -> list[JSON]:
    """The JSON of a rule, in its own order."""
    return [condition.as_json() for condition in conditions]


def with_full_versions(document: JSON) -> JSON:
    """A rule's JSON with ``v2.1`` as ``2.1.0``, so that every reader of the catalogue knows the
    version; ill-formed parts stay.
    """
    return (
        [_with_full_version(entry) for entry in document]
        if isinstance(document, list)
        else document
    )


def _with_full_version(entry: JSON) -> JSON:
    value = (
        entry.get("value") if isinstance(entry, dict) and entry.get("op") in SEMVER_OPS else None
    )
    if not isinstance(entry, dict) or not isinstance(value, str) or precedence(value) is None:
        return entry
    return {**entry, "value": full(value)}


def segments_named(conditions: Iterable[Condition]) -> frozenset[str]:
    """The keys of the segments that these conditions ask about."""
    return frozenset(
        str(condition.value) for condition in conditions if condition.op in SEGMENT_OPS
    )


def segments_in(rule: object) -> frozenset[str]:
    """The keys of the segments that a rule's JSON names, well-formed or not."""
    entries = [entry for entry in rule if isinstance(entry, dict)] if isinstance(rule, list) else []
    return frozenset(
        entry["value"]
        for entry in entries
        if entry.get("op") in SEGMENT_WORDS and isinstance(entry.get("value"), str)
    )


def _parse_condition(entry: object, path: str) -> Condition:
    if not isinstance(entry, dict):
        raise InvalidInput(
            f"{path}: expected an object with attribute, op and value, found {_named(entry)}", path
        )
    unknown = sorted(str(key) for key in entry.keys() - {"attribute", "op", "value"})
    if unknown:
        raise InvalidInput(
            f"{path}: unknown key {unknown[0][:64]!r}; a condition has attribute, op and value",
            path,
        )
    op = _parse_op(entry.get("op"), f"{path}.op")
    attribute = _parse_attribute(op, entry.get("attribute"), f"{path}.attribute")
    return Condition(attribute, op, _parse_value(op, entry.get("value"), f"{path}.value"))


def _parse_op(name: object, path: str) -> Op:
    found = next((op for op in Op if op.value == name), None)
    if found is None:
        raise InvalidInput(
            f"{path}: unknown operator {str(name)[:64]!r}; known are {', '.join(Op)}", path
        )
    return found


def _parse_attribute(op: Op, name: object, path: str) -> str:
    if op in SEGMENT_OPS:
        if name not in (None, ""):
            raise InvalidInput(
                f"{path}: {op} asks about the whole request and takes no attribute, found {str(name)[:64]!r}",
                path,
            )
        return ""
    if not isinstance(name, str) or ATTRIBUTE.fullmatch(name) is None:
        message = f"{path}: expected up to 64 letters, digits and _ . - starting with a letter or _, found {str(name)[:64]!r}"
        raise InvalidInput(message, path)
    return name


def _parse_value(op: Op, value: object, path: str) -> Scalar | tuple[Scalar, ...] | None:
    if op in PRESENCE_OPS:
        _refuse_value(op, value, path)
        return None
    if op in LIST_OPS:
        return _parse_list(op, value, path)
    if op in NUMBER_OPS:
        return _parse_scalar(value, path, wanted="number")
    if op in TEXT_OPS:
        return _parse_scalar(value, path, wanted="string")
    if op in SEMVER_OPS:
        return _parse_version(value, path)
    return _parse_segment(value, path) if op in SEGMENT_OPS else _parse_scalar(value, path)


def _refuse_value(op: Op, value: object, path: str) -> None:
    if value is not None:
        raise InvalidInput(f"{path}: {op} takes no value", path)


def _parse_list(op: Op, value: object, path: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidInput(
            f"{path}: {op} needs a list of at least one value, found {_named(value)}", path
        )
    if len(value) > MAX_VALUES:
        raise InvalidInput(f"{path}: {len(value)} values; at most {MAX_VALUES} are allowed", path)
    values = tuple(_parse_scalar(entry, f"{path}[{index}]") for index, entry in enumerate(value))
    if len({kind_of(entry) for entry in values}) > 1:
        raise InvalidInput(
            f"{path}: the values of a list must be all strings, all numbers or all booleans", path
        )
    return values


def _parse_version(value: object, path: str) -> str:
    if not isinstance(value, str) or precedence(value) is None:
        raise InvalidInput(
            f"{path}: expected a version like 2.1.0 or 2.1.0-beta.3 (SemVer 2.0), found {str(value)[:64]!r}",
            path,
        )
    return full(value)


def _parse_segment(value: object, path: str) -> str:
    if not isinstance(value, str) or SEGMENT_KEY.fullmatch(value) is None:
        raise InvalidInput(f"{path}: expected a segment's key, found {str(value)[:64]!r}", path)
    return value


def _parse_scalar(value: object, path: str, wanted: str | None = None) -> Scalar:
    kind = kind_of(value)
    if (
        not isinstance(value, bool | int | float | str)
        or kind is None
        or (wanted is not None and kind != wanted)
    ):
        raise InvalidInput(
            f"{path}: expected a {wanted or 'string, finite number or boolean'}, found {_named(value)}",
            path,
        )
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise InvalidInput(f"{path}: {len(value)} characters; at most {MAX_TEXT} are allowed", path)
    return value


def kind_of(value: object) -> str | None:
    """boolean, number or string; ``None`` for what no condition compares (null, lists, NaN,
    infinity).
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "number"
    if isinstance(value, float):
        return "number" if math.isfinite(value) else None
    return "string" if isinstance(value, str) else None


def _named(value: object) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        type(None): "nothing",
    }
    return (
        "NaN or infinity"
        if kind_of(value) is None and isinstance(value, float)
        else names.get(type(value), "a number")
    )
