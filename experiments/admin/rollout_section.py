"""What users see since a promotion: the value, the audience, who is held back, the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from analytics.selectors.holdbacks import holdback_sentence
from experiments.admin.template_filters import moment, thousandths
from experiments.core.life.lifecycle import SERVING
from experiments.core.serving.served_now import served_now
from experiments.core.types import BUCKETS, JSON
from experiments.models import Experiment, Rollout
from experiments.selectors import serving


@dataclass(frozen=True)
class SeenNow:
    """The card's rows: a headline, the value, and pairs of word and sentence; ``warning`` when
    something else decides.
    """

    headline: str
    value: JSON
    facts: Sequence[tuple[str, str]]
    warning: str = ""


def gets_now(experiment: Experiment, now: datetime) -> str:
    """What users get right now, while the experiment serves or its rollout does; empty for what
    does neither.
    """
    concerns = experiment.status in SERVING or experiment.rollouts.filter(closed_at=None).exists()
    if experiment.flag is None or not concerns:
        return ""
    return served_now(serving.current().catalogue, experiment.flag.key, now).sentence


def seen_now(experiment: Experiment, now: datetime) -> SeenNow | None:
    """What the experiment's newest rollout means today; None when it was never promoted."""
    rollout = (
        experiment.rollouts.select_related("variant", "flag").order_by("-created_at", "-pk").first()
    )
    if rollout is None:
        return None
    if rollout.closed_at is not None:
        ended = (
            "Closed",
            f"{moment(rollout.closed_at)}: {rollout.closed_reason or 'no reason given'}",
        )
        return SeenNow(
            "The flag's default: the rollout is closed.",
            rollout.flag.default_value,
            [ended],
            _warning(rollout),
        )
    facts = [
        ("Served to", _audience(rollout)),
        ("Everybody else", "gets the flag's default, unless an override says otherwise"),
        ("Held back", _held_back(rollout, now)),
        *_compared(rollout),
        ("Return to control", _way_back(rollout, now)),
    ]
    return SeenNow(
        f"“{rollout.variant.name}” since {moment(rollout.created_at)}.",
        rollout.value,
        facts,
        _warning(rollout),
    )


def _audience(rollout: Rollout) -> str:
    audience = rollout.audience
    buckets = audience.get("buckets")
    share = thousandths(len(buckets) if buckets is not None else BUCKETS)
    who = " that match the experiment's targeting" if audience.get("targeting") else ""
    return f"{share} of {audience.get('unit_type', 'unit')}s{who}: the audience that was tested"


def _held_back(rollout: Rollout, now: datetime) -> str:
    if not rollout.holdback_buckets or rollout.holdback_until is None:
        return "nobody"
    control = (
        rollout.experiment.variants.filter(is_control=True).values_list("name", flat=True).first()
    )
    share = f"{thousandths(len(rollout.holdback_buckets))} of all {rollout.audience.get('unit_type', 'unit')}s"
    if rollout.holdback_until <= now:
        return f"{share} kept “{control}” until {moment(rollout.holdback_until)}"
    return f"{share} keep “{control}” until {moment(rollout.holdback_until)}"


def _compared(rollout: Rollout) -> list[tuple[str, str]]:
    said = holdback_sentence(rollout.pk)
    return [("Against those held back", said)] if said else []


def _way_back(rollout: Rollout, now: datetime) -> str:
    if rollout.variant.is_control:
        return "done: control's value is served"
    if rollout.returnable_until <= now:
        return f"was possible with one click until {moment(rollout.returnable_until)}; now it is an admin's change"
    return f"one click, until {moment(rollout.returnable_until)}"


def _warning(rollout: Rollout) -> str:
    """What goes before a rollout in the order of evaluation."""
    if not rollout.flag.enabled:
        return "The flag is switched off: everybody gets its default."
    other = (
        Experiment.objects.filter(flag=rollout.flag, status__in=SERVING)
        .values_list("name", flat=True)
        .first()
    )
    return f"“{other}” runs on this flag now and decides for its own units first." if other else ""
