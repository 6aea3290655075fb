"""What we serve and plan. The SDK's names can be taken from here without Django: ``from experiments
import ExperimentManager``.
"""

from __future__ import annotations

import importlib

_LAZY = frozenset(
    {
        "EXPERIMENTS",
        "AssayClient",
        "Experiment",
        "ExperimentManager",
        "ExperimentMetrics",
        "ExperimentMetricsCollector",
        "ExperimentService",
        "ExperimentStatus",
        "ExperimentVariant",
        "HandoffReason",
        "StatisticalAnalyzer",
        "Variant",
        "get_variant",
        "get_variant_config",
        "track_cache_operation",
        "track_error",
        "track_event",
        "track_feedback",
        "track_handoff",
        "track_llm_call",
        "track_outcome",
        "track_rag_retrieval",
    }
)


def __getattr__(name: str) -> object:
    """The SDK is imported when somebody asks for a name of it; a serving process never does."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("experiments.sdk"), name)
