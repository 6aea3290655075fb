"""Tables of what we observe and learn."""

from .counts import OutcomeCount, ToldOutcome
from .events import (
    AiEvent,
    Assignment,
    EventId,
    Feedback,
    IngestTally,
    MetricObservation,
    RequestCost,
)
from .geo import GeoObservation, GeoPilot, GeoRegion
from .holdbacks import HoldbackRun
from .prices import ModelPrice
from .replays import NullReplay
from .reports import ExperimentReport, ReportTemplate
from .results import AnalysisRun, AppliedDecision, Decision, Look
from .scans import PairScan, Scan
from .seals import AuditSeal
from .slow_work import SlowWorkDone
from .tail import RefusedItem, SeenAssignment, TailWatch

__all__ = [
    "AiEvent",
    "AnalysisRun",
    "AppliedDecision",
    "Assignment",
    "AuditSeal",
    "Decision",
    "EventId",
    "ExperimentReport",
    "Feedback",
    "GeoObservation",
    "GeoPilot",
    "GeoRegion",
    "HoldbackRun",
    "IngestTally",
    "Look",
    "MetricObservation",
    "ModelPrice",
    "NullReplay",
    "OutcomeCount",
    "PairScan",
    "RefusedItem",
    "ReportTemplate",
    "RequestCost",
    "Scan",
    "SeenAssignment",
    "SlowWorkDone",
    "TailWatch",
    "ToldOutcome",
]
