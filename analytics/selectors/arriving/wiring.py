"""Is the application wired up: when was an answer asked for, an exposure told, each event of the
metrics sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, QuerySet, Sum

from analytics.core.intake.tallies import IGNORED
from analytics.core.intake.twins import TWINS
from analytics.models import AiEvent, IngestTally, MetricObservation
from analytics.selectors.arriving.tail import TailSubject, newest_answer, newest_exposure
from experiments.core.types import Environment
from experiments.models import Experiment

BACK = timedelta(days=2)
"""Events are looked for so far back: each day is a partition, and a wire that is cut should show.
"""


@dataclass(frozen=True)
class WireSeen:
    """One thing that an application should send: what, by its name, when it last came (None: not
    seen), how often lately.

    ``implied``: it was not noted itself; something that cannot come without it was.
    """

    what: str
    name: str
    last: datetime | None
    count: int | None = None
    implied: bool = False


def wired(
    experiment: Experiment, sent: Sequence[tuple[str, str]], now: datetime, environment: Environment
) -> tuple[WireSeen, ...]:
    """The newest assignment and exposure, and each of ``sent``: pairs of event or observation, and
    its name.
    """
    exposed = newest_exposure(experiment, environment)
    found = {
        **_lately("event", AiEvent.objects.all(), "event_type", experiment, now, environment),
        **_lately(
            "observation",
            MetricObservation.objects.all(),
            "metric_name",
            experiment,
            now,
            environment,
        ),
    }
    return (
        _answered(newest_answer(TailSubject(experiment, environment=environment)), exposed),
        WireSeen("exposure", "", exposed),
        *(_came(what, name, now, *found.get((what, name), (None, 0))) for what, name in sent),
    )


def _came(what: str, name: str, now: datetime, last: datetime | None, count: int) -> WireSeen:
    """A client's clock may be ahead: what has come did not come in the future."""
    return WireSeen(what, name, None if last is None else min(last, now), count)


def _answered(noted: datetime | None, exposed: datetime | None) -> WireSeen:
    """Answers are noted only while somebody looks; a unit that was exposed had its answer, whether
    or not anybody looked.
    """
    if noted is None and exposed is not None:
        return WireSeen("assignment", "", exposed, implied=True)
    return WireSeen("assignment", "", noted)


@dataclass(frozen=True)
class Oddities:
    """What clients sent in the last two days, on the whole platform, that its senders may not have
    meant.

    ``ignored``: messages of other tools' clients that were of no kind that is kept. ``twins``: new
    units whose letters are another unit's in other code points.
    """

    ignored: int
    twins: int


def oddities_lately(now: datetime) -> Oddities:
    """Counted in one question, because the wiring tab asks many."""
    counted = IngestTally.objects.filter(day__gte=(now - BACK).date(), outcome__in=(IGNORED, TWINS))
    found = dict(counted.order_by().values_list("outcome").annotate(n=Sum("count")))
    return Oddities(found.get(IGNORED, 0), found.get(TWINS, 0))


def _lately(
    what: str,
    rows: QuerySet[AiEvent] | QuerySet[MetricObservation],
    name: str,
    experiment: Experiment,
    now: datetime,
    environment: Environment,
) -> dict[tuple[str, str], tuple[datetime, int]]:
    days = ((now - BACK).date(), now.date() + timedelta(days=1))
    mine = rows.filter(
        experiment_id=experiment.pk, environment=environment.value, event_date__range=days
    )
    counted = mine.order_by().values_list(name).annotate(last=Max("ts"), n=Count("event_id"))
    return {(what, one): (last, n) for one, last, n in counted}
