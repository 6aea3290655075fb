"""Difference-in-differences: did treated regions change more than control regions?"""

from analytics.core.stats.did.analysis import DidResult, SequentialView, difference_in_differences
from analytics.core.stats.did.inference import Test
from analytics.core.stats.did.panel import Cell, Panel, StaggeredAdoption, one_start, panel_of
from analytics.core.stats.did.trends import EventPoint, Placebo, PreTrend, WithoutRegion

__all__ = [
    "Cell", "DidResult", "EventPoint", "Panel", "Placebo", "PreTrend", "SequentialView", "StaggeredAdoption", "Test",
    "WithoutRegion", "difference_in_differences", "one_start", "panel_of",
]  # fmt: skip
