"""How many units of each arm an outcome has happened to so far: counted from everybody exposed,
without waiting for windows to end.

Dashboards and operators read these counts; decisions rest on the analysis alone. Rates and counts
are of the same units, so that they agree. Counting an experiment writes one row. A scrape counts
what is older than a few seconds within its time; beat counts the rest. After its end an experiment
is counted once more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog
from django.db import connection, transaction
from django.db.models import F, Q
from psycopg.errors import QueryCanceled

from analytics.models import OutcomeCount, ToldOutcome
from analytics.models.counts import OTHER, OUTCOMES_AT_MOST
from analytics.selectors.arriving.unit_sql import unit_of
from analytics.selectors.exposition import shown
from analytics.selectors.stored import mark
from analytics.services.analysis import unchanged
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.types import MetricKind, MetricRole, Origin
from experiments.models import Iteration, Metric
from experiments.selectors.experiments import iteration_design
from experiments.selectors.metrics import definition_of

log = structlog.get_logger(__name__)

FRESH = timedelta(seconds=10)
"""Counts younger than this are left alone."""
QUICK_MS = 100
"""What took longer is not counted again within a scrape."""
LONGEST_MS = 30_000
KIND = "count"
_COUNTS = (MetricKind.PROPORTION, MetricKind.COUNT, MetricKind.MEAN)
_SHARES = (MetricKind.PROPORTION,)
"""Kinds whose primary metric is a share of units, so that a rate of units says what it is."""


@dataclass(frozen=True)
class _Outcome:
    """An outcome's name, where its rows are, and within how many hours of exposure they count
    (None: any).
    """

    name: str
    source: str
    types: tuple[str, ...]
    hours: int | None = None


def count_within(now: datetime, seconds: float) -> None:
    """Count again what runs and was counted quickly the last time, the oldest first, while there is
    time.
    """
    end = time.monotonic() + seconds
    for iteration in _stale(now, took_at_most=QUICK_MS):
        left = end - time.monotonic()
        if left <= 0:
            return
        _try(iteration, now, limit_ms=max(1, int(left * 1000)))


def count_all(now: datetime) -> None:
    """Count again everything that runs; what takes long is counted less often, so that counting
    costs little.
    """
    for iteration in _stale(now):
        _try(iteration, now, limit_ms=LONGEST_MS)


def counted(iteration: Iteration, now: datetime) -> OutcomeCount | None:
    """The stored counts of an iteration, counted now where there are none; None of one that cannot
    be counted.
    """
    rows = OutcomeCount.objects.filter(iteration=iteration).exclude(arms=[])
    if not rows.exists():
        _try(iteration, now, limit_ms=LONGEST_MS)
    return rows.first()


def count(iteration: Iteration, now: datetime, *, limit_ms: int = LONGEST_MS) -> OutcomeCount:
    """Count one iteration's units and outcomes, and keep the numbers."""
    began = time.monotonic()
    primary, outcomes, overflows = _outcomes(iteration)
    numbers = _numbers(iteration, outcomes, overflows, now, limit_ms)
    arms = [
        {
            "key": key,
            "is_control": control,
            "units": numbers.get((pk, None), 0),
            "outcomes": _of_arm(numbers, pk, outcomes, overflows),
        }
        for pk, key, control in iteration.experiment.variants.order_by(
            "position", "pk"
        ).values_list("pk", "key", "is_control")
    ]
    took = int((time.monotonic() - began) * 1000)
    row, _ = OutcomeCount.objects.update_or_create(
        iteration=iteration,
        defaults={"counted_at": now, "took_ms": took, "primary": primary, "arms": arms},
    )
    return row


def _of_arm(
    numbers: dict[tuple[int, str | None], int],
    pk: int,
    outcomes: Sequence[_Outcome],
    overflows: bool,
) -> dict[str, int]:
    names = [*(one.name for one in outcomes), *([OTHER] if overflows else [])]
    return {name: numbers.get((pk, name), 0) for name in names}


def _try(iteration: Iteration, now: datetime, *, limit_ms: int) -> None:
    """One experiment that cannot be counted in its time, or at all, keeps its last numbers and
    leaves the others alone.
    """
    try:
        before = mark()
        count(iteration, now, limit_ms=limit_ms)
        unchanged.note(KIND, iteration.pk, before, now)
    except Exception as error:
        if _ran_out_of_time(error):
            log.warning(
                "outcomes_not_counted_in_time",
                experiment=iteration.experiment.key,
                limit_ms=limit_ms,
            )
        else:
            log.exception("outcomes_not_counted", experiment=iteration.experiment.key)
        # Where the database itself is away this fails too, and ends the round.
        _note_attempt(iteration, now, max(limit_ms, QUICK_MS + 1))


def _ran_out_of_time(error: Exception) -> bool:
    """Whether PostgreSQL ended the statement at its time limit (or somebody cancelled it)."""
    return isinstance(error.__cause__, QueryCanceled)


def _note_attempt(iteration: Iteration, now: datetime, took_ms: int) -> None:
    """The next attempt waits as long as after a count that took this long. Numbers and their age
    stay as they are.
    """
    tried = {"tried_at": now, "took_ms": took_ms}
    OutcomeCount.objects.update_or_create(
        iteration=iteration, defaults=tried, create_defaults=tried | {"counted_at": now}
    )


def _stale(now: datetime, took_at_most: int | None = None) -> list[Iteration]:
    """Open iterations whose counts are old: older than ten seconds, and than twenty times what
    counting took.

    While nothing is stored, counts stay as they are. An iteration that ended is counted once more,
    and then keeps its numbers.
    """
    rows = shown(now).filter(experiment__origin=Origin.LIVE)
    rows = rows.filter(
        Q(ended_at__isnull=True)
        | Q(outcome_count__isnull=True)
        | Q(outcome_count__counted_at__lt=F("ended_at"))
    )
    rows = rows.select_related("experiment", "outcome_count").order_by(
        "outcome_count__counted_at", "pk"
    )
    stale = {row.pk: row for row in rows if _is_stale(_counted(row), now, took_at_most)}
    return [stale[pk] for pk in unchanged.due(KIND, list(stale), now)]


def _counted(iteration: Iteration) -> OutcomeCount | None:
    return iteration.outcome_count if hasattr(iteration, "outcome_count") else None


def _is_stale(counted: OutcomeCount | None, now: datetime, took_at_most: int | None) -> bool:
    if counted is None:
        return True
    if took_at_most is not None and counted.took_ms > took_at_most:
        return False
    tried = max(counted.counted_at, counted.tried_at or counted.counted_at)
    return now - tried >= max(FRESH, timedelta(milliseconds=20 * counted.took_ms))


def _outcomes(iteration: Iteration) -> tuple[str, list[_Outcome], bool]:
    """The primary metric's outcome where it is a share of units, all outcomes that are counted, and
    whether some told names found no slot.
    """
    design = iteration_design(iteration)
    planned = {(m.key, m.version) for m in design.metrics}
    definitions = [
        definition_of(row) for row in Metric.objects.filter(key__in=[m.key for m in design.metrics])
    ]
    found: dict[tuple[str, str], _Outcome] = {
        (d.key, d.source): _as_outcome(d)
        for d in definitions
        if (d.key, d.version) in planned and _is_outcome(d)
    }
    shares = {d.key for d in definitions if (d.key, d.version) in planned and d.kind in _SHARES} & {
        name for name, _ in found
    }
    primary = next(
        (m.key for m in design.metrics if m.role == MetricRole.PRIMARY and m.key in shares),
        "",
    )
    told = list(
        ToldOutcome.objects.filter(
            experiment_id=iteration.experiment_id, slot__lt=OUTCOMES_AT_MOST
        ).order_by("slot")
    )
    known = {
        d.key: d
        for d in map(
            definition_of, Metric.objects.filter(key__in=[one.name for one in told], current=True)
        )
    }
    for one in told:
        found.setdefault((one.name, one.source), _told(one, known.get(one.name)))
    overflows = ToldOutcome.objects.filter(
        experiment_id=iteration.experiment_id, slot=OUTCOMES_AT_MOST
    ).exists()
    return primary, list(found.values()), overflows


def _is_outcome(definition: MetricDefinition) -> bool:
    """Whether it counts something that happens to a unit: not a latency, a cost, a ratio or a
    time.
    """
    return definition.kind in _COUNTS and definition.value_field == "value"


def _as_outcome(definition: MetricDefinition) -> _Outcome:
    types = definition.event_types if definition.source == "event" else (definition.key,)
    return _Outcome(definition.key, definition.source, types, definition.window_hours)


def _told(one: ToldOutcome, definition: MetricDefinition | None) -> _Outcome:
    """By the definition of the metric of this name where it counts the same rows."""
    plain = _Outcome(one.name, one.source, (one.name,))
    if definition is None or not _is_outcome(definition):
        return plain
    known = _as_outcome(definition)
    return known if (known.source, known.types) == (plain.source, plain.types) else plain


_SQL = """
WITH people AS MATERIALIZED (
    SELECT user_id, variant_id, exposure_ts FROM experiment_assignments
    WHERE iteration_id = %(iteration)s AND environment = 'production' AND phase = 'main'
), wanted AS (
    SELECT * FROM unnest(%(names)s::text[], %(sources)s::text[], %(types)s::text[], %(hours)s::int[]) AS w (name, source, type, hours)
), happened AS (
    SELECT w.name, w.hours, {event_unit} AS unit, e.ts AS at
    FROM ai_events e JOIN wanted w ON w.source = 'event' AND w.type = e.event_type
    WHERE e.environment = 'production' AND e.event_date BETWEEN %(since)s AND %(until)s AND coalesce(e.value, 1) > 0
    UNION ALL
    SELECT w.name, w.hours, {observed_unit}, m."timestamp"
    FROM ai_ab_metrics m JOIN wanted w ON w.source = 'observation' AND w.type = m.metric_name
    WHERE m.environment = 'production' AND m.event_date BETWEEN %(since)s AND %(until)s AND m.value > 0
        AND (m.experiment_id IS NULL OR m.experiment_id = %(experiment)s)
    UNION ALL
    SELECT 'other', NULL, {event_unit}, e.ts FROM ai_events e
    WHERE %(other)s AND e.experiment_id = %(experiment)s AND e.environment = 'production'
        AND e.event_date BETWEEN %(since)s AND %(until)s AND coalesce(e.value, 1) > 0 AND e.event_type <> ALL(%(types)s)
    UNION ALL
    SELECT 'other', NULL, {observed_unit}, m."timestamp" FROM ai_ab_metrics m
    WHERE %(other)s AND m.experiment_id = %(experiment)s AND m.environment = 'production'
        AND m.event_date BETWEEN %(since)s AND %(until)s AND m.value > 0 AND m.metric_name <> ALL(%(types)s)
)
SELECT variant_id, NULL AS name, count(*) FROM people GROUP BY variant_id
UNION ALL
SELECT p.variant_id, h.name, count(DISTINCT p.user_id)
FROM people p JOIN happened h ON h.unit = p.user_id AND h.at >= p.exposure_ts
    AND (h.hours IS NULL OR h.at < p.exposure_ts + h.hours * interval '1 hour')
GROUP BY p.variant_id, h.name
"""


def _numbers(
    iteration: Iteration,
    outcomes: Iterable[_Outcome],
    overflows: bool,
    now: datetime,
    limit_ms: int,
) -> dict[tuple[int, str | None], int]:
    """By variant and outcome the units it happened to; by variant and None all units."""
    each = [(one, kind) for one in outcomes for kind in one.types]
    asked: dict[str, int | bool | str | date | list[str] | list[int | None]] = {
        "iteration": iteration.pk,
        "experiment": iteration.experiment_id,
        "unit": iteration.experiment.unit_type,
        "names": [one.name for one, _ in each],
        "sources": [one.source for one, _ in each],
        "types": [kind for _, kind in each],
        "hours": [one.hours for one, _ in each],
        "since": iteration.began_at.date(),
        "until": (now + timedelta(days=2)).date(),
        "other": overflows,
    }
    unit_type = iteration.experiment.unit_type
    sql = _SQL.format(event_unit=unit_of("e", unit_type), observed_unit=unit_of("m", unit_type))
    with transaction.atomic(), connection.cursor() as cursor:
        # A hash join, as in the stores: fresh tables have no statistics. Transactions around this
        # one get the settings back.
        cursor.execute(
            "SELECT set_config('enable_nestloop', 'off', true), set_config('statement_timeout', %s, true)",
            [str(limit_ms)],
        )
        cursor.execute(sql, asked)
        found = {(variant, name): many for variant, name, many in cursor.fetchall()}
        cursor.execute("SET LOCAL enable_nestloop = on; SET LOCAL statement_timeout TO DEFAULT")
    return found
