"""GrowthBook's doors as OpenAPI describes them; plain views cannot be read off by the generator."""

from __future__ import annotations

from experiments.http.described import Schema, content, operation

_TEXT: Schema = {"type": "string"}
_FEATURE: Schema = {
    "type": "object",
    "required": ["defaultValue"],
    "properties": {"defaultValue": {}, "rules": {"type": "array", "items": {"type": "object"}}},
}
SCHEMAS: Schema = {
    "GrowthBookFeatures": {
        "type": "object",
        "required": ["status", "features", "savedGroups", "dateUpdated"],
        "properties": {
            "status": {"type": "integer"},
            "features": {"type": "object", "additionalProperties": _FEATURE},
            "savedGroups": {
                "type": "object",
                "description": "Always empty: they would show unit ids.",
            },
            "dateUpdated": {"type": "string", "format": "date-time"},
            "remoteOnly": {
                "type": "object",
                "additionalProperties": _TEXT,
                "description": "Flags that SDKs cannot evaluate as we do, with the reason; ask for them with remote evaluation.",
            },
        },
    },
    "GrowthBookAttributes": {
        "type": "object",
        "properties": {
            "attributes": {
                "type": "object",
                "description": "What can be targeted; these name the units.",
                "properties": {
                    "id": _TEXT | {"description": "The user."},
                    "tenantId": _TEXT,
                    "sessionId": _TEXT,
                },
                "additionalProperties": True,
            }
        },
    },
}
_KEY: Schema = {
    "name": "client_key",
    "in": "path",
    "required": True,
    "schema": _TEXT,
    "description": "A client key, or a server's.",
}
_TAG: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "schema": _TEXT,
    "description": "The ETag of the document at hand.",
}


def paths() -> Schema:
    """The two addresses."""
    answers: Schema = {
        "200": {"description": ""} | content("GrowthBookFeatures"),
        "304": {"description": "The document at hand is still this one."},
    }
    features = operation(
        "growthbook_features",
        "The flags that an SDK may evaluate locally.",
        "growthbook",
        [_KEY, _TAG],
        answers,
    )
    evaluate = operation(
        "growthbook_eval",
        "Every flag evaluated for these attributes.",
        "growthbook",
        [_KEY],
        answers,
    )
    evaluate["requestBody"] = content("GrowthBookAttributes") | {"required": True}
    return {
        "/api/features/{client_key}": {"get": features},
        "/api/eval/{client_key}": {"post": evaluate},
    }
