"""The guardrails that ship, for tools: what a plan may name by key."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.core.library.presets import PRESETS, GuardrailPreset
from experiments.core.types import Scope
from experiments.http.doors import Door


class GuardrailPresets(Door):
    """``GET`` lists what ``guardrails`` of a new experiment may name: metric, margin and what its
    breach does.
    """

    scopes = (Scope.READ, Scope.MANAGEMENT)

    @extend_schema(operation_id="guardrail_presets", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"guardrails": [_shown(preset) for preset in PRESETS]})


def _shown(preset: GuardrailPreset) -> dict[str, object]:
    return {
        "key": preset.key,
        "name": preset.name,
        "metric": preset.metric,
        "margin": preset.margin,
        "margin_kind": preset.margin_kind.value,
        "action": preset.action.value,
        "description": preset.sentence,
    }
