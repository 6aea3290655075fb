"""Which test decides about an effect, by the number of regions.

Under 40 regions the decision p is the larger of CR2 with Satterthwaite's t and the wild cluster
bootstrap-t; from 40 on it is CR2's alone. With one or two treated (or one or two control) regions
neither holds, and a permutation over placebo regions is the only test. The interval belongs to the
same rule: the wider end of each method's interval, so that it excludes 0 exactly when the decision
p is below α. Cannot say without spread between regions. References: Cameron and Miller 2015;
MacKinnon, Nielsen and Webb 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.did import effects
from analytics.core.stats.did.bootstrap import bootstrap, null_p
from analytics.core.stats.did.cluster import Sandwich, cr2
from analytics.core.stats.did.panel import Floats, Panel
from analytics.core.stats.did.permutation import MOST_REGIONS, permute

ENOUGH_CLUSTERS = 40
"""From this many regions on CR2 alone decides."""
FEW_IN_A_GROUP = 2
"""Up to this many regions in a group only a permutation is made."""


@dataclass(frozen=True, slots=True)
class Test:
    """One method's answer to "is there an effect?", with what it rests on. None: cannot say, see
    ``reason``.
    """

    method: str
    p: float | None
    ci: Interval | None = None
    se: float | None = None
    df: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Inference:
    """An estimate, every test made of it, and the one that decides."""

    estimate: float | None
    tests: tuple[Test, ...] = ()
    decision_p: float | None = None
    method: str = ""
    ci: Interval | None = None
    se: float | None = None
    df: float | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()


def infer(panel: Panel, alpha: float) -> Inference:
    """The effect of a panel whose regions are all seen before and after, with the tests its size
    allows.
    """
    if min(panel.n_treated, panel.n_control) == 0:
        return Inference(
            None,
            reason=f"{panel.n_treated} treated and {panel.n_control} control regions have values before and after",
        )
    model = effects.two_way(panel)
    if not model.design.identified(effects.EFFECT):
        return Inference(
            None,
            reason="the gaps in the panel leave no period in which treated and control regions can be compared",
        )
    y = model.swept(panel.values)
    if panel.smaller_group <= FEW_IN_A_GROUP:
        return _by_permutation(panel, float(model.design.influence[:, effects.EFFECT] @ y), alpha)
    return by_clusters(model.design, y, alpha)


def by_clusters(design: Sandwich, y: Floats, alpha: float) -> Inference:
    """The tests for three regions or more in each group."""
    found = cr2(design, y, effects.EFFECT)
    if found.se is None or not found.df > 0:
        why = "all regions of a group changed alike: a standard error cannot be estimated"
        return Inference(found.value, reason=why)
    first = Test("CR2 with Satterthwaite's t", found.p, found.interval(alpha), found.se, found.df)
    return _decided(
        found.value,
        (first,) if design.clusters >= ENOUGH_CLUSTERS else (first, _wild(design, y, alpha)),
    )


def decision_p(design: Sandwich, y: Floats) -> float | None:
    """The decision p alone, for three or more regions a group: what simulations call thousands of
    times.
    """
    found = cr2(design, y, effects.EFFECT)
    if found.p is None or design.clusters >= ENOUGH_CLUSTERS:
        return found.p
    drawn = null_p(design, y, effects.EFFECT)
    return None if drawn is None else max(found.p, drawn)


def _wild(design: Sandwich, y: Floats, alpha: float) -> Test:
    drawn = bootstrap(design, y, effects.EFFECT)
    if drawn is None:
        return Test(
            "wild cluster bootstrap-t", None, reason="the residuals leave no standard error"
        )
    ci = drawn.interval(alpha)
    reason = (
        None if ci is not None else "no effect, however large, can be excluded by so few regions"
    )
    return Test(
        f"wild cluster bootstrap-t ({drawn.weights})", drawn.p(), ci, drawn.se, None, reason
    )


def _decided(estimate: float, tests: tuple[Test, ...]) -> Inference:
    """The largest p and the hull of the intervals; a method that cannot say makes the decision say
    nothing.
    """
    ps = [test.p for test in tests]
    if any(p is None for p in ps):
        return Inference(
            estimate, tests, reason=next(test.reason for test in tests if test.p is None)
        )
    decider = max(tests, key=lambda test: test.p or 0.0)
    method = (
        decider.method
        if len(tests) == 1
        else f"{decider.method} (the largest p of {len(tests)} methods)"
    )
    intervals = [test.ci for test in tests if test.ci is not None]
    ci = None
    if len(intervals) == len(tests):
        ci = Interval(
            min(i.low for i in intervals), max(i.high for i in intervals), intervals[0].level
        )
    return Inference(estimate, tests, decider.p, method, ci, tests[0].se, tests[0].df)


def _by_permutation(panel: Panel, estimate: float, alpha: float) -> Inference:
    few = (
        f"{panel.n_treated} treated"
        if panel.n_treated <= panel.n_control
        else f"{panel.n_control} control"
    )
    plural = "region" if panel.smaller_group == 1 else "regions"
    group = f"{few} {plural} of {len(panel.regions)}"
    if len(panel.regions) > MOST_REGIONS:
        why = f"placements are not enumerated above {MOST_REGIONS} regions; take fewer control regions"
        return Inference(estimate, reason=f"{group}: {why}")
    found = permute(panel, alpha)
    if found is None:
        why = (
            "no region changed differently from another"
            if len(panel.regions) > 2
            else "a placebo needs a third region"
        )
        return Inference(estimate, reason=f"{group}: {why}")
    notes = [
        f"{group}: clustered standard errors and the bootstrap do not hold, so a permutation over placebo regions is the only test"
    ]
    if found.smallest >= 1:
        return Inference(
            estimate,
            reason=f"{group}: every placement gives an effect of the same size",
            notes=tuple(notes),
        )
    if found.smallest > alpha:
        notes.append(
            f"{found.choices} placements give no p below {found.smallest:.2g}, so significance at {alpha:g} is out of reach"
        )
    test = Test(f"permutation over {found.choices:,} placements", found.p, found.interval)
    return Inference(estimate, (test,), found.p, test.method, found.interval, notes=tuple(notes))
