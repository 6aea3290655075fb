"""Whether a value is missing more often in one arm than in another.

Where it is, the rows that have a value are no random part of their arm, and comparing them compares
who is missing. Rows of a cluster go together: their shares are compared as ratios, with the cluster
as the unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.totals import Totals
from analytics.core.intake.import_columns import UnitRow
from analytics.core.scans.findings import Finding
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.arms.ratio import compare_ratios
from analytics.core.stats.multiplicity import holm
from experiments.core.figures import counted, p_is

DIFFERS_BELOW = 0.001


@dataclass(frozen=True, slots=True)
class ArmCompleteness:
    """Of ``rows`` rows of an arm, how many have a value."""

    arm: str
    answered: int
    rows: int


@dataclass(frozen=True, slots=True)
class Attrition:
    """Who has a value of a metric, by arm. ``p``: the smallest of all pairs of arms, by Holm; None:
    cannot say, see ``reason``.
    """

    metric: str
    arms: tuple[ArmCompleteness, ...]
    p: float | None
    reason: str = ""

    @property
    def sentence(self) -> str:
        """For people."""
        missing = sum(arm.rows - arm.answered for arm in self.arms)
        rows = sum(arm.rows for arm in self.arms)
        shares = ", ".join(
            f"{1 - arm.answered / arm.rows:.1%} in {arm.arm}" for arm in self.arms if arm.rows
        )
        tested = (
            p_is(self.p) if self.p is not None else f"cannot say whether arms differ: {self.reason}"
        )
        return f"{self.metric}: {missing:,} of {counted(rows, 'row')} without a value ({shares}; {tested})"

    def finding(self) -> Finding:
        """A warning where arms differ, else only a fact."""
        if self.p is not None and self.p < DIFFERS_BELOW:
            return Finding(
                "answers_differ",
                "yellow",
                f"{self.sentence}: results compare only those who have one",
            )
        return Finding("answers_missing", "info", self.sentence)


def attrition(
    metric: str, rows: Sequence[UnitRow], place: int, *, clustered: bool
) -> Attrition | None:
    """Of the metric at this place; None where every row has a value."""
    if all(row.values[place] is not None for row in rows):
        return None
    by_arm: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for row in rows:
        counted = by_arm[row.variant][row.unit]
        counted[0] += row.values[place] is not None
        counted[1] += 1
    arms = tuple(
        ArmCompleteness(arm, sum(a for a, _ in units.values()), sum(n for _, n in units.values()))
        for arm, units in by_arm.items()
    )
    p, reason = _tested(arms, by_arm, clustered)
    return Attrition(metric, arms, p, reason)


def _tested(
    arms: Sequence[ArmCompleteness],
    by_arm: Mapping[str, Mapping[str, Sequence[int]]],
    clustered: bool,
) -> tuple[float | None, str]:
    found = []
    for one, other in combinations(arms, 2):
        if clustered:
            found.append(compare_ratios(_moments(by_arm[one.arm]), _moments(by_arm[other.arm])))
        else:
            found.append(compare_proportions(_totals(one), _totals(other)))
    known = [p for p in holm([one.p for one in found]) if p is not None]
    reasons = [one.reason for one in found if one.reason]
    return (min(known), "") if known else (None, reasons[0] if reasons else "there is one arm")


def _totals(arm: ArmCompleteness) -> Totals:
    return Totals.of_rate(arm.answered, arm.rows)


def _moments(units: Mapping[str, Sequence[int]]) -> UnitMoments:
    return UnitMoments.of_rows(y=[a for a, _ in units.values()], d=[n for _, n in units.values()])
