"""What applications measure, labelled with the experiment and the variant; each call says how long,
how much and how well.

``labels`` are ``{"experiment": …, "variant": …}``. Whom it is about is the unit that a variant was
last asked for in this thread or task, unless ``units`` says so. Nothing here raises or waits;
false: it was not taken.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from experiments.sdk.guard import quietly
from experiments.sdk.platforms import default_platform
from experiments.sdk.serving import units_met

log = logging.getLogger("assay")

Labels: TypeAlias = Mapping[str, str | None]
Units: TypeAlias = Mapping[str, object] | None
MICROS = 1_000_000

_warned: set[str] = set()


class HandoffReason(StrEnum):
    """Why a conversation goes to a person."""

    LOW_CONFIDENCE = "low_confidence"
    USER_REQUEST = "user_request"
    SENSITIVE_TOPIC = "sensitive_topic"
    ERROR = "error"
    OTHER = "other"


@quietly(bool)
def track_llm_call(
    model: str,
    agent: str = "",
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    duration: float | None = None,
    labels: Labels | None = None,
    *,
    cost: float | None = None,
    cache_hit: bool | None = None,
    request_id: str | None = None,
    units: Units = None,
) -> bool:
    """One call of a model: seconds, tokens, and dollars where they are known."""
    request = request_id or uuid.uuid4().hex
    milliseconds = None if duration is None else duration * 1000
    micros = None if cost is None else round(cost * MICROS)
    tokens = (
        None
        if input_tokens is None and output_tokens is None
        else (input_tokens or 0) + (output_tokens or 0)
    )
    counted: dict[str, object] = {
        "model": model,
        "tokens_in": input_tokens,
        "tokens_out": output_tokens,
    }
    payload = {
        "agent": agent,
        **{name: value for name, value in counted.items() if value is not None},
    }
    told = track_event(
        "ai_request",
        labels,
        units=units,
        latency_ms=milliseconds,
        cost_micro=micros,
        request_id=request,
        payload=payload,
    )
    default_platform().client.tell(
        "costs", None, None, request_id=request, cost_micro=micros, cache_hit=cache_hit, **counted
    )
    for metric, value in (("latency", milliseconds), ("cost", cost), ("token_usage", tokens)):
        observe(metric, value, labels, units)
    return told


@quietly(bool)
def track_rag_retrieval(
    agent: str = "",
    similarity_scores: Sequence[float] = (),
    labels: Labels | None = None,
    *,
    latency_ms: float | None = None,
    units: Units = None,
) -> bool:
    """One retrieval: how similar the passages were to what was asked."""
    scores = list(similarity_scores)
    mean = sum(scores) / len(scores) if scores else None
    payload = {"agent": agent, "passages": len(scores), "similarity": mean}
    told = track_event("rag_retrieval", labels, units=units, latency_ms=latency_ms, payload=payload)
    observe("avg_similarity", mean, labels, units)
    return told


@quietly(bool)
def track_cache_operation(
    operation: str,
    cache_type: str = "",
    latency_ms: float | None = None,
    labels: Labels | None = None,
    *,
    hit: bool | None = None,
    memory_mb: float | None = None,
    units: Units = None,
) -> bool:
    """One operation on a cache; ``hit`` for those that look something up."""
    payload = {"operation": operation, "cache_type": cache_type, "hit": hit}
    told = track_event(
        "cache_operation", labels, units=units, latency_ms=latency_ms, payload=payload
    )
    observe("cache_hit_rate", None if hit is None else float(hit), labels, units)
    observe("memory_usage", memory_mb, labels, units)
    return told


@quietly(bool)
def track_handoff(
    reason: HandoffReason | str,
    confidence_score: float | None = None,
    labels: Labels | None = None,
    *,
    units: Units = None,
) -> bool:
    """A conversation that was handed to a person."""
    told = track_event(
        "handoff",
        labels,
        units=units,
        payload={"reason": str(reason), "confidence_score": confidence_score},
    )
    observe("handoff_rate", 1.0, labels, units)
    return told


@quietly(bool)
def track_feedback(
    sentiment: str,
    labels: Labels | None = None,
    *,
    comment: str | None = None,
    request_id: str | None = None,
    units: Units = None,
) -> bool:
    """What somebody thought of an answer: positive or negative."""
    liked = sentiment == "positive"
    label = "useful" if liked else "not_useful"
    told = _tell("feedback", labels, units, label=label, comment=comment, request_id=request_id)
    observe("user_satisfaction", float(liked), labels, units)
    return told


@quietly(bool)
def track_error(
    labels: Labels | None = None, *, kind: str = "ai_fallback", units: Units = None
) -> bool:
    """A request that failed (``http_5xx``), or that a fallback answered (``ai_fallback``)."""
    told = track_event(kind, labels, units=units)
    observe("errors", 1.0, labels, units)
    return told


@quietly(bool)
def track_event(
    event_type: str, labels: Labels | None = None, *, units: Units = None, **fields: object
) -> bool:
    """Any other event; ``fields`` as ``AssayClient.track`` takes them."""
    return _tell("events", labels, units, event_type=event_type, **fields)


@quietly(bool)
def observe(
    metric: str, value: float | None, labels: Labels | None = None, units: Units = None
) -> bool:
    """A measured value of a metric; ``None``: nothing was measured."""
    return value is not None and _tell("observations", labels, units, metric=metric, value=value)


def _tell(kind: str, labels: Labels | None, units: Units, **fields: object) -> bool:
    stamped = {
        name: said for name, said in (labels or {}).items() if name in ("experiment", "variant")
    }
    whom = units or units_met(stamped.get("experiment"))
    if not whom:
        return _nobody(stamped.get("experiment"))
    return default_platform().client.tell(kind, None, whom, **stamped, **fields)


def _nobody(experiment: str | None) -> bool:
    """Said once: what is about nobody can be counted for no variant."""
    if str(experiment) not in _warned:
        _warned.add(str(experiment))
        log.warning(
            "%s: nothing is known of whom this is about: ask for the variant first, or send units",
            experiment,
        )
    return False
