"""A panel of regions over periods, some of the regions treated from one moment on.

Question: whose values are these, when, and what was changed where? Regions are the clusters: shocks
of a region last, so its periods are not independent observations. Treatment starts once, at the
same period for all treated regions, and stays. Staggered adoption is refused, not estimated: with
several starts the two-way fixed-effects coefficient compares late starters with early ones and may
have the wrong sign even when every effect is positive (Goodman-Bacon 2021), so a number would
answer another question than the one asked.

Cells may be missing. A region without any period before or without any after the start says nothing
about a change and is left out by name; other gaps stay gaps: the fixed effects use the cells there
are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from analytics.core.ground.errors import ImpossiblePlan, ImpossibleTotals

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


class StaggeredAdoption(ImpossiblePlan):
    """Regions start at different periods; two-way fixed effects would not estimate their effect."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One region's value of the metric in one period."""

    region: str
    period: str
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """``values`` are regions × periods, NaN where nothing was observed; periods are in their order
    of time.
    """

    regions: tuple[str, ...]
    periods: tuple[str, ...]
    treated: Flags
    post: Flags
    values: Floats

    @property
    def observed(self) -> Flags:
        """Which cells hold a value."""
        return ~np.isnan(self.values)

    @property
    def n_treated(self) -> int:
        """How many regions are treated."""
        return int(self.treated.sum())

    @property
    def n_control(self) -> int:
        """How many regions are not."""
        return len(self.regions) - self.n_treated

    @property
    def smaller_group(self) -> int:
        """The number of treated or of control regions, whichever is smaller: what inference hangs
        on.
        """
        return min(self.n_treated, self.n_control)

    @property
    def missing(self) -> int:
        """Cells without a value."""
        return int((~self.observed).sum())

    def of_regions(self, kept: Flags) -> Panel:
        """The panel of these regions alone."""
        names = tuple(name for name, keep in zip(self.regions, kept, strict=True) if keep)
        return replace(self, regions=names, treated=self.treated[kept], values=self.values[kept])

    def before(self) -> Panel:
        """The periods before the start alone; ``post`` is nowhere true in it."""
        return self.of_periods(~self.post)

    def of_periods(self, kept: Flags) -> Panel:
        """The panel of these periods alone."""
        names = tuple(name for name, keep in zip(self.periods, kept, strict=True) if keep)
        return replace(self, periods=names, post=self.post[kept], values=self.values[:, kept])

    def starting_at(self, position: int) -> Panel:
        """The same values, as if treatment had begun at this period."""
        return replace(self, post=np.arange(len(self.periods)) >= position)


def panel_of(
    cells: Iterable[Cell],
    *,
    treated: Iterable[str],
    post: Iterable[str],
    periods: Sequence[str] | None = None,
    regions: Iterable[str] = (),
) -> Panel:
    """A panel from its cells. ``periods`` is their order in time; without it, the order of first
    appearance.

    ``regions`` may name some that have no cell at all; they stay in the panel, to be left out by
    name.

    Refused: a value that is not finite, a second value for a cell, treated regions or periods that
    have no cell, nobody left as control, no period before or after, post periods that are not the
    last.
    """
    given = list(cells)
    values = _values(given)
    names = tuple(dict.fromkeys([*regions, *(cell.region for cell in given)]))
    order = _order(given, periods)
    chosen, after = set(treated), set(post)
    _refuse_unknown("treated region", chosen, names)
    _refuse_unknown("post period", after, order)
    flags = np.array([region in chosen for region in names], dtype=bool)
    later = np.array([period in after for period in order], dtype=bool)
    _refuse_no_comparison(flags, later, names, order)
    table = np.array(
        [[values.get((region, period), math.nan) for period in order] for region in names],
        dtype=float,
    )
    return Panel(names, order, flags, later, table)


def one_start(starts: Mapping[str, str]) -> str:
    """The period at which all treated regions start, from region → first treated period; refuses
    staggered adoption.
    """
    by_start: dict[str, list[str]] = {}
    for region, start in starts.items():
        by_start.setdefault(start, []).append(region)
    if not by_start:
        raise ImpossiblePlan("no region is treated in any period")
    if len(by_start) > 1:
        found = "; ".join(
            f"{', '.join(regions[:3])}{' …' if len(regions) > 3 else ''} at {start}"
            for start, regions in by_start.items()
        )
        raise StaggeredAdoption(
            f"treated regions start at different periods ({found}): staggered adoption is refused, since two-way fixed effects"
            " would compare late starters with early ones; give each start a pilot of its own with regions that are never treated"
        )
    return next(iter(by_start))


def usable(panel: Panel) -> tuple[Panel, tuple[str, ...]]:
    """The regions seen both before and after the start, and the names of those left out."""
    seen = panel.observed
    kept = seen[:, ~panel.post].any(axis=1) & seen[:, panel.post].any(axis=1)
    return (panel if kept.all() else panel.of_regions(np.asarray(kept))), tuple(
        np.array(panel.regions, dtype=object)[~kept].tolist()
    )


def _values(cells: Sequence[Cell]) -> dict[tuple[str, str], float]:
    values: dict[tuple[str, str], float] = {}
    for cell in cells:
        where = (cell.region, cell.period)
        if not math.isfinite(cell.value):
            raise ImpossibleTotals(
                f"region {cell.region}, period {cell.period}: expected a finite value, found {cell.value!r}"
            )
        if where in values:
            raise ImpossibleTotals(
                f"region {cell.region}, period {cell.period}: two values; a region has one value a period"
            )
        values[where] = cell.value
    if not values:
        raise ImpossibleTotals("the panel has no cells")
    return values


def _order(cells: Sequence[Cell], periods: Sequence[str] | None) -> tuple[str, ...]:
    seen = tuple(dict.fromkeys(cell.period for cell in cells))
    if periods is None:
        return seen
    if len(set(periods)) < len(periods):
        raise ImpossiblePlan(f"the order of periods names one twice: {', '.join(periods)}")
    _refuse_unknown("period", set(seen), periods)
    return tuple(period for period in periods if period in set(seen))


def _refuse_unknown(what: str, named: set[str], known: Iterable[str]) -> None:
    there = tuple(known)
    absent = sorted(named - set(there))
    if absent:
        raise ImpossiblePlan(
            f"{what} {absent[0]!r} is not in the panel; it has {', '.join(there)[:300]}"
        )


def _refuse_no_comparison(
    treated: Flags, post: Flags, regions: Sequence[str], order: Sequence[str]
) -> None:
    if not treated.any() or treated.all():
        found = "none" if not treated.any() else f"all {len(regions)}"
        raise ImpossiblePlan(f"a comparison needs treated and control regions; treated are {found}")
    if not post.any() or post.all():
        raise ImpossiblePlan(
            f"a comparison needs periods before and after the start; after are {'none' if not post.any() else 'all'}"
        )
    if (post[:-1] & ~post[1:]).any():
        first = int(np.argmax(post))
        gap = next(order[t] for t in range(first, len(order)) if not post[t])
        raise ImpossiblePlan(
            f"treatment stays once it has begun, but period {gap!r} comes after {order[first]!r} and is not treated;"
            f" periods are in the order {', '.join(order)[:300]}"
        )
