"""What beat does to one experiment, at a moment of the past: analyse, decide, move the ramp, and
report what is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.decisions import decide
from analytics.services.analysis.ramps import move_ramp
from analytics.services.writing.reports import write_report
from experiments.core.types import Actor, Outcome, Status
from experiments.models import Experiment
from experiments.selectors.experiments import open_iteration
from experiments.services.life import lifecycle


def attend(experiment: Experiment, now: datetime) -> Status:
    """A tick of beat; the status that it leaves."""
    analyse(experiment.pk, now=now, may_look=True)
    iteration = open_iteration(experiment)
    if iteration is not None:
        decide(iteration.pk, now=now)
    move_ramp(experiment.pk, now=now)
    experiment.refresh_from_db()
    if experiment.status == Status.COMPLETED:
        report(experiment, now)
    return Status(experiment.status)


def conclude_harmful(owner: Actor, experiment: Experiment, stopped: datetime, reason: str) -> None:
    """The morning after: the owner has read what happened and concludes."""
    now = stopped + timedelta(hours=20)
    lifecycle.conclude(
        owner, now, experiment_id=experiment.pk, outcome=Outcome.STOPPED_HARM, reason=reason
    )
    report(experiment, now)


def report(experiment: Experiment, now: datetime) -> None:
    """Freeze what was found, and write it down."""
    analyse(experiment.pk, now=now)
    write_report(experiment.pk, now=now)
