"""Geo pilots, read: the stored panel, and what its one reading said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from analytics.core.ground.encoding import restored
from analytics.core.stats.did import DidResult, Panel
from analytics.models import AnalysisRun, GeoObservation, GeoPilot
from experiments.models import Experiment

__all__ = ["DidResult", "GeoView", "latest", "panel_of_pilot", "pilot_of", "view_of"]


@dataclass(frozen=True)
class GeoView:
    """A pilot's result as a page shows it. ``result`` None: the reading failed, and ``error`` says
    why.

    ``treated`` and ``control`` are the names of all regions that were imported, also of those left
    out.
    """

    experiment: str
    metric: str
    region_label: str
    treated: tuple[str, ...]
    control: tuple[str, ...]
    periods: tuple[str, ...]
    start: str
    level: float
    source: str
    computed_at: datetime
    failed_at: datetime | None
    error: str
    result: DidResult | None


def pilot_of(experiment_id: int) -> GeoPilot | None:
    """The experiment's pilot; None for every other kind of experiment."""
    return GeoPilot.objects.select_related("experiment").filter(experiment_id=experiment_id).first()


def panel_of_pilot(pilot: GeoPilot) -> Panel:
    """The stored panel, regions and periods in their stored order."""
    regions = list(pilot.regions.order_by("position"))
    rows = {region.pk: row for row, region in enumerate(regions)}
    values = np.full((len(regions), len(pilot.periods)), math.nan)
    cells = (
        GeoObservation.objects.filter(region__pilot=pilot)
        .order_by()
        .values_list("region_id", "period", "value")
    )
    for region, period, value in cells:
        values[rows[region], period] = value
    return Panel(
        regions=tuple(region.name for region in regions),
        periods=tuple(pilot.periods),
        treated=np.array([region.treated for region in regions], dtype=bool),
        post=np.arange(len(pilot.periods)) >= pilot.start,
        values=values,
    )


def latest(experiment: Experiment) -> GeoView | None:
    """The stored reading of a pilot; None before the first, and for what is no pilot."""
    run = AnalysisRun.objects.filter(
        experiment=experiment, latest=True, experiment__geo_pilot__isnull=False
    ).first()
    return None if run is None else view_of(run)


def view_of(run: AnalysisRun) -> GeoView | None:
    """A stored run as a page shows it; None when it is not a pilot's."""
    pilot = pilot_of(run.experiment_id)
    if pilot is None:
        return None
    regions = list(pilot.regions.order_by("position").values_list("name", "treated"))
    stored = run.results.get("did")
    return GeoView(
        experiment=pilot.experiment.key,
        metric=pilot.metric,
        region_label=pilot.region_label,
        treated=tuple(name for name, treated in regions if treated),
        control=tuple(name for name, treated in regions if not treated),
        periods=tuple(pilot.periods),
        start=pilot.periods[pilot.start],
        level=float(pilot.experiment.confidence_level),
        source=pilot.source,
        computed_at=run.computed_at,
        failed_at=run.failed_at,
        error=run.error,
        result=None if stored is None else restored(stored, DidResult),
    )
