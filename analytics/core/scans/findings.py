"""What a page should say besides numbers: short sentences with a weight, made from results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analytics.core.intake.twins import TWINS
from analytics.core.stats.arms.comparison import Comparison
from analytics.core.stats.srm import SrmCheck
from experiments.core.figures import counted, p_is

Weight = Literal["info", "yellow", "red"]
LATE_YELLOW = 0.01
CROSSOVER_RED = 0.01

NO_PRIMARY, NEVER_LOOKED = "no_primary", "never_looked"
"""The codes of findings about experiments that can never be decided."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing: a stable code, its weight, the sentence, and whether it masks
    results.
    """

    code: str
    weight: Weight
    sentence: str
    masks: bool = False


def shares_finding(check: SrmCheck, *, gates: bool) -> Finding | None:
    """SRM in words; None when the shares are as planned or cannot be judged.

    ``gates``: at a look or at the end, where p < .001 masks. Between looks one peeks as often as
    one likes, so there only the Bayes factor masks and a small p is a warning.
    """
    counts = " / ".join(f"{n:,}" for n in check.observed)
    if check.masks or (gates and check.verdict == "red"):
        p = "" if check.p is None else f", {p_is(check.p)}"
        return Finding(
            "srm",
            "red",
            f"the arms did not get their planned shares ({counts}{p}): results cannot be believed",
            True,
        )
    if check.p is not None and check.verdict in ("yellow", "red"):
        return Finding(
            "srm",
            "yellow",
            f"the arms' shares look off ({counts}, {p_is(check.p)}): check exposure logging",
        )
    return None


def crossover_finding(crossed: int, units: int) -> Finding | None:
    """Units that met more than one variant; red and masking from 1 %."""
    if units == 0 or crossed == 0:
        return None
    share = crossed / units
    sentence = f"{crossed:,} of {counted(units, 'unit')} ({share:.2%}) met more than one variant"
    return (
        Finding("crossover", "red", sentence, True)
        if share >= CROSSOVER_RED
        else Finding("crossover", "info", sentence)
    )


def late_finding(late: int, events: int) -> Finding | None:
    """Events that came too late to count; yellow above 1 %."""
    if events == 0 or late / events <= LATE_YELLOW:
        return None
    return Finding(
        "late_data",
        "yellow",
        f"{late:,} of {counted(events, 'event')} ({late / events:.1%}) came too late to count",
    )


def left_out_finding(units: int) -> Finding | None:
    """Units that no look counts because a long pause fell into their window."""
    sentence = f"{units:,} matured units are left out of looks: a pause of more than 24 hours overlaps their window"
    return Finding("left_out", "info", sentence) if units else None


def unpriced_finding(unpriced: int, calls: int) -> Finding | None:
    """Calls of models whose cost nobody knows: no verdict about cost guardrails and the budget is
    possible.
    """
    sentence = f"{unpriced:,} of {counted(calls, 'call')} of models have neither a cost nor a price, so their cost is unknown"
    return Finding("unpriced", "yellow", sentence) if unpriced else None


def failed_findings(sentences: Sequence[str]) -> list[Finding]:
    """One red line for each part of the analysis that failed. The other parts stay valid; nothing
    is promoted meanwhile.
    """
    return [Finding("metric_failed", "red", sentence) for sentence in sentences]


def undecided_finding(sentence: str) -> Finding | None:
    """An experiment without a primary metric: nothing is wrong with its data, and it never
    decides.
    """
    return Finding(NO_PRIMARY, "info", sentence) if sentence else None


def unlooked_finding(sentence: str) -> Finding | None:
    """An experiment that is never looked at: its data are fine, and somebody has to say when it is
    over.
    """
    return Finding(NEVER_LOOKED, "yellow", sentence) if sentence else None


def unsaid_findings(named: Sequence[tuple[str, Comparison]]) -> list[Finding]:
    """One line for each comparison that cannot say."""
    return [
        Finding("cannot_say", "info", f"{name}: cannot say, {c.reason}")
        for name, c in named
        if c.reason is not None
    ]


def client_findings(counts: Mapping[str, int]) -> list[Finding]:
    """What client keys sent and Assay did not store, or corrected, and names that got no metric.

    Since the iteration began, over all experiments.
    """
    dropped, disputed = counts.get("over_cap", 0), counts.get("other_arm", 0)
    found = []
    if dropped:
        found.append(
            Finding(
                "client_rows_dropped",
                "yellow",
                f"{counted(dropped, 'exposure')} from client keys {'was' if dropped == 1 else 'were'} above the hourly caps and not kept",
            )
        )
    if disputed:
        sentence = f"{disputed:,} exposures from client keys named an arm other than the bucket's; they are stored with the bucket's arm"
        found.append(Finding("client_arm_disputed", "yellow", sentence))
    if twins := counts.get(TWINS, 0):
        letters = "the letters of another unit in other code points (é as one character, or as e and an accent)"
        sentence = f"{counted(twins, 'unit')} came with {letters}"
        found.append(Finding(TWINS, "yellow", f"{sentence}: one person may be two units"))
    if unregistered := counts.get("unregistered", 0):
        sentence = f"{unregistered:,} observations without an experiment have a new name that got no metric: too many new names arrive"
        found.append(Finding("names_unregistered", "info", sentence))
    return found
