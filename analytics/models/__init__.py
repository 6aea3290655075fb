"""Tables of what we observe and learn."""

from .events import AiEvent, Assignment, EventId, IngestTally, MetricObservation
from .results import AnalysisRun, AppliedDecision, Decision, Look

__all__ = ["AiEvent", "AnalysisRun", "AppliedDecision", "Assignment", "Decision", "EventId", "IngestTally", "Look", "MetricObservation"]
