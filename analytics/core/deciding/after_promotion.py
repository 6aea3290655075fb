"""A promotion, watched by those held back from it: does it keep what it won, or is it to be taken
back?

Two comparisons stand beside each other: units first exposed after the promotion decide; the
original arms, which met their variants before it and kept them, are shown. Taking back needs proof,
since the promotion had some: harm beyond a guardrail's margin at any time, or an always-valid upper
bound of the gain below 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.stats.exploring.holdback import HoldbackReading


@dataclass(frozen=True, slots=True)
class HoldbackComparison:
    """Promoted units against held-back ones: how many of each, and the gain on the primary metric,
    more being better.
    """

    promoted: int
    held_back: int
    reading: HoldbackReading


@dataclass(frozen=True, slots=True)
class AfterPromotion:
    """What the holdback says now. ``original`` are the arms as they were; None when their units are
    gone.
    """

    fresh: HoldbackComparison
    original: HoldbackComparison | None
    guardrails: tuple[GuardrailResult, ...] = ()

    @property
    def take_back(self) -> str:
        """Why the promotion is to be taken back, as a sentence; empty when nothing proves that it
        should.
        """
        return _breached(self.guardrails) or _lost(self.fresh)


def _breached(guardrails: Sequence[GuardrailResult]) -> str:
    keys = sorted(one.key for one in guardrails if one.breach)
    return (
        f"after the promotion, harm beyond the margin is proven against the units held back ({', '.join(keys)})"
        if keys
        else ""
    )


def _lost(fresh: HoldbackComparison) -> str:
    reading = fresh.reading
    if not reading.lost:
        return ""
    return f"after the promotion, the gain over the units held back is below 0: at most {reading.upper:+.4g}, seen {reading.gain:+.4g}"
