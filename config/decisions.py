"""Joins the two ends: analytics stores decisions and verdicts, experiments carries out what they
allow.
"""

from __future__ import annotations

from analytics.selectors.cards import unmet_conditions
from analytics.selectors.ramps import ramp_facts
from analytics.selectors.recommendation import recommendation
from experiments.services.life import advice, ramps


def wire() -> None:
    """Let the doors of experiments promote what the stored decision recommends, and advance a ramp
    that nothing stands against.
    """
    advice.set_reader(recommendation, unmet_conditions)
    ramps.set_reader(ramp_facts)
