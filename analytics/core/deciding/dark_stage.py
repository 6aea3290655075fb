"""Is a dark launch healthy enough to go live? One per cent of units beside as many control twins,
judged from counts and verdicts.

It can show little, and the sentence says how little: a fault that none of n requests met has a rate
below 3/n (95 %). It claims no absence of errors: a request is an exposure, and only guardrails know
which of them failed. Green means: long enough, enough requests, every test arm and the twins there
in their shares, labels arriving, and no guardrail breached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.stats.srm import SrmCheck, check_shares
from experiments.core.figures import counted

UNLABELLED_MOST = 0.01
"""Of the events that name the experiment, so many may come without a variant."""


@dataclass(frozen=True, slots=True)
class DarkArm:
    """Who met the dark launch: units, requests (exposures) and buckets of one test arm, or of the
    twins.
    """

    key: str
    units: int
    requests: int
    buckets: int


@dataclass(frozen=True, slots=True)
class TwinComparison:
    """One guardrail on one arm beside the twins: both values in the metric's units (None: cannot
    say), and the verdict.
    """

    name: str
    here: float | None
    twins: float | None
    result: GuardrailResult


@dataclass(frozen=True, slots=True)
class DarkHealth:
    """What the dark launch shows so far; ``unlabelled`` of ``stamped`` events name the experiment
    and no variant.

    ``failed``: what could not be computed, by sentence; it stands against going live.
    """

    hours: float
    min_hours: int
    min_requests: int
    arms: tuple[DarkArm, ...]
    twins: DarkArm
    guardrails: tuple[TwinComparison, ...] = ()
    stamped: int = 0
    unlabelled: int = 0
    failed: tuple[str, ...] = ()

    @property
    def green(self) -> bool:
        """Nothing stands against going live."""
        return not problems(self)

    @property
    def requests(self) -> int:
        """Requests of all test arms."""
        return sum(arm.requests for arm in self.arms)

    @property
    def breached(self) -> tuple[str, ...]:
        """The guardrails that are breached, each with its arm."""
        return tuple(
            f"{one.result.key} on {one.result.arm}" for one in self.guardrails if one.result.breach
        )

    @property
    def shares(self) -> SrmCheck | None:
        """Units of every arm and of the twins against the buckets they hold; None where these are
        not known.
        """
        everybody = (*self.arms, self.twins)
        if not all(arm.buckets for arm in everybody):
            return None
        return check_shares([arm.units for arm in everybody], [arm.buckets for arm in everybody])


def problems(found: DarkHealth) -> tuple[str, ...]:
    """Everything that still stands against going live, as sentences with numbers."""
    breached = (f"{name}: breached, harm beyond the margin is proven" for name in found.breached)
    return (*_silence(found), *_too_little(found), *breached, *found.failed)


def _silence(found: DarkHealth) -> list[str]:
    lines = [
        f"no unit has met {arm.key} yet: check labels and exposure logging"
        for arm in found.arms
        if arm.units == 0
    ]
    if found.twins.units == 0:
        lines.append("no control twin has been exposed: there is nothing to compare with")
    if found.unlabelled > UNLABELLED_MOST * found.stamped:
        lines.append(
            f"{found.unlabelled:,} of {counted(found.stamped, 'event')} name the experiment without a variant: labels are missing"
        )
    if not lines and found.shares is not None and found.shares.masks:
        counts = " / ".join(f"{arm.units:,} {arm.key}" for arm in (*found.arms, found.twins))
        lines.append(
            f"units are not in the shares of their buckets ({counts}): check exposure logging of every arm"
        )
    return lines


def _too_little(found: DarkHealth) -> list[str]:
    lines = []
    if found.hours < found.min_hours:
        lines.append(f"{found.hours:.1f} of {counted(found.min_hours, 'hour')}")
    if found.requests < found.min_requests:
        lines.append(f"{found.requests:,} of {counted(found.min_requests, 'request')}")
    return lines


def sentence(found: DarkHealth) -> str:
    """What a person reads: how much was seen, what that can show, what still stands against it."""
    units, against = sum(arm.units for arm in found.arms), problems(found)
    time, requests = counted(round(found.hours, 1), "hour"), counted(found.requests, "request")
    seen = (
        f"{time}, {requests}, {counted(units, 'unit')} beside {counted(found.twins.units, 'twin')}"
    )
    return f"{seen}{_can_show(found.requests)}; " + (
        f"not yet: {'; '.join(against)}" if against else "no guardrail breached"
    )


def _can_show(requests: int) -> str:
    """The rule of three: what never happened in n requests has, at 95 %, a rate below 3/n. It does
    not say that nothing happened.
    """
    if requests < 3:
        return ""
    return (
        f"; {requests:,} requests can miss a fault that hits fewer than {3 / requests:.2%} of them"
    )


def beside(guardrails: Sequence[TwinComparison]) -> list[dict[str, object]]:
    """Each guardrail's line, for the checklist."""
    return [
        {
            "key": one.result.key,
            "name": one.name,
            "arm": one.result.arm,
            "here": one.here,
            "twins": one.twins,
            "verdict": one.result.verdict,
            "reason": one.result.reason,
        }
        for one in guardrails
    ]
