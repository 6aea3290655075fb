"""OpenFeature's doors as OpenAPI describes them; plain views cannot be read off by the
generator.
"""

from __future__ import annotations

from typing import Any

from experiments.core.protocols.ofrep import EXPOSURE_ATTRIBUTE, REASONS, ErrorCode
from experiments.services.serving.exposures import Recording

Schema = dict[str, Any]  # Any: JSON Schema

_KEY: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"}
_TEXT: Schema = {"type": "string"}
_FLAT: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["boolean", "string", "number"]},
}
SCHEMAS: Schema = {
    "OfrepRequest": {
        "type": "object",
        "properties": {
            "context": {
                "type": "object",
                "description": "Attributes that can be targeted; these name the units.",
                "properties": {
                    "targetingKey": _TEXT | {"description": "The user."},
                    "tenantId": _TEXT,
                    "sessionId": _TEXT,
                    EXPOSURE_ATTRIBUTE: {
                        "enum": [how.value for how in Recording],
                        "description": "What is remembered of a single evaluation; queued when absent. A bulk fetch is no exposure.",
                    },
                },
                "additionalProperties": True,
            }
        },
    },
    "OfrepEvaluation": {
        "type": "object",
        "required": ["key", "value", "reason", "variant", "metadata"],
        "properties": {
            "key": _KEY,
            "value": {
                "description": "Of the flag's type: a float flag's 1 is written 1.0, an integer flag's 1."
            },
            "reason": {"enum": sorted(set(REASONS.values()))},
            "variant": _TEXT,
            "metadata": _FLAT,
        },
    },
    "OfrepFailure": {
        "type": "object",
        "required": ["key", "errorCode", "errorDetails"],
        "properties": {
            "key": _TEXT,
            "errorCode": {"enum": [code.value for code in ErrorCode]},
            "errorDetails": _TEXT,
        },
    },
    "OfrepFlags": {
        "type": "object",
        "required": ["flags", "metadata"],
        "properties": {
            "flags": {
                "type": "array",
                "items": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/OfrepEvaluation"},
                        {"$ref": "#/components/schemas/OfrepFailure"},
                    ]
                },
            },
            "metadata": _FLAT,
        },
    },
}


def paths() -> Schema:
    """The two addresses."""
    tag = {
        "name": "If-None-Match",
        "in": "header",
        "schema": _TEXT,
        "description": "The ETag of the answer at hand.",
    }
    key = {"name": "key", "in": "path", "required": True, "schema": _KEY}
    same = {"304": {"description": "The same values as in the answer of this tag."}}
    one = _operation(
        "ofrep_one",
        "The flag's value for a context.",
        [key],
        {"200": _answer("OfrepEvaluation"), "404": _answer("OfrepFailure")},
    )
    all_of_them = _operation(
        "ofrep_all",
        "Every flag that the key may see.",
        [tag],
        {"200": _answer("OfrepFlags"), **same},
    )
    return {
        "/ofrep/v1/evaluate/flags/{key}": {"post": one},
        "/ofrep/v1/evaluate/flags": {"post": all_of_them},
    }


def _operation(name: str, summary: str, parameters: list[Schema], responses: Schema) -> Schema:
    return {
        "operationId": name,
        "description": summary,
        "parameters": parameters,
        "tags": ["ofrep"],
        "requestBody": {"content": _content("OfrepRequest"), "required": True},
        "security": [{"bearerKey": []}, {"headerKey": []}],
        "responses": responses
        | {
            status: _answer("OfrepFailure") for status in ("400", "401", "403", "405", "413", "503")
        },
    }


def _answer(schema: str) -> Schema:
    return {"description": "", "content": _content(schema)}


def _content(schema: str) -> Schema:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
