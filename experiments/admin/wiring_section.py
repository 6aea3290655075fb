"""Whether an application is wired up: lines to paste, what was seen of each, and what arrives right
now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from analytics.selectors.arriving.tail import TailRow, TailSubject, tail
from analytics.selectors.arriving.wiring import oddities_lately, wired
from analytics.services.ingest import watches
from experiments.admin.base import actor_of, may
from experiments.admin.experiment_view import View
from experiments.core.clock import utc_now
from experiments.core.design.metric_definitions import OF_OTHER_TABLES
from experiments.core.permissions import Action
from experiments.core.snippets import Snippet, Wire, snippets
from experiments.core.types import Environment, FlagType, MetricRole
from experiments.models import Experiment, Flag
from experiments.services.ground.audit import unit_hash

SHORT = 8


@dataclass(frozen=True)
class Shown:
    """A row of the tail as this person may see it: the unit by its id, or by the beginning of its
    keyed hash.
    """

    row: TailRow
    unit: str


def section(view: View, items: Sequence[Any]) -> dict[str, Any]:
    """The wiring tab; looking at it lets answers be noted for the next ten minutes."""
    flag = view.experiment.flag
    environment = environment_of(view.request)
    arriving = tail_of(view.request, view.experiment)
    return {
        "snippets": [] if flag is None else of_flag(view.request, flag, view.experiment),
        "seen": wired(view.experiment, _sent(view.experiment), view.now, environment),
        "oddities": oddities_lately(view.now),
        "environment": environment.value,
        "environments": [one.value for one in Environment],
        "tail_url": view.url("tail") + f"?environment={environment.value}",
        "may_make_keys": view.may(Action.ADMINISTER),
        **arriving,
    }


def of_flag(
    request: HttpRequest, flag: Flag, experiment: Experiment | None = None
) -> tuple[Snippet, ...]:
    """The lines for one flag, at the address that this page has."""
    base = request.build_absolute_uri("/").rstrip("/")
    kind, default = FlagType(flag.value_type), flag.default_value
    if experiment is None:
        return snippets(Wire(flag.key, kind, default, base))
    sent = _sent(experiment)
    return snippets(Wire(flag.key, kind, default, base, experiment.unit_type, experiment.key, sent))


def tail_of(request: HttpRequest, experiment: Experiment) -> dict[str, Any]:
    """The newest rows about an experiment, with units as this person may see them."""
    actor, now = actor_of(request), utc_now()
    raw = may(request, Action.RAW_ROWS)
    if raw:
        watches.look(actor, now, experiment=experiment)
    else:
        watches.look_without_units(actor, now, experiment)
    rows = tail(TailSubject(experiment, environment=environment_of(request)), now)
    return {"tail": [Shown(row, _unit(row, raw)) for row in rows], "raw": raw, "tail_at": now}


def environment_of(request: HttpRequest) -> Environment:
    """Production unless test traffic is asked for."""
    return (
        Environment.TEST
        if request.GET.get("environment") == Environment.TEST.value
        else Environment.PRODUCTION
    )


def _unit(row: TailRow, raw: bool) -> str:
    if row.unit is None:
        return ""
    return row.unit if raw else f"#{unit_hash(row.unit_type or 'user', row.unit)[:SHORT]}"


def _sent(experiment: Experiment) -> list[tuple[str, str]]:
    """What the experiment's metrics read: events by type, observations by name; each once, the
    primary metric's first. What stands for rows of other tables nobody sends as an event.
    """
    found: dict[tuple[str, str], None] = {}
    plans = experiment.planned_metrics.all()
    for plan in sorted(plans, key=lambda plan: plan.role != MetricRole.PRIMARY):
        metric = plan.metric
        if metric.source == "observation":
            found[("observation", metric.key)] = None
        for name in (*metric.event_types, *metric.denominator_event_types):
            if name not in OF_OTHER_TABLES:
                found[("event", name)] = None
    return list(found)
