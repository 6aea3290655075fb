"""A flag's schema: which keys its objects have, of which type and within which limits. A small part
of JSON Schema.

``{"type": "object", "properties": {"model": {"type": "string", "enum": ["small", "large"]}, …},
"required": ["model"]}``. Forms are drawn from it, and a design that steps outside is told so. It
refuses nothing that is served: a new key in code must not wait for a schema. Words that are not
read are refused, so that nobody relies on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from experiments.core.design.rules import value_fits
from experiments.core.errors import InvalidInput
from experiments.core.types import JSON, FlagType

Kind: TypeAlias = Literal["string", "number", "integer", "boolean"]
KINDS: tuple[Kind, ...] = ("string", "number", "integer", "boolean")
MOST_PROPERTIES = 40
LONGEST_NAME = 64
_SCHEMA_WORDS = frozenset(
    {"type", "properties", "required", "additionalProperties", "title", "description", "$schema"}
)
_WORDS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"enum", "format", "maxLength"}),
    "number": frozenset({"minimum", "maximum"}),
    "integer": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
}
_COMMON = frozenset({"type", "title", "description"})


@dataclass(frozen=True)
class Property:
    """One key of a flag's object. ``low`` and ``high`` bound numbers, ``longest`` text; ``choices``
    are all texts there may be.
    """

    name: str
    kind: Kind
    title: str = ""
    description: str = ""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    longest: int | None = None
    multiline: bool = False
    required: bool = False


@dataclass(frozen=True)
class Schema:
    """The keys that are known; ``closed``: there may be no others."""

    properties: tuple[Property, ...] = ()
    closed: bool = False


NO_SCHEMA = Schema()


def parse_schema(document: JSON) -> Schema:
    """The schema of a document; the empty object says nothing. Refuses what it does not read,
    naming the place.
    """
    if document == {}:
        return NO_SCHEMA
    whole = _object(document, "schema")
    _only(whole, _SCHEMA_WORDS, "schema")
    if whole.get("type") != "object":
        raise _unfit(
            "schema.type", "object, since only objects have keys to describe", whole.get("type")
        )
    properties = _object(whole.get("properties", {}), "schema.properties")
    if len(properties) > MOST_PROPERTIES:
        raise InvalidInput(
            f"schema.properties: at most {MOST_PROPERTIES} are taken, found {len(properties)}",
            "schema.properties",
        )
    required = whole.get("required", [])
    if not isinstance(required, list) or not all(
        isinstance(name, str) and name in properties for name in required
    ):
        raise _unfit("schema.required", "a list of keys that are among the properties", required)
    known = tuple(_property(name, body, name in required) for name, body in properties.items())
    return Schema(known, whole.get("additionalProperties", True) is False)


def outside(schema: Schema, value: JSON) -> tuple[str, ...]:
    """What of a value lies outside its schema, a clause each; nothing without a schema."""
    if not schema.properties:
        return ()
    if not isinstance(value, dict):
        return ("is no object",)
    said = [
        f"lacks {one.name}" for one in schema.properties if one.required and one.name not in value
    ]
    for one in schema.properties:
        wrong = _wrong(one, value)
        said += [] if wrong is None else [f"sets {one.name} to {value[one.name]!r:.40}, {wrong}"]
    if schema.closed:
        known = {one.name for one in schema.properties}
        said += [
            f"has the key {name!r:.40}, which the schema does not know"
            for name in value
            if name not in known
        ]
    return tuple(said)


def suggested(values: Iterable[JSON]) -> dict[str, JSON]:
    """A schema of the plain keys that these objects have, to begin from: types alone, limits are
    for people to say.
    """
    met = [value for value in values if isinstance(value, dict)]
    names = dict.fromkeys(name for value in met for name in value if 0 < len(name) <= LONGEST_NAME)
    found = {
        name: kind
        for name in names
        if (kind := _kind_of([value[name] for value in met if name in value])) is not None
    }
    if not found:
        return {}
    properties: dict[str, JSON] = {
        name: {"type": kind} for name, kind in list(found.items())[:MOST_PROPERTIES]
    }
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if all(name in value for value in met)],
    }


def _kind_of(values: Sequence[JSON]) -> Kind | None:
    """The narrowest type that all values have."""
    narrowest: tuple[Kind, ...] = ("boolean", "integer", "number", "string")
    return next((kind for kind in narrowest if all(fits(kind, value) for value in values)), None)


def fits(kind: Kind, value: JSON) -> bool:
    """Whether a value is of a type, whatever its limits; a number may be whole."""
    return value_fits(value, FlagType.FLOAT if kind == "number" else kind)


def _wrong(one: Property, value: Mapping[str, JSON]) -> str | None:
    if one.name not in value:
        return None
    found = value[one.name]
    if not fits(one.kind, found):
        return f"wanted {'an' if one.kind == 'integer' else 'a'} {one.kind}"
    if one.choices and found not in one.choices:
        return f"wanted one of {', '.join(one.choices)}"
    if isinstance(found, str):
        return (
            f"longer than {one.longest} characters"
            if one.longest is not None and len(found) > one.longest
            else None
        )
    number = cast("float", found)
    if one.low is not None and number < one.low:
        return f"below {one.low:g}"
    return f"above {one.high:g}" if one.high is not None and number > one.high else None


def _property(name: str, document: JSON, required: bool) -> Property:
    place = f"schema.properties.{name[:LONGEST_NAME]}"
    if not 0 < len(name) <= LONGEST_NAME:
        raise _unfit(place, f"a name of 1 to {LONGEST_NAME} characters", name)
    body = _object(document, place)
    kind = body.get("type")
    if kind not in KINDS:
        raise _unfit(f"{place}.type", f"one of {', '.join(KINDS)}", kind)
    _only(body, _COMMON | _WORDS[kind], place)
    low, high = (_number(body.get(word), f"{place}.{word}") for word in ("minimum", "maximum"))
    if low is not None and high is not None and low > high:
        raise _unfit(f"{place}.minimum", "no more than the maximum", low)
    return Property(
        name=name,
        kind=kind,
        title=_text(body.get("title", ""), f"{place}.title"),
        description=_text(body.get("description", ""), f"{place}.description"),
        choices=_choices(body.get("enum", []), f"{place}.enum"),
        low=low,
        high=high,
        longest=_length(body.get("maxLength"), f"{place}.maxLength"),
        multiline=body.get("format") == "multiline",
        required=required,
    )


def _object(value: JSON, place: str) -> Mapping[str, JSON]:
    if not isinstance(value, dict):
        raise _unfit(place, "an object", value)
    return value


def _only(body: Mapping[str, JSON], words: Iterable[str], place: str) -> None:
    unknown = next((word for word in body if word not in words), None)
    if unknown is not None:
        raise InvalidInput(
            f"{place}: the word {unknown[:40]!r} is not read here; read are {', '.join(sorted(words))}",
            place,
        )


def _text(value: JSON, place: str) -> str:
    if not isinstance(value, str):
        raise _unfit(place, "a text", value)
    return value


def _number(value: JSON, place: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _unfit(place, "a finite number", value)
    return float(value)


def _length(value: JSON, place: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise _unfit(place, "a whole number above 0", value)


def _choices(value: JSON, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _unfit(place, "a list of texts", value)
    return tuple(cast("Sequence[str]", value))


def _unfit(place: str, wanted: str, found: object) -> InvalidInput:
    return InvalidInput(f"{place}: wanted {wanted}; found {found!r:.80}", place)
