"""Tables of what we serve and plan."""

from .access import ApiKey
from .audience import ExcludedUnit, ExclusionList, Override
from .audit import ChangeLogEntry
from .buckets import Bucket, Layer
from .checklist import Evidence, LaunchRequest, OfflineEvaluation, SignOff
from .experiments import Experiment, Iteration, Pause, Variant
from .flags import Flag, Rollout
from .metrics import ExperimentMetric, Metric
from .policies import Policy
from .serving import ClaimedSlot, ServingDocument

__all__ = [
    "ApiKey",
    "Bucket",
    "ChangeLogEntry",
    "ClaimedSlot",
    "Evidence",
    "ExcludedUnit",
    "ExclusionList",
    "Experiment",
    "ExperimentMetric",
    "Flag",
    "Iteration",
    "LaunchRequest",
    "Layer",
    "Metric",
    "OfflineEvaluation",
    "Override",
    "Pause",
    "Policy",
    "Rollout",
    "ServingDocument",
    "SignOff",
    "Variant",
]
