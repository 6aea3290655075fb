"""Panels for tests: small ones written out, drawn ones with lasting shocks, real ones from the
vectors.
"""

from __future__ import annotations

import json

import numpy as np

from analytics.core.stats.did import Cell, Panel, panel_of
from analytics.core.stats.did.simulation import shocks
from tests.places import VECTORS


def drawn(
    seed: int = 1,
    *,
    regions: int = 10,
    treated: int = 5,
    periods: int = 8,
    start: int = 4,
    effect: float = 0.0,
) -> Panel:
    """Autocorrelated shocks, the first ``treated`` regions raised by ``effect`` from ``start``
    on.
    """
    values = shocks(np.random.default_rng(seed), (1, regions, periods), 0.6)[0]
    values[:treated, start:] += effect
    return panel(values, treated, start)


def panel(values: object, treated: int, start: int) -> Panel:
    """The first ``treated`` rows are treated from column ``start`` on; NaN is a gap."""
    table = np.asarray(values, dtype=float)
    names = tuple(f"r{g}" for g in range(len(table)))
    moments = tuple(f"t{t}" for t in range(table.shape[1]))
    return Panel(
        names, moments, np.arange(len(table)) < treated, np.arange(table.shape[1]) >= start, table
    )


def with_gaps(whole: Panel, *gaps: tuple[int, int]) -> Panel:
    """The panel without these (region, period) cells."""
    values = whole.values.copy()
    for region, period in gaps:
        values[region, period] = np.nan
    return Panel(whole.regions, whole.periods, whole.treated, whole.post, values)


def organ_donations() -> Panel:
    """Kessler and Roth: California among 27 states."""
    known = json.loads((VECTORS / "organ_donations.json").read_text(encoding="utf-8"))
    cells = [
        Cell(state, p, v)
        for state, values in known["values"].items()
        for p, v in zip(known["periods"], values, strict=True)
    ]
    return panel_of(cells, treated=[known["treated"]], post=known["post"])


def card_krueger() -> Panel:
    """Restaurants of New Jersey and Pennsylvania before and after the minimum wage rose in New
    Jersey.
    """
    known = json.loads((VECTORS / "card_krueger.json").read_text(encoding="utf-8"))
    cells = [
        Cell(f"{group} {k}", period, value)
        for group in ("treated", "control")
        for period in ("before", "after")
        for k, value in enumerate(known[group][period], 1)
        if value is not None
    ]
    return panel_of(
        cells, treated={c.region for c in cells if c.region.startswith("treated")}, post=["after"]
    )
