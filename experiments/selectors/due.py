"""What has come due: the tables are the queue, beat only asks."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db.models import Exists, OuterRef, Q

from experiments.core.design.policies import PolicyRules, rules_from_json
from experiments.core.types import MetricRole, PauseCause, Status
from experiments.models import (
    Experiment,
    ExperimentMetric,
    GlobalHoldout,
    Override,
    Pause,
    Rollout,
    ServingDocument,
)

log = structlog.get_logger(__name__)

HARM_HOURS = 72
"""Hours after a harm stop in which people may still resume; then it is concluded."""
LAST_LOOK_HOURS = 48
"""Hours that an experiment with a primary metric runs on past its planned end, so that the last
look can be taken.
"""


class UnreadablePolicy(Exception):
    """The stored rules of a policy are not what the platform writes: somebody has to mend the
    row.
    """


def to_start(now: datetime) -> list[int]:
    """Experiments whose planned start has come: dark-launched ones, and drafts whose policy has no
    dark launch.

    A draft whose policy cannot be read is due as well: its own start then fails, is counted and
    reported, and no other waits.
    """
    planned = Experiment.objects.filter(planned_start__lte=now).order_by("planned_start", "pk")
    dark = planned.filter(status=Status.DARK_LAUNCH)
    drafts = planned.filter(status=Status.DRAFT).select_related("policy")
    direct = [experiment.pk for experiment in drafts if not _goes_dark_first(experiment)]
    return [*dark.values_list("pk", flat=True), *direct]


def _goes_dark_first(draft: Experiment) -> bool:
    """Whether the draft's policy wants a dark launch before the start; not of a policy that cannot
    be read.
    """
    try:
        return read_policy(draft).dark_launch
    except UnreadablePolicy:
        log.exception("policy_not_read", experiment=draft.pk)
        return False


def read_policy(experiment: Experiment) -> PolicyRules:
    """The rules of the experiment's policy. Rules that cannot be read are a fault, and no refusal
    of the experiment.
    """
    policy = experiment.policy
    try:
        return rules_from_json(policy.rules)
    except Exception as error:
        raise UnreadablePolicy(
            f"{experiment.key}: the rules of policy {policy.key} {policy.version} cannot be read: {error}"
        ) from error


def to_end(now: datetime) -> list[int]:
    """Live experiments past their planned end; those that decide by a primary metric get time for
    the last look.
    """
    late = now - timedelta(hours=LAST_LOOK_HOURS)
    live = Experiment.objects.filter(status__in=(Status.RUNNING, Status.PAUSED)).exclude(
        pause_cause=PauseCause.HARM
    )
    decides = Exists(
        ExperimentMetric.objects.filter(experiment=OuterRef("pk"), role=MetricRole.PRIMARY)
    )
    ended = live.filter(Q(~decides, planned_end__lte=now) | Q(planned_end__lte=late))
    return list(ended.order_by("planned_end", "pk").values_list("pk", flat=True))


def harm_unresolved(now: datetime) -> list[int]:
    """Experiments stopped for harm three days ago, with nobody having resumed or concluded them."""
    open_pauses = Pause.objects.filter(
        cause=PauseCause.HARM,
        ended_at__isnull=True,
        started_at__lte=now - timedelta(hours=HARM_HOURS),
        iteration__ended_at__isnull=True,
    )
    return list(
        open_pauses.order_by("started_at").values_list("iteration__experiment_id", flat=True)
    )


def catalogue_expired(now: datetime) -> bool:
    """Whether an override, a holdback or the global holdout has ended since the catalogue was
    built.
    """
    built = (
        ServingDocument.objects.filter(kind="catalogue")
        .order_by("-version")
        .values_list("built_at", flat=True)
        .first()
    )
    if built is None:
        return True
    shown = (Status.DRAFT, Status.DARK_LAUNCH, Status.RUNNING)
    ended = Override.objects.filter(
        expires_at__gt=built, expires_at__lte=now, experiment__status__in=shown
    ).exists()
    holdback = Rollout.objects.filter(
        closed_at__isnull=True, holdback_until__gt=built, holdback_until__lte=now
    ).exists()
    return (
        ended
        or holdback
        or GlobalHoldout.objects.filter(
            ended_at__isnull=True, until__gt=built, until__lte=now
        ).exists()
    )
