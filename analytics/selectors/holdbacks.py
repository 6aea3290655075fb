"""What the holdback of a promotion says, in a sentence."""

from __future__ import annotations

from analytics.core.deciding.after_promotion import AfterPromotion, HoldbackComparison
from analytics.core.ground.encoding import restored
from analytics.models import HoldbackRun
from experiments.core.figures import counted


def holdback_sentence(rollout_id: int) -> str:
    """The newest reading of a rollout's holdback; empty when there is none."""
    run = HoldbackRun.objects.filter(rollout_id=rollout_id).exclude(result={}).first()
    if run is None:
        return ""
    found = restored(run.result, AfterPromotion)
    taken_back = f" Taken back: {found.take_back}." if run.reverted_at is not None else ""
    original = (
        ""
        if found.original is None
        else f" Those who met it in the experiment: {_said(found.original)}."
    )
    return f"{_said(found.fresh)}.{original}{taken_back}"


def _said(compared: HoldbackComparison) -> str:
    reading, people = (
        compared.reading,
        f"{compared.promoted:,} against {counted(compared.held_back, 'unit')}",
    )
    if reading.gain is None or reading.lower is None or reading.upper is None:
        return f"{people}; cannot say: {reading.reason}"
    smallest = (
        ""
        if reading.mde is None
        else f"; a holdback of this size finds changes from {reading.mde:.3g} on"
    )
    return f"{people}; gain {reading.gain:+.4g}, always between {reading.lower:+.4g} and {reading.upper:+.4g}{smallest}"
