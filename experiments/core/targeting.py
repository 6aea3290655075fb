"""Targeting: conditions on a request's attributes, as data, compiled once into a predicate.

All conditions of a rule must hold. What a condition says of an attribute:

- **missing** (absent or null): ``ne``, ``not_in`` and ``not_exists`` hold, everything else does not;
- **of another type** than the condition's value: only ``exists`` can hold (so ``ne "5"`` does not
  hold for the number 5);
- types are boolean, number and string: a boolean is not a number, 1 and 1.0 are the same number,
  text is compared exactly, upper and lower case apart. There are no regular expressions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from experiments.core.errors import InvalidInput
from experiments.core.types import JSON

Attributes: TypeAlias = Mapping[str, object]
Scalar: TypeAlias = bool | int | float | str
Predicate: TypeAlias = Callable[[Attributes], bool]
_Check: TypeAlias = Callable[[object], bool]

MAX_CONDITIONS = 50
MAX_VALUES = 1000
MAX_TEXT = 1024
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


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
    EXISTS = "exists"
    NOT_EXISTS = "not_exists"


LIST_OPS = frozenset({Op.IN, Op.NOT_IN})
NUMBER_OPS = frozenset({Op.GT, Op.GTE, Op.LT, Op.LTE})
TEXT_OPS = frozenset({Op.CONTAINS, Op.STARTS_WITH})
PRESENCE_OPS = frozenset({Op.EXISTS, Op.NOT_EXISTS})
HOLD_WHEN_MISSING = frozenset({Op.NE, Op.NOT_IN, Op.NOT_EXISTS})


@dataclass(frozen=True)
class Condition:
    """One comparison of one attribute; ``value`` is a tuple for list operators, ``None`` for presence."""

    attribute: str
    op: Op
    value: Scalar | tuple[Scalar, ...] | None = None

    def as_json(self) -> dict[str, JSON]:
        """The form that ``parse_conditions`` reads back."""
        document: dict[str, JSON] = {"attribute": self.attribute, "op": self.op.value}
        if self.value is not None:
            document["value"] = list(self.value) if isinstance(self.value, tuple) else self.value
        return document


def parse_conditions(document: object, path: str = "targeting") -> tuple[Condition, ...]:
    """Conditions from their JSON, a list of ``{attribute, op, value}``; ``None`` means no condition."""
    if document is None:
        return ()
    if not isinstance(document, list):
        raise InvalidInput(f"{path}: expected a list of conditions, found {_named(document)}", path)
    if len(document) > MAX_CONDITIONS:
        raise InvalidInput(f"{path}: {len(document)} conditions; at most {MAX_CONDITIONS} are allowed", path)
    return tuple(_parse_condition(entry, f"{path}[{index}]") for index, entry in enumerate(document))


def conditions_json(conditions: Sequence[Condition]) -> list[JSON]:
    """The JSON of a rule, in its own order."""
    return [condition.as_json() for condition in conditions]


def _parse_condition(entry: object, path: str) -> Condition:
    if not isinstance(entry, dict):
        raise InvalidInput(f"{path}: expected an object with attribute, op and value, found {_named(entry)}", path)
    unknown = sorted(str(key) for key in entry.keys() - {"attribute", "op", "value"})
    if unknown:
        raise InvalidInput(f"{path}: unknown key {unknown[0][:64]!r}; a condition has attribute, op and value", path)
    op = _parse_op(entry.get("op"), f"{path}.op")
    attribute = _parse_attribute(entry.get("attribute"), f"{path}.attribute")
    return Condition(attribute, op, _parse_value(op, entry.get("value"), f"{path}.value"))


def _parse_op(name: object, path: str) -> Op:
    found = next((op for op in Op if op.value == name), None)
    if found is None:
        raise InvalidInput(f"{path}: unknown operator {str(name)[:64]!r}; known are {', '.join(Op)}", path)
    return found


def _parse_attribute(name: object, path: str) -> str:
    if not isinstance(name, str) or _ATTRIBUTE.fullmatch(name) is None:
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
    return _parse_scalar(value, path)


def _refuse_value(op: Op, value: object, path: str) -> None:
    if value is not None:
        raise InvalidInput(f"{path}: {op} takes no value", path)


def _parse_list(op: Op, value: object, path: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"{path}: {op} needs a list of at least one value, found {_named(value)}", path)
    if len(value) > MAX_VALUES:
        raise InvalidInput(f"{path}: {len(value)} values; at most {MAX_VALUES} are allowed", path)
    values = tuple(_parse_scalar(entry, f"{path}[{index}]") for index, entry in enumerate(value))
    if len({kind_of(entry) for entry in values}) > 1:
        raise InvalidInput(f"{path}: the values of a list must be all strings, all numbers or all booleans", path)
    return values


def _parse_scalar(value: object, path: str, wanted: str | None = None) -> Scalar:
    kind = kind_of(value)
    if not isinstance(value, bool | int | float | str) or kind is None or (wanted is not None and kind != wanted):
        raise InvalidInput(f"{path}: expected a {wanted or 'string, finite number or boolean'}, found {_named(value)}", path)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise InvalidInput(f"{path}: {len(value)} characters; at most {MAX_TEXT} are allowed", path)
    return value


def kind_of(value: object) -> str | None:
    """boolean, number or string; ``None`` for what no condition compares (null, lists, NaN, infinity)."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "number"
    if isinstance(value, float):
        return "number" if math.isfinite(value) else None
    return "string" if isinstance(value, str) else None


def _named(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "nothing"}
    return "NaN or infinity" if kind_of(value) is None and isinstance(value, float) else names.get(type(value), "a number")


def compile_conditions(conditions: Sequence[Condition]) -> Predicate:
    """One predicate for a whole rule; it never raises, whatever the attributes hold."""
    checks = tuple(_compiled(condition) for condition in conditions)
    if len(checks) == 1:
        return checks[0]

    def holds(attributes: Attributes) -> bool:
        return all(check(attributes) for check in checks)

    return holds


def _compiled(condition: Condition) -> Predicate:
    attribute, op, value = condition.attribute, condition.op, condition.value
    if op is Op.EQ and isinstance(value, str):
        return lambda attributes: attributes.get(attribute) == value  # nothing but the same text equals a text
    check, when_missing = _compile_check(condition), op in HOLD_WHEN_MISSING

    def holds(attributes: Attributes) -> bool:
        found = attributes.get(attribute)
        return when_missing if found is None else check(found)

    return holds


def _compile_check(condition: Condition) -> _Check:
    """The check of a present attribute."""
    op, value = condition.op, condition.value
    if op in PRESENCE_OPS:
        return lambda _found: op is Op.EXISTS
    if isinstance(value, tuple):
        return _list_check(op, frozenset(value), kind_of(value[0]))
    if op in TEXT_OPS and isinstance(value, str):
        return _text_check(op, value)
    return _comparison(op, value)


def _list_check(op: Op, values: frozenset[Scalar], kind: str | None) -> _Check:
    if op is Op.IN:
        return lambda found: kind_of(found) == kind and found in values
    return lambda found: kind_of(found) == kind and found not in values


def _text_check(op: Op, text: str) -> _Check:
    if op is Op.CONTAINS:
        return lambda found: isinstance(found, str) and text in found
    return lambda found: isinstance(found, str) and found.startswith(text)


def _comparison(op: Op, value: object) -> _Check:
    kind = kind_of(value)
    compare = _COMPARISONS[op]
    return lambda found: kind_of(found) == kind and compare(found, value)


# Both sides are of one kind when these run, and the ordered four only ever meet numbers.
_COMPARISONS: Mapping[Op, Callable[[object, object], bool]] = {
    Op.EQ: lambda found, value: found == value,
    Op.NE: lambda found, value: found != value,
    Op.GT: lambda found, value: found > value,  # type: ignore[operator]  # numbers
    Op.GTE: lambda found, value: found >= value,  # type: ignore[operator]  # numbers
    Op.LT: lambda found, value: found < value,  # type: ignore[operator]  # numbers
    Op.LTE: lambda found, value: found <= value,  # type: ignore[operator]  # numbers
}
