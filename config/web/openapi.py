"""What the schema generator must be told: how our keys travel, and what a msgspec struct looks
like.
"""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension

from analytics.api import clients_schema
from experiments.api import growthbook_schema, ofrep_schema

_PLAIN = (ofrep_schema, growthbook_schema, clients_schema)
"""Modules that describe plain views: ``paths()`` and the ``SCHEMAS`` these refer to."""
_REFUSAL = {
    "description": "Refused: what was wrong, where, and what is expected.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
}
_REFERENCE = "#/components/schemas/{name}"


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself on definition
    """An API key as a bearer token or in a header of its own."""

    target_class = "experiments.http.auth.KeyAuthentication"
    name = ["bearerKey", "headerKey"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        ]


class StructSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # drf-spectacular registers subclasses untyped
    """A struct in place of a serializer: ``@extend_schema(request=AssignmentBody)``."""

    target_class = msgspec.Struct
    match_subclasses = True

    def get_name(self, auto_schema: Any, direction: str) -> str:
        return str(self.target.__name__)

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        """The struct's own schema; structs inside it are registered beside it."""
        _, components = msgspec.json.schema_components([self.target], ref_template=_REFERENCE)
        own: dict[str, Any] = components.pop(self.target.__name__)
        for name, schema in components.items():
            self._register(auto_schema.registry, name, schema)
        return own

    def _register(self, registry: Any, name: str, schema: dict[str, Any]) -> None:
        from drf_spectacular.plumbing import ResolvedComponent

        component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema, object=name)  # type: ignore[no-untyped-call]  # as above
        registry.register_on_missing(component)


def without_trailing_slash(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Doors answer with and without the last slash; the schema names the one the guides use."""
    return result | {
        "paths": {
            path.rstrip("/") or "/": operations for path, operations in result["paths"].items()
        }
    }


def with_refusals(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """What every door answers when it refuses, whatever the status: one shape."""
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["default"] = _REFUSAL
    schemas = result["components"].get("schemas", {}) | {"Refusal": _refusal_schema()}
    return result | {"components": result["components"] | {"schemas": schemas}}


def _refusal_schema() -> dict[str, Any]:
    text = {"type": "string"}
    named = ("code", "field", "message")
    problem = {"type": "object", "properties": dict.fromkeys(named, text), "required": list(named)}
    error = {
        "type": "object",
        "properties": {
            "code": text,
            "message": text,
            "field": text,
            "problems": {"type": "array", "items": problem},
        },
        "required": ["code", "message", "field", "problems"],
    }
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}


def with_plain_views(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The generator reads Django REST framework's views; the others describe themselves."""
    paths, components = dict(result["paths"]), dict(result["components"])
    for module in _PLAIN:
        paths |= module.paths()
        components["schemas"] = components.get("schemas", {}) | module.SCHEMAS
    write_key = {
        "type": "http",
        "scheme": "basic",
        "description": "An ingest key as the user, and no password.",
    }
    components["securitySchemes"] = components.get("securitySchemes", {}) | {"writeKey": write_key}
    return result | {"paths": paths, "components": components}
