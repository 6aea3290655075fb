"""The client for Python: decides locally as the platform would, and tells it what happened. No
Django.

``AssayClient`` is all that new code needs. The other names keep code running that was written to
older call styles: a manager of experiments, functions for tenants, an experiment service.
"""

from experiments.core.errors import AssayError, Refused
from experiments.sdk.answers import AssignedVariant, Evaluation
from experiments.sdk.client import AssayClient
from experiments.sdk.comparing import ExperimentMetrics, ExperimentMetricsCollector
from experiments.sdk.definitions import Experiment, ExperimentStatus, ExperimentVariant, Variant
from experiments.sdk.local import LocalPlatform
from experiments.sdk.manager import ExperimentManager
from experiments.sdk.outbox import Collected, Counts
from experiments.sdk.platforms import Platform, default_platform, use
from experiments.sdk.server import ServerPlatform
from experiments.sdk.service import ExperimentService, StatisticalAnalyzer
from experiments.sdk.tenants import EXPERIMENTS, get_variant, get_variant_config, track_outcome
from experiments.sdk.tracking import (
    HandoffReason,
    track_cache_operation,
    track_error,
    track_event,
    track_feedback,
    track_handoff,
    track_llm_call,
    track_rag_retrieval,
)
from experiments.sdk.transport import Unreachable

__all__ = [
    "EXPERIMENTS",
    "AssayClient",
    "AssayError",
    "AssignedVariant",
    "Collected",
    "Counts",
    "Evaluation",
    "Experiment",
    "ExperimentManager",
    "ExperimentMetrics",
    "ExperimentMetricsCollector",
    "ExperimentService",
    "ExperimentStatus",
    "ExperimentVariant",
    "HandoffReason",
    "LocalPlatform",
    "Platform",
    "Refused",
    "ServerPlatform",
    "StatisticalAnalyzer",
    "Unreachable",
    "Variant",
    "default_platform",
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
    "use",
]
