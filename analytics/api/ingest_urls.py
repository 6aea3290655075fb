"""The doors that take in what happened, mounted under /api/v1/ in every role; nothing here may need
numpy.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from analytics.api.ingest import (
    CostsDoor,
    EventsDoor,
    ExposuresDoor,
    FeedbackDoor,
    ObservationsDoor,
)
from analytics.api.recorded import Conversions, RecordResult
from experiments.http.doors import door

urlpatterns: list[URLPattern | URLResolver] = [
    door("exposures", ExposuresDoor, "exposures"),
    door("observations", ObservationsDoor, "observations"),
    door("events", EventsDoor, "events"),
    door("feedback", FeedbackDoor, "feedback"),
    door("costs", CostsDoor, "costs"),
    door("experiments/conversions", Conversions, "conversions"),
    door("experiments/record-result", RecordResult, "record-result"),
]
