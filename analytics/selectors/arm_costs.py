"""What the calls of models took for each arm's units: requests, tokens, money, answers from the
cache.
"""

from __future__ import annotations

from datetime import date, datetime

from analytics.core.report.facts import ArmCost
from analytics.models.whole_tables import whole_tables
from analytics.selectors.arriving.unit_sql import unit_of
from experiments.core.types import Environment, Phase
from experiments.models import Iteration

_SQL = """
WITH calls AS (
    SELECT DISTINCT ON (c.event_id) c.event_id, c.request_id, c.tokens_in, c.tokens_out, c.cost_micro, c.cache_hit, a.variant_id
    FROM ai_priced_costs c
    JOIN ai_events e ON e.request_id = c.request_id AND e.environment = c.environment
    JOIN experiment_assignments a ON a.user_id = {unit} AND a.iteration_id = %(iteration)s
    WHERE a.phase = %(phase)s AND a.environment = %(environment)s AND c.environment = %(environment)s
      AND a.exposure_ts <= c.ts AND c.ts < %(cut)s AND c.event_date BETWEEN %(since)s AND %(until)s
      AND e.event_date BETWEEN %(since)s AND %(until)s AND (e.experiment_id IS NULL OR e.experiment_id = %(experiment)s)
    ORDER BY c.event_id, e.event_id
)
SELECT v.key, count(DISTINCT calls.request_id), sum(tokens_in), sum(tokens_out),
       CASE WHEN bool_and(cost_micro IS NOT NULL) THEN sum(cost_micro) END,
       count(DISTINCT calls.request_id) FILTER (WHERE cache_hit), count(cache_hit)
FROM calls JOIN experiment_variants v ON v.variant_id = calls.variant_id
GROUP BY v.position, v.variant_id, v.key ORDER BY v.position, v.variant_id
"""


def arm_costs(iteration: Iteration, cut: datetime) -> tuple[ArmCost, ...]:
    """By arm, in the design's order: metered and priced costs since each unit's first exposure and
    before the cut.

    An arm with a call that has neither a cost nor a price has no known cost.

    Each counts once, under the unit of its request's events; rows stamped with another experiment
    are another one's.
    """
    unit_type = iteration.experiment.unit_type
    asked: dict[str, str | int | date] = {
        "unit": unit_type,
        "iteration": iteration.pk,
        "experiment": iteration.experiment_id,
        "phase": Phase.MAIN.value,
        "environment": Environment.PRODUCTION.value,
        "cut": cut,
        "since": iteration.began_at.date(),
        "until": cut.date(),
    }
    with whole_tables() as cursor:
        cursor.execute(_SQL.format(unit=unit_of("e", unit_type)), asked)
        return tuple(_cost(*row) for row in cursor.fetchall())


def _cost(
    arm: str,
    requests: int,
    tokens_in: object,
    tokens_out: object,
    micro: object,
    cached: int,
    told: int,
) -> ArmCost:
    def whole(value: object) -> int | None:
        return None if value is None else int(str(value))

    return ArmCost(
        arm, requests, whole(tokens_in), whole(tokens_out), whole(micro), cached if told else None
    )
