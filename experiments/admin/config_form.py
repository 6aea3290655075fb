"""A variant's config as fields of its flag's schema, and back; what the schema does not know stays
JSON beside them.

A field's name carries its type (``v-0-c-number-temperature``), so that reading needs nothing but
what was sent. An empty field is a key that is not set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from experiments.admin.fields import (
    ONE_LINE,
    Field,
    read_json,
    read_number,
    read_whole,
    written_json,
)
from experiments.core.errors import InvalidInput
from experiments.core.serving.value_schema import NO_SCHEMA, Property, Schema, fits, parse_schema
from experiments.core.types import JSON, FlagType
from experiments.models import Experiment

_YES_NO = [("", "not set"), ("true", "true"), ("false", "false")]
_EXACT = 2**53
"""Beyond it a number that was typed is no longer read exactly."""
_SPANS = {"string": "s4", "number": "s2", "integer": "s2", "boolean": "s2"}


def schema_of(experiment: Experiment | None) -> Schema:
    """The schema that a draft's configs are edited by: its flag's, where that serves objects."""
    flag = None if experiment is None else experiment.flag
    return (
        parse_schema(flag.schema)
        if flag is not None and flag.value_type == FlagType.OBJECT
        else NO_SCHEMA
    )


def config_fields(schema: Schema, data: Mapping[str, str], line: str) -> list[Field]:
    """A field for each property, and one for whatever else the config holds."""
    config = _config_in(data.get(f"v-{line}-config", ""))
    if config is None:  # what stands there is no object: it is to be mended as it is
        return [
            Field(
                f"v-{line}-config",
                "Config (JSON)",
                "json",
                data.get(f"v-{line}-config", ""),
                rows=2,
                span="s4",
            )
        ]
    found, rest = [], dict(config)
    for one in schema.properties:
        name = f"v-{line}-c-{one.kind}-{one.name}"
        held = rest.pop(one.name) if one.name in rest and _comes_back(one, rest[one.name]) else None
        found.append(_field(one, name, data.get(name, _written(held))))
    more = "More keys (JSON)" if not schema.closed else "Keys outside the schema (JSON)"
    return [
        *found,
        Field(
            f"v-{line}-config",
            more,
            "json",
            written_json(rest) if rest else "",
            rows=2,
            span="s4",
            placeholder="{}",
        ),
    ]


def read_config(data: Mapping[str, str], line: str, label: str) -> JSON:
    """The config of a line: the fields' values over the JSON beside them."""
    rest = read_json(
        data.get(f"v-{line}-config", "").strip(), f"v-{line}-config", f"{label}: config", empty={}
    )
    begins = f"v-{line}-c-"
    sent = {
        name: value for name, value in data.items() if name.startswith(begins) and value.strip()
    }
    if not sent:
        return rest
    if not isinstance(rest, dict):
        raise InvalidInput(
            f"{label}: the keys beside the fields need a JSON object, found {str(rest)[:40]}.",
            f"v-{line}-config",
        )
    read: dict[str, JSON] = {}
    for name, value in sent.items():
        kind, _, key = name.removeprefix(begins).partition("-")
        read[key] = _read(kind, value, name, f"{label}: {key}")
    return {**read, **{key: value for key, value in rest.items() if key not in read}}


def _comes_back(one: Property, value: JSON) -> bool:
    """Whether a field brings a value back unchanged; blank text, another system's line ends and
    giant numbers stay JSON.
    """
    if not fits(one.kind, value) or (isinstance(value, int) and abs(value) > _EXACT):
        return False
    text = _written(value)
    return bool(text.strip()) and "\r" not in text and not text.startswith("\n")


def _field(one: Property, name: str, value: str) -> Field:
    about = " ".join(
        filter(None, (one.description, _limits(one), "Needed." if one.required else ""))
    )
    drawn = Field(name, one.title or one.name, "text", value, help=about, span=_SPANS[one.kind])
    if one.kind == "boolean":
        return replace(drawn, kind="select", choices=_YES_NO)
    if one.choices:
        strange = [] if value in ("", *one.choices) else [(value, f"{value} (not in the schema)")]
        return replace(
            drawn,
            kind="select",
            choices=[("", "not set"), *((choice, choice) for choice in one.choices), *strange],
        )
    if one.kind == "string" and (one.multiline or "\n" in value or len(value) > ONE_LINE):
        return replace(drawn, kind="textarea", rows=6, span="s12")
    return drawn


def _limits(one: Property) -> str:
    if one.low is not None and one.high is not None:
        return f"{one.low:g} to {one.high:g}."
    if one.low is not None:
        return f"At least {one.low:g}."
    return f"At most {one.high:g}." if one.high is not None else ""


def _config_in(text: str) -> Mapping[str, JSON] | None:
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _written(value: JSON) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _read(kind: str, text: str, where: str, label: str) -> JSON:
    if kind == "number":
        number = read_number(text, where, label)
        return (
            int(number)
            if number is not None
            and number.is_integer()
            and "." not in text
            and "e" not in text.lower()
            else number
        )
    if kind == "integer":
        return read_whole(text, where, label)
    if kind == "boolean":
        if text not in ("true", "false"):
            raise InvalidInput(f"{label}: true or false is needed, found {text[:40]}.", where)
        return text == "true"
    return text.replace("\r\n", "\n")
