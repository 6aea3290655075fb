"""Joins the two ends of a promotion with a key: analytics stores decisions, experiments carries them out."""

from __future__ import annotations

from analytics.selectors.recommendation import recommendation
from experiments.services import recommended


def wire() -> None:
    """Let the doors of experiments promote what the stored decision recommends."""
    recommended.set_reader(recommendation)
