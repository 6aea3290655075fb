"""May the comparison be believed? What happened before the start, and what hangs on single regions.

*Pre-trend*: did treated and control regions already drift apart before the start, by slope and by
all periods jointly? *Placebo in time*: the effect of starts that never were, within the periods
before. *Event study*: the gap between the groups in every period, against the last one before the
start. *Leave one out*: the effect without each region in turn. All are diagnosis: a quiet past does
not prove parallel trends (with few regions such tests see little), a loud one speaks against them.
References: Roth 2022; Hotelling 1931 for the joint test on differences of complete regions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.did import effects
from analytics.core.stats.did.cluster import RANK_TOLERANCE, cr2
from analytics.core.stats.did.inference import FEW_IN_A_GROUP, infer
from analytics.core.stats.did.panel import Flags, Floats, Panel, usable
from analytics.core.stats.did.permutation import joint_p, placebos
from experiments.core.figures import positive_p


@dataclass(frozen=True, slots=True)
class PreTrend:
    """The treated regions' extra change per period before the start, and whether all periods before
    fit parallel lines.

    ``p`` belongs to the slope, ``joint_p`` to all periods together. None: cannot say, see the
    reasons.
    """

    slope: float | None = None
    se: float | None = None
    df: float | None = None
    p: float | None = None
    method: str = ""
    reason: str | None = None
    joint_f: float | None = None
    joint_df: tuple[int, int] | None = None
    joint_p: float | None = None
    joint_method: str = ""
    joint_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Placebo:
    """The "effect" of a start at a period at which nothing started."""

    start: str
    estimate: float | None
    p: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class EventPoint:
    """The gap between treated and control regions in a period, less that of the reference period.

    ``position`` counts from the start: −1 is the last period before, 0 the first after.
    """

    period: str
    position: int
    estimate: float | None
    ci: Interval | None = None


@dataclass(frozen=True, slots=True)
class WithoutRegion:
    """The effect without one region; None where nothing could be estimated then."""

    region: str
    treated: bool
    estimate: float | None


def pre_trend(panel: Panel, alpha: float) -> PreTrend:
    """Slope and joint test over the periods before the start."""
    before = _moving(panel.before())
    if len(before.periods) < 2:
        return PreTrend(
            reason="one period before the start shows no trend",
            joint_reason="one period before the start shows no trend",
        )
    if before.smaller_group == 0:
        why = "no region of one group was seen twice before the start"
        return PreTrend(reason=why, joint_reason=why)
    return _joint(before, _slope(before))


def _slope(before: Panel) -> PreTrend:
    model = effects.trend(before)
    if not model.design.identified(effects.EFFECT):
        return PreTrend(reason="the gaps in the panel leave no slope to compare")
    y = model.swept(before.values)
    if before.smaller_group <= FEW_IN_A_GROUP:
        found = placebos(before, np.arange(len(before.periods), dtype=float))
        slope = float(model.design.influence[:, effects.EFFECT] @ y)
        p = None if found is None else found.p()
        return PreTrend(
            slope, p=p, method="permutation", reason=_unless(p, "no placebo slopes differ")
        )
    found_slope = cr2(model.design, y, effects.EFFECT)
    method, reason = (
        "CR2 with Satterthwaite's t",
        _unless(found_slope.se, "all regions of a group moved alike"),
    )
    return PreTrend(
        found_slope.value, found_slope.se, found_slope.df, found_slope.p, method, reason
    )


def _joint(before: Panel, slope: PreTrend) -> PreTrend:
    """Hotelling's T² of the regions' deviations; a permutation of their length with one or two
    regions in a group.
    """
    complete = before.observed.all(axis=1)
    panel = before.of_regions(np.asarray(complete))
    fields = {name: getattr(slope, name) for name in ("slope", "se", "df", "p", "method", "reason")}
    if panel.smaller_group == 0:
        return PreTrend(
            **fields,
            joint_reason="no region of one group was seen in every period before the start",
        )
    if panel.smaller_group <= FEW_IN_A_GROUP:
        deviations = panel.values - panel.values.mean(axis=1, keepdims=True)
        p = joint_p(deviations, panel.treated)
        return PreTrend(
            **fields,
            joint_p=p,
            joint_method="permutation",
            joint_reason=_unless(p, "no placebo gaps differ"),
        )
    q, n = len(panel.periods) - 1, len(panel.regions)
    if n - q - 1 < 1:
        return PreTrend(
            **fields,
            joint_reason=f"{n} regions are too few for {q + 1} periods before the start: take longer periods",
        )
    f = hotelling(panel.values[:, :-1] - panel.values[:, -1:], panel.treated)
    if f is None:
        return PreTrend(
            **fields,
            joint_reason="the regions' movements before the start span fewer dimensions than there are periods",
        )
    p = positive_p(float(fdtrc(q, n - q - 1, f)))
    return PreTrend(
        **fields, joint_f=f, joint_df=(q, n - q - 1), joint_p=p, joint_method="Hotelling's T²"
    )


def hotelling(differences: Floats, treated: Flags) -> float | None:
    """The F of "both groups have the same mean vector", with a common covariance; None where that
    is singular.
    """
    one, other = differences[treated], differences[~treated]
    (n_one, q), n_other = one.shape, len(other)
    gap = one.mean(axis=0) - other.mean(axis=0)
    centred = np.vstack([one - one.mean(axis=0), other - other.mean(axis=0)])
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    if len(sizes) < q or not sizes[-1] > RANK_TOLERANCE * max(
        float(sizes[0]), float(np.abs(differences).max())
    ):
        return None
    length = float((((axes @ gap) / sizes) ** 2).sum())
    return float(length * n_one * n_other / (n_one + n_other) * (n_one + n_other - q - 1) / q)


def placebos_in_time(panel: Panel, alpha: float) -> tuple[Placebo, ...]:
    """The effect of every start within the periods before, on those periods alone."""
    before = panel.before()
    return tuple(_placebo(before, position, alpha) for position in range(1, len(before.periods)))


def _placebo(before: Panel, position: int, alpha: float) -> Placebo:
    pretended, _ = usable(before.starting_at(position))
    found = infer(pretended, alpha)
    return Placebo(before.periods[position], found.estimate, found.decision_p, found.reason)


def event_study(panel: Panel, alpha: float) -> tuple[EventPoint, ...]:
    """One point per period, the last before the start at 0 by definition; intervals with three
    regions or more in each group.
    """
    start = int(np.argmax(panel.post))
    model = effects.event_study(panel, start - 1)
    y = model.swept(panel.values)
    columns = iter(range(len(panel.periods) - 1))
    points = []
    for t, period in enumerate(panel.periods):
        if t == start - 1:
            points.append(EventPoint(period, -1, 0.0))
            continue
        column = next(columns)
        if not model.design.identified(column):
            points.append(EventPoint(period, t - start, None))
            continue
        found = cr2(model.design, y, column)
        ci = (
            found.interval(alpha) if panel.smaller_group > FEW_IN_A_GROUP and found.df > 0 else None
        )
        points.append(EventPoint(period, t - start, found.value, ci))
    return tuple(points)


def leave_one_out(panel: Panel) -> tuple[WithoutRegion, ...]:
    """The effect without each region, by the exact formula for deleting a cluster; no model is
    fitted again.
    """
    model = effects.two_way(panel)
    design, y = model.design, model.swept(panel.values)
    residuals, estimate = design.residuals(y), float(design.influence[:, effects.EFFECT] @ y)
    ends = np.r_[design.starts[1:], len(y)]
    found = []
    for name, treated, begin, end in zip(
        panel.regions, panel.treated.tolist(), design.starts, ends, strict=True
    ):
        last_of_its_kind = (panel.n_treated if treated else panel.n_control) == 1
        rows = slice(begin, end)
        left = np.eye(end - begin) - design.influence[rows] @ design.x[rows].T
        alone = last_of_its_kind or np.linalg.eigvalsh(left)[0] <= RANK_TOLERANCE
        shift = (
            None
            if alone
            else float(
                design.influence[rows, effects.EFFECT] @ np.linalg.solve(left, residuals[rows])
            )
        )
        found.append(WithoutRegion(name, treated, None if shift is None else estimate - shift))
    return tuple(found)


def _moving(before: Panel) -> Panel:
    """The regions seen at least twice: the others show no movement."""
    kept = before.observed.sum(axis=1) >= 2
    return before if kept.all() else before.of_regions(kept)


def _unless(found: object, reason: str) -> str | None:
    return reason if found is None else None
