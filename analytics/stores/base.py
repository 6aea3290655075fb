"""What a store must answer: sufficient totals per variant, never rows.

Which totals a metric needs its kind says (``analytics.core.kinds``): a number per unit, numerator
and denominator per unit, a quantile of rows, or a time per unit.

Every store counts the same units and the same rows:

- A unit is one production assignment of the iteration and phase, first exposed by the data cut. A
  unit that met a second variant stays with its first one and is counted as a crossover.
- A *matured* unit was first exposed at least W + 24 h before the cut (W the metric's window); the
  24 hours are for rows that come late. A metric without a window takes every unit exposed by the
  cut.
- A unit's rows are those of its own id (of the experiment's unit type, or found in the row's map of
  units) in [first exposure, first exposure + W), or until the cut. Rows of the test environment
  never count.
- A unit's rows *from before* are those in [first exposure − look-back, first exposure), whatever
  they are stamped with. Where the exposure came without a time and was dated by its arrival, rows
  of the grace before it are neither from before nor its rows, unless the plan counts them as
  outcome. Where a metric gives silent units a zero, a unit without rows before has a zero before.
- An observation stamped with an experiment counts in that experiment only, an unstamped one in
  every experiment of its unit. A metric with stamped attribution takes rows stamped with this
  experiment and the unit's own variant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.observed import Observed
from analytics.core.ground.totals import Totals
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.types import Phase

OWN_PAST: Final = ""
"""As a covariate: the metric itself, from before the first exposure. Any other text names one
frozen at first exposure.
"""
POOLED: Final = 0
"""The key under which the totals of a population taken as one group come."""
PARTS: Final = 2**31
"""More than any variant has an id, so that a variant and a part make one key."""
Grouping = Literal["variant", "all", "cell"]
"""What totals are keyed by: the variant's id, ``POOLED``, or one of ``CELLS`` cells that units are
dealt into.
"""
CELLS: Final = 10_000
"""Enough that splitting cells at random is as good as splitting units: with 1,000 the size of a 5 %
test is off by .005 either way.
"""


@dataclass(frozen=True)
class OtherIteration:
    """A part for each variant of another iteration, of the same unit type: of the units that met it
    before their window here was over.
    """

    iteration_id: int


@dataclass(frozen=True)
class Declared:
    """A part for each value declared of a covariate frozen at first exposure, in their order."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Population:
    """Whose data to total: one iteration's units, first exposed between ``exposed_from`` and the
    cut.

    ``blackouts`` are pauses of more than 24 hours: a matured unit whose window overlaps one is left
    out in every arm; alarms count everybody. ``rows_from`` only spares the store old partitions.
    ``variants`` keeps only units of those, ``buckets`` only units that hash into one of those;
    ``grouping`` takes all of them as one group (the control twins of a dark launch), or cell by
    cell (to split one arm anew). With a ``split`` only units that belong to a part count, and
    totals come by variant and part (``part_of`` reads such a key). ``arrival_grace`` holds for
    units whose exposure was dated by its arrival, in every arm alike.
    """

    experiment_id: int
    iteration_id: int
    unit_type: str
    cut: datetime
    phase: Phase = Phase.MAIN
    exposed_from: datetime | None = None
    rows_from: datetime | None = None
    blackouts: tuple[tuple[datetime, datetime], ...] = ()
    variants: tuple[int, ...] = ()
    buckets: tuple[int, ...] = ()
    grouping: Grouping = "variant"
    split: OtherIteration | Declared | None = None
    arrival_grace: timedelta = timedelta(0)
    arrival_grace_counts: bool = False


def part_of(key: int) -> tuple[int, int]:
    """Variant and part of a key of split totals; the part is the other variant's id, or the place
    of the declared value.
    """
    return divmod(key, PARTS)


@dataclass(frozen=True)
class ArmCount:
    """Who met a variant: units, exposures (impressions), crossovers, and the first and last first
    exposure.

    ``delays`` totals, of units whose first exposure carries the client's time, ln(1 + seconds until
    it arrived).
    """

    variant_id: int
    units: int
    exposures: int
    crossovers: int
    first: datetime
    last: datetime
    delays: Totals = field(default_factory=lambda: Totals(0, 0.0, 0.0))


@dataclass(frozen=True)
class MetricTotals:
    """One arm's totals of one metric; ``exposed`` counts its matured units, with and without a
    value.
    """

    totals: Observed
    exposed: int


@dataclass(frozen=True)
class LargestValues:
    """The largest unit values of a metric that are not 0, rising, and how many units have smaller
    ones (0 left out).
    """

    values: tuple[float, ...]
    smaller: int


@dataclass(frozen=True)
class Description:
    """One arm's rows and unit values of a metric as they came: to be read, never to decide by.

    ``rows`` are the metric's rows, ``row_mean`` the mean of their numbers, ``converted`` the units
    with a row above zero, ``exposed`` all units looked at. ``units`` totals their values, and
    ``least`` and ``most`` are the extremes of these; None without any.
    """

    exposed: int
    rows: int
    converted: int
    row_mean: float | None
    units: Totals
    least: float | None
    most: float | None


@dataclass(frozen=True)
class HourCount:
    """One variant's hour: units first exposed in it, and units whose first row of a metric came in
    it.
    """

    variant_id: int
    at: datetime
    exposed: int
    first_rows: int


@dataclass(frozen=True)
class Spending:
    """What one variant's units cost with one model since their exposure; money in micros, priced at
    ``priced_micro`` where none was sent.

    ``calls`` are the rows behind it, ``unpriced`` those without money or a price. Of
    ``cache_known`` calls it is known whether a cache answered, and of ``cache_hits`` that one did.
    ``model`` is empty for what events told themselves.
    """

    variant_id: int
    model: str
    calls: int
    tokens_in: int
    tokens_out: int
    cost_micro: int
    priced_micro: int
    unpriced: int
    cache_known: int
    cache_hits: int


@dataclass(frozen=True)
class CarriedName:
    """A name under which units carry a covariate, or events an embedding statistic; ``numeric``:
    everything met there was a number.
    """

    source: Literal["covariates", "embedding_stats"]
    name: str
    numeric: bool


Span = tuple[datetime, datetime]
"""From, until before."""
OTHERS: Final = "…"
"""Words too rare to be counted one by one."""


@dataclass(frozen=True)
class UnitValue:
    """One unit by name, with its arm and its value of a metric: only ever of a few units that stand
    out.
    """

    unit: str
    variant_id: int
    value: float


class Store(Protocol):
    """Where observed rows live."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Within it, every answer is of the same moment."""
        ...

    def arms(self, population: Population) -> Sequence[ArmCount]:
        """Everybody exposed by the cut, per variant; for display and health."""
        ...

    def largest(
        self, population: Population, metric: MetricDefinition, share: float
    ) -> LargestValues:
        """The largest share of the matured units' values that are not 0, over all variants,
        whatever the metric's cap.
        """
        ...

    def spread(self, population: Population, metric: MetricDefinition) -> Mapping[float, int]:
        """How many matured units have each value other than 0, over all variants, to a
        thousandth.
        """
        ...

    def beyond(
        self, population: Population, metric: MetricDefinition, limit: float, most: int
    ) -> Sequence[UnitValue]:
        """The matured units whose value lies above a limit, the largest first, at most so many."""
        ...

    def describe(
        self, population: Population, metric: MetricDefinition, *, matured: bool
    ) -> Mapping[int, Description]:
        """What came in, per group of the population: of the matured units, or of everybody exposed
        so far.
        """
        ...

    def first_rows(self, population: Population, metric: MetricDefinition) -> Sequence[HourCount]:
        """Hour by hour, of everybody exposed: who came, and who had their first row (of a ratio:
        above its line) inside their window.
        """
        ...

    def worth(
        self, population: Population, outcome: MetricDefinition, cost: MetricDefinition
    ) -> Mapping[int, UnitMoments]:
        """Per group, of the outcome's matured units: the outcome y (of a ratio: above its line) and
        the cost c of each, in its window.
        """
        ...

    def spent(self, population: Population) -> int:
        """What the iteration's units (of every phase) have cost since exposure, metered costs
        included once, in micros.
        """
        ...

    def wearing(
        self, population: Population, metric: MetricDefinition, days: int
    ) -> Mapping[int, Totals]:
        """Per group, of units followed for twice so many days and the grace: each one's value in
        the first ``days`` since its exposure minus that in the ``days`` after; of counts and sums
        per day. Only for metrics with a number per unit."""
        ...

    def since_exposure(
        self, population: Population, metric: MetricDefinition, days: int
    ) -> Mapping[tuple[int, int], Totals]:
        """By group and day since the first exposure (0: its first 24 hours), so many days: of units
        followed to the end of that day and the grace, each one's value in it. Only for metrics with
        a number per unit."""
        ...

    def watched(self, population: Population, most: int) -> Sequence[CarriedName]:
        """What the iteration's units and events carry whose drift may be asked about: covariates
        and embedding statistics, so many.
        """
        ...

    def deciles(self, population: Population, watched: CarriedName, span: Span) -> Sequence[float]:
        """The nine deciles and the largest of the numbers met in a span; empty without any."""
        ...

    def bins(
        self, population: Population, watched: CarriedName, span: Span, edges: Sequence[float]
    ) -> Sequence[int]:
        """How many of the numbers met in a span lie in each of (−∞, e₁], (e₁, e₂], …, (e_k, ∞)."""
        ...

    def words(
        self, population: Population, watched: CarriedName, span: Span, most: int
    ) -> Mapping[str, int]:
        """How often each of the most frequent words was met in a span; the others together under
        ``OTHERS``.
        """
        ...

    def spending(self, population: Population) -> Sequence[Spending]:
        """What units have cost since exposure, per variant and model; rows stamped with another
        experiment are another one's.
        """
        ...

    def spending_and_spent(self, population: Population) -> tuple[Sequence[Spending], int]:
        """``spending`` and, of the same rows at once, the iteration's ``spent``."""
        ...

    def totals(
        self,
        population: Population,
        metric: MetricDefinition,
        *,
        matured: bool = True,
        covariate: str | None = None,
    ) -> Mapping[int, MetricTotals]:
        """Totals per group of the population, in the form of the metric's kind; ``matured`` False:
        of everybody exposed, so far.

        ``covariate``: also each unit's value from before (``OWN_PAST``, or a covariate's name);
        ignored by kinds that cannot use one.
        """
        ...
