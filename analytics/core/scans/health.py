"""Health of a run's data: shares, crossovers, lateness, silence, and who answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations

from analytics.core.ground.nets import NO_NET, Net
from analytics.core.ground.totals import Totals
from analytics.core.intake.imported import NOT_IMPORTED, ImportFacts
from analytics.core.results import ArmSummary, Health, MetricResult
from analytics.core.scans.findings import (
    Finding,
    client_findings,
    crossover_finding,
    failed_findings,
    late_finding,
    left_out_finding,
    shares_finding,
    undecided_finding,
    unlooked_finding,
    unpriced_finding,
    unsaid_findings,
)
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.srm import check_shares
from experiments.core.figures import p_is

ANSWERS_DIFFER_BELOW = 0.001
DELAYS_DIFFER_BELOW = 0.001
EMPTY_BY_LUCK_BELOW = 0.001
"""How unlikely it must be that any arm is empty by luck before an empty arm is a finding."""
FEW_DELAYS = 100
"""Of fewer units the mean of a delay says nothing."""


def assess(
    arms: Sequence[ArmSummary],
    metrics: Sequence[MetricResult],
    *,
    gates: bool,
    late: int = 0,
    accepted: int = 0,
    left_out: int = 0,
    unpriced: tuple[int, int] = (0, 0),
    clients: Mapping[str, int] | None = None,
    undecided: str = "",
    unlooked: str = "",
    imported: ImportFacts = NOT_IMPORTED,
    net: Net = NO_NET,
) -> Health:
    """Everything that speaks against believing the numbers, the weightiest first; ``gates`` as in
    ``shares_finding``.

    ``unpriced``: calls of models without a cost or a price, of all calls. ``clients``: what client
    keys sent and was not believed or not stored, and observations whose new name got no metric, by
    outcome. ``undecided``: why the experiment can never decide, ``unlooked``: why it is never
    looked at, if so. ``imported``: what is known of an import's file.

    An arm that is switched off alone gets no more units; among the others the shares stay as
    planned.
    """
    serving = [arm for arm in arms if arm.stopped_at is None]
    srm = (
        check_shares([arm.units for arm in serving], [arm.expected_share for arm in serving])
        if serving
        else None
    )
    units = sum(arm.units for arm in arms)
    found = [
        None if srm is None else imported.of_shares(shares_finding(srm, gates=gates)),
        crossover_finding(sum(arm.crossovers for arm in arms), units),
        late_finding(late, accepted),
        left_out_finding(left_out),
        unpriced_finding(*unpriced),
        undecided_finding(undecided),
        unlooked_finding(unlooked),
        *client_findings(clients or {}),
        _silence(serving, units),
        _delays_differ(arms),
        *(
            net.hold(metric.key, "events met", partial(_no_events, metric), _nothing)
            for metric in metrics
        ),
        *imported.findings(),
        *(
            net.hold(m.key, "who answers", partial(_answers_differ, m), _nothing)
            for m in metrics
            if m.key not in imported.with_gaps
        ),
        *unsaid_findings(
            [(f"{m.name}, {c.arm}", c.comparison) for m in metrics for c in m.comparisons]
        ),
    ]
    return Health(srm, _weightiest_first([finding for finding in found if finding is not None]))


def _nothing(reason: str) -> None:
    """The fault is a finding of its own."""


def gated(health: Health, at_look: Health) -> Health:
    """A run's health where the data of a due look do not pass the gate: what masks the look masks
    the run.
    """
    closed = [finding for finding in at_look.findings if finding.masks]
    codes = {finding.code for finding in closed}
    return Health(
        health.srm,
        _weightiest_first([*closed, *(f for f in health.findings if f.code not in codes)]),
    )


def with_failures(health: Health, sentences: Sequence[str]) -> Health:
    """A run's health with what failed in it; what masks comes first."""
    return (
        Health(health.srm, _weightiest_first([*health.findings, *failed_findings(sentences)]))
        if sentences
        else health
    )


def _weightiest_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: ("red", "yellow", "info").index(f.weight)))


def _silence(arms: Sequence[ArmSummary], units: int) -> Finding | None:
    if units == 0:
        return Finding("no_data", "yellow", "no unit has been exposed yet")
    missing, served = _empty_arms(arms), sum(arm.units for arm in arms)
    if missing:
        return Finding(
            "one_arm",
            "red",
            f"no exposures in {', '.join(missing)}, {served:,} in the others",
            True,
        )
    return None


def _empty_arms(arms: Sequence[ArmSummary]) -> list[str]:
    """Arms that are empty although luck cannot explain it: a few units cannot fill every arm.

    An arm with share s stays empty among n units with chance (1 - s)^n. Any of the arms could be
    the empty one, so the chance is multiplied by their number. An arm that has a unit never gets
    empty again, so checking often costs nothing.
    """
    planned = [arm for arm in arms if arm.expected_share > 0]
    held, units = sum(arm.expected_share for arm in planned), sum(arm.units for arm in arms)
    return [
        arm.key
        for arm in planned
        if arm.units == 0
        and len(planned) * (1 - arm.expected_share / held) ** units < EMPTY_BY_LUCK_BELOW
    ]


def _delays_differ(arms: Sequence[ArmSummary]) -> Finding | None:
    """Arms whose exposures reach us later than others' lose or gain what lies between: by
    logarithms, since delays have long tails.
    """
    told = [
        (arm, arm.delays) for arm in arms if arm.delays is not None and arm.delays.n >= FEW_DELAYS
    ]
    for (one, its), (other, others) in combinations(told, 2):
        p = compare_means(its, others).p
        if p is not None and p < DELAYS_DIFFER_BELOW:
            typical = [math.expm1(totals.sum_y / totals.n) for totals in (its, others)]
            shown = f"typically {typical[0]:.1f} s in {one.key}, {typical[1]:.1f} s in {other.key}, {p_is(p)}"
            return Finding(
                "delays_differ",
                "red",
                f"exposures of one arm are reported later than those of another ({shown})",
            )
    return None


def _no_events(metric: MetricResult) -> Finding | None:
    """Thousands of units and not one row: more likely a misspelt event type than a rate of zero."""
    exposed = sum(arm.exposed for arm in metric.arms)
    if exposed < 1000 or any(arm.sum_y2 or _rows(metric.kind, arm.sums) for arm in metric.arms):
        return None
    return Finding(
        "no_events", "yellow", f"{metric.name}: {exposed:,} matured units and not one event"
    )


def _rows(kind: str, sums: Mapping[str, float]) -> float:
    """Rows behind a quantile; of a duration, the units it happened to: the others count as
    infinitely late.
    """
    return sums.get("rows", 0.0) - (sums.get("beyond", 0.0) if kind == "duration" else 0.0)


def _answers_differ(metric: MetricResult) -> Finding | None:
    answered = [arm for arm in metric.arms if arm.exposed]
    if all(arm.n == arm.exposed for arm in answered):
        return None
    for one, other in combinations(answered, 2):
        p = compare_proportions(
            Totals.of_rate(one.n, one.exposed), Totals.of_rate(other.n, other.exposed)
        ).p
        if p is not None and p < ANSWERS_DIFFER_BELOW:
            shares = f"{one.n / one.exposed:.1%} in {one.arm}, {other.n / other.exposed:.1%} in {other.arm}, {p_is(p)}"
            return Finding(
                "answers_differ", "yellow", f"{metric.name}: who answers changed ({shares})"
            )
    return None
