"""The tables and columns that the sources name are there, under those names."""

from __future__ import annotations

import pytest
from django.db import connection

SOURCES: dict[str, tuple[str, str]] = {
    "000.32": ("experiments", "experiment_id flag owner start_ts end_ts status"),
    "000.33": ("experiment_variants", "experiment_id variant_id name traffic_share"),
    "000.34": ("experiment_assignments", "user_id experiment_id variant_id bucket_id assigned_ts exposure_ts"),
    "000.35": (
        "ai_events",
        "event_id user_id experiment_id variant_id event_type payload cost_micro latency_ms language embedding_stats",
    ),
    "000.31": ("ai_ab_metrics", "timestamp variant covariates"),
}
