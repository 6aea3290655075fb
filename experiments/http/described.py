"""Plain views as OpenAPI describes them: what their descriptions have in common."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]  # Any: JSON Schema

_REFUSED = ("400", "401", "403", "405", "413", "503")


def operation(
    name: str,
    summary: str,
    tag: str,
    parameters: list[Schema],
    responses: Schema,
    security: Schema | None = None,
) -> Schema:
    """An operation with the refusals (``Refusal``) that every door has; without ``security`` its
    key is one of the parameters.
    """
    refused = {status: {"description": ""} | content("Refusal") for status in _REFUSED}
    return {
        "operationId": name,
        "description": summary,
        "tags": [tag],
        "parameters": parameters,
        "security": [security or {}],
        "responses": responses | refused,
    }


def content(schema: str, media_type: str = "application/json") -> Schema:
    """A body of this schema."""
    return {"content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
