"""Tables of what we serve and plan."""

from .access import ApiKey
from .answers import StoredAnswer
from .audience import (
    ExcludedUnit,
    ExclusionList,
    GlobalHoldout,
    Override,
    PublicAttribute,
    Segment,
    SegmentUnit,
)
from .audit import ChangeLogEntry
from .buckets import Bucket, Layer
from .checklist import Evidence, LaunchRequest, OfflineEvaluation, SignOff
from .experiments import Experiment, Iteration, Pause, StoppedArm, Variant
from .flags import Flag, Rollout
from .logins import LoginCount
from .metrics import ExperimentMetric, Metric
from .notes import TimelineNote
from .notifications import Delivery, OutboxMessage, Subscription
from .policies import Policy
from .ramps import RampStay
from .serving import ClaimedSlot, ServingDocument
from .standings import Standing, Touch
from .urgent import UrgentStop
from .work import FailedWork

__all__ = [
    "ApiKey",
    "Bucket",
    "ChangeLogEntry",
    "ClaimedSlot",
    "Delivery",
    "Evidence",
    "ExcludedUnit",
    "ExclusionList",
    "Experiment",
    "ExperimentMetric",
    "FailedWork",
    "Flag",
    "GlobalHoldout",
    "Iteration",
    "LaunchRequest",
    "Layer",
    "LoginCount",
    "Metric",
    "OfflineEvaluation",
    "OutboxMessage",
    "Override",
    "Pause",
    "Policy",
    "PublicAttribute",
    "RampStay",
    "Rollout",
    "Segment",
    "SegmentUnit",
    "ServingDocument",
    "SignOff",
    "Standing",
    "StoppedArm",
    "StoredAnswer",
    "Subscription",
    "TimelineNote",
    "Touch",
    "UrgentStop",
    "Variant",
]
