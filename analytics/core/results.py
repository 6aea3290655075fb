"""What an analysis run says, as frozen values: counts of arms, results of metrics, health.

These are stored as JSON with the run and read back for pages, reports and replays. All comparisons
are against control. Numbers of fixed-sample methods are display; looks decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analytics.core.findings import Finding
from analytics.core.stats.comparison import Comparison
from analytics.core.stats.mean import compare_means
from analytics.core.stats.multiplicity import benjamini_hochberg, holm
from analytics.core.stats.proportion import compare_proportions
from analytics.core.stats.srm import SrmCheck
from analytics.core.totals import NOTHING, Totals

WHAT_TO_DO = {
    "srm": "Look for arms that fail, redirect or log exposures differently; fix it and start a new iteration.",
    "crossover": "Check that the unit id is stable (a session instead of a user is the usual cause).",
    "late_data": "Send events sooner; what comes after a unit's window and 24 hours of grace is not counted.",
    "left_out": "Nothing to do: they are left out in every arm alike.",
    "no_data": "Check that the application asks for this experiment's variant and that exposures arrive.",
    "one_arm": "Check that the application serves every arm; an arm without units cannot be compared.",
    "no_events": "Check the metric's event types or name against what the application sends.",
    "answers_differ": "The share of units that gave a value differs between arms: compare who answers before believing the mean.",
    "cannot_say": "Nothing to do but wait for more units, or to plan another metric.",
    "unstarted": "The experiment is not running; results begin with it.",
}
"""Advice that belongs to a finding's code."""


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """Everybody who met an arm by the cut. ``expected_share`` is the share of analysed buckets it held (0 to 1)."""

    key: str
    name: str
    is_control: bool
    units: int = 0
    exposures: int = 0
    crossovers: int = 0
    expected_share: float = 0.0


@dataclass(frozen=True, slots=True)
class MetricArm:
    """One arm of one metric: n units that count, of ``exposed`` matured ones, and the totals behind mean."""

    arm: str
    n: int
    exposed: int
    mean: float | None
    sum_y: float
    sum_y2: float

    @property
    def totals(self) -> Totals:
        """The sufficient totals, for whoever compares further."""
        return Totals(self.n, self.sum_y, self.sum_y2)


@dataclass(frozen=True, slots=True)
class ArmComparison:
    """One test arm against control; ``adjusted_p`` by ``adjustment`` (Holm over arms, BH over explorations)."""

    arm: str
    comparison: Comparison
    adjusted_p: float | None = None
    adjustment: str = ""


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric over all arms. ``reason`` says why there are no numbers at all."""

    key: str
    version: int
    name: str
    role: str
    kind: str
    direction: str
    scale: str
    window_hours: int | None
    arms: tuple[MetricArm, ...] = ()
    comparisons: tuple[ArmComparison, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the data may be believed."""

    srm: SrmCheck | None
    findings: tuple[Finding, ...] = ()

    @property
    def masks(self) -> bool:
        """Whether results are hidden and decisions blocked."""
        return any(finding.masks for finding in self.findings)


def statistics_kind(kind: str) -> str | None:
    """How a metric kind is compared: as rates or as means; None where its statistics do not exist yet."""
    return {"proportion": "proportion", "mean": "mean", "count": "mean"}.get(kind)


def compare_with_control(kind: str, control: Totals, treatment: Totals, alpha: float) -> Comparison:
    """The fixed-sample comparison of one arm; says why where the kind cannot be computed."""
    how = statistics_kind(kind)
    if how is None:
        return Comparison(kind, control.n, treatment.n, reason=f"{kind} statistics are not computed yet")
    return compare_proportions(control, treatment, alpha) if how == "proportion" else compare_means(control, treatment, alpha)


def compare_arms(result: MetricResult, control: str, alpha: float) -> MetricResult:
    """Every test arm against control at α/m, p adjusted by Holm over the arms."""
    by_arm = {arm.arm: arm for arm in result.arms}
    tests = [arm for arm in result.arms if arm.arm != control]
    base = by_arm[control].totals if control in by_arm else NOTHING
    found = [compare_with_control(result.kind, base, arm.totals, alpha / max(1, len(tests))) for arm in tests]
    adjusted = holm([c.p for c in found])
    return replace(
        result,
        comparisons=tuple(ArmComparison(arm.arm, c, p, "Holm") for arm, c, p in zip(tests, found, adjusted, strict=True)),
    )


def explore(results: Sequence[MetricResult]) -> list[MetricResult]:
    """Benjamini–Hochberg over all arms of all secondary metrics together: finds to look into, not to decide by."""
    ps = [c.comparison.p for result in results for c in result.comparisons]
    adjusted = iter(benjamini_hochberg(ps))
    return [
        replace(result, comparisons=tuple(replace(c, adjusted_p=next(adjusted), adjustment="BH") for c in result.comparisons))
        for result in results
    ]
