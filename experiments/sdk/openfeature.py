"""OpenFeature's provider: its API for applications, our decisions, made in the application's own
process.

Needs ``openfeature-sdk`` (``pip install assay-sdk[openfeature]``). A context means what it means to
our OFREP doors: ``targetingKey`` is the user, ``tenantId`` and ``sessionId`` are the other units,
and everything in it can be targeted; ``assayExposure: "none"`` evaluates without telling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from experiments.core.protocols.ofrep import (
    DEFAULT_VARIANT,
    EXPOSURE_ATTRIBUTE,
    REASONS,
    UNIT_ATTRIBUTES,
)
from experiments.core.types import FlagType, Reason
from experiments.sdk.answers import Evaluation
from experiments.sdk.client import AssayClient

T = TypeVar("T")
Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]

_ERROR = "ERROR"


class AssayProvider(AbstractProvider):
    """``api.set_provider_and_wait(AssayProvider(client))``; nothing in an evaluation waits, so the
    async calls need no thread.
    """

    def __init__(self, client: AssayClient, *, ready_seconds: float = 5.0) -> None:
        super().__init__()
        self.client, self._ready_seconds = client, ready_seconds

    def get_metadata(self) -> Metadata:
        return Metadata(name="assay")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Wait for the first catalogue; without one OpenFeature answers defaults until it is
        there.
        """
        if not self.client.wait_ready(self._ready_seconds):
            raise ProviderNotReadyError(
                f"no catalogue after {self._ready_seconds} s; the client goes on asking"
            )

    def shutdown(self) -> None:
        """Send what waits; the application goes."""
        self.client.close()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, FlagType.BOOLEAN, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, FlagType.STRING, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, FlagType.INTEGER, default_value, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, FlagType.FLOAT, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Object,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Object]:
        return self._resolve(flag_key, FlagType.OBJECT, default_value, evaluation_context)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """An event of this name, with the details' value and attributes."""
        details = tracking_event_details or TrackingEventDetails()
        units = _units(_attributes(evaluation_context))
        self.client.track(
            tracking_event_name,
            units=units,
            value=details.value,
            payload=dict(details.attributes) or None,
        )

    def _resolve(
        self, key: str, kind: FlagType, default: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        attributes = _attributes(context)
        expose = attributes.get(EXPOSURE_ATTRIBUTE) != "none"
        found = self.client.evaluate(
            key, kind, default, units=_units(attributes), attributes=attributes, expose=expose
        )
        return _details(found)


def _attributes(context: EvaluationContext | None) -> dict[str, object]:
    if context is None:
        return {}
    attributes: dict[str, object] = dict(context.attributes)
    return (
        attributes | {"targetingKey": context.targeting_key}
        if context.targeting_key
        else attributes
    )


def _units(attributes: Mapping[str, object]) -> dict[str, object]:
    return {
        unit_type: found
        for name, unit_type in UNIT_ATTRIBUTES.items()
        if (found := attributes.get(name)) not in (None, "")
    }


def _details(found: Evaluation[T]) -> FlagResolutionDetails[T]:
    if found.error is not None:
        return FlagResolutionDetails(
            value=found.value,
            reason=_ERROR,
            error_code=ErrorCode[found.error],
            error_message=found.message,
            flag_metadata=found.metadata,
        )
    variant = found.variant or DEFAULT_VARIANT
    return FlagResolutionDetails(
        value=found.value,
        variant=variant,
        reason=REASONS[Reason(found.reason)],
        flag_metadata=found.metadata,
    )
