"""What an analysis run says, as frozen values: counts of arms, results of metrics, health.

These are stored as JSON with the run and read back for pages, reports and replays. All comparisons
are against control. Numbers of fixed-sample methods are display; looks decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from analytics.core.ground.errors import ImpossibleTotals
from analytics.core.ground.moments import UnitMoments
from analytics.core.ground.nets import NO_NET, Net
from analytics.core.ground.observed import Observed, Remembered
from analytics.core.ground.totals import Totals
from analytics.core.kinds import AnyKind, kind_of
from analytics.core.scans.findings import Finding
from analytics.core.stats.arms.comparison import Comparison, Interval
from analytics.core.stats.arms.cuped import METHOD as CUPED
from analytics.core.stats.arms.quantile import QuantileTotals
from analytics.core.stats.intervals import anytime
from analytics.core.stats.multiplicity import benjamini_hochberg, holm
from analytics.core.stats.srm import SrmCheck
from experiments.core.figures import positive_p

WHAT_TO_DO = {
    "srm": "Look for arms that fail, redirect or log exposures differently; fix it and start a new iteration.",
    "crossover": "Check that the unit id is stable (a session instead of a user is the usual cause).",
    "late_data": "Send events sooner; what comes after a unit's window and 24 hours of grace is not counted.",
    "left_out": "Nothing to do: they are left out in every arm alike.",
    "unpriced": "Enter the model's price under Model prices (or send cost_micro); until then no cost guardrail can be safe.",
    "no_primary": "Plan the next iteration, or another experiment, with a primary metric; without one nothing can be decided.",
    "never_looked": "Set a planned end on the plan tab (also while it runs), or give the next iteration's metric a conversion window.",
    "no_data": "Check that the application asks for this experiment's variant and that exposures arrive.",
    "one_arm": "Check that the application serves every arm; an arm without units cannot be compared.",
    "no_events": "Check the metric's event types or name against what the application sends.",
    "answers_differ": "The share of units that gave a value differs between arms: compare who answers before believing the mean.",
    "answers_missing": "Ask why values are missing; a reason that depends on the arm is a bias even where no test shows it.",
    "client_rows_dropped": "Find out who sends so much with a client key; if it is your own traffic, raise ASSAY_CLIENT_ROWS_PER_ADDRESS.",
    "client_arm_disputed": "Look for an SDK that hashes ids differently, or for somebody who plays with the key; results are not affected.",
    "twin_ids": "Bring ids into one form (NFC) in every application that sends them; Assay and its SDKs hash them as they are.",
    "names_unregistered": "Find out who sends so many names, and define the metrics that you want: what is stored then counts, too.",
    "delays_differ": "Find out why one arm's clients report later (a slow page, retries, a queue); send the time of the exposure with it.",
    "cannot_say": "Nothing to do but wait for more units, or to plan another metric.",
    "metric_failed": "Read the reason and repair the metric or its data; nothing is promoted while a part of the analysis fails.",
    "unstarted": "The experiment is not running; results begin with it.",
}
"""Advice that belongs to a finding's code."""


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """Everybody who met an arm by the cut. ``expected_share`` is the share of analysed buckets it
    held (0 to 1).

    ``stopped_at``: since then the arm is switched off alone, and what is said of it was found
    before. ``delays`` totals ln(1 + seconds) from a unit's first exposure, where a client dated it,
    to its arrival.
    """

    key: str
    name: str
    is_control: bool
    units: int = 0
    exposures: int = 0
    crossovers: int = 0
    expected_share: float = 0.0
    stopped_at: datetime | None = None
    delays: Totals | None = None


@dataclass(frozen=True, slots=True)
class MetricArm:
    """One arm of one metric: n units that count, of ``exposed`` matured ones, and the totals behind
    mean.

    ``mean`` is the arm's value, whatever the kind: a rate, a mean, a ratio, a quantile. ``sums``
    are the sufficient totals behind it, by name.
    """

    arm: str
    n: int
    exposed: int
    mean: float | None
    sum_y: float
    sum_y2: float
    sums: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlwaysValid:
    """What may be read at any time: the running intersection of confidence sequences, and the
    running minimum of p.

    ``effect_changed``: the intersection was empty, so ``interval`` is the present one alone.
    """

    interval: Interval
    p: float
    effect_changed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", positive_p(self.p))


@dataclass(frozen=True, slots=True)
class ArmComparison:
    """One test arm against control; ``adjusted_p`` by ``adjustment`` (Holm over arms, BH over
    explorations).

    ``cuped`` is the same with covariates from before, None where none is known; ``always`` the
    sequential view.
    """

    arm: str
    comparison: Comparison
    adjusted_p: float | None = None
    adjustment: str = ""
    cuped: Comparison | None = None
    always: AlwaysValid | None = None


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric over all arms; where a number cannot be said, its comparison says why."""

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


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the data may be believed."""

    srm: SrmCheck | None
    findings: tuple[Finding, ...] = ()

    @property
    def masks(self) -> bool:
        """Whether results are hidden and decisions blocked."""
        return any(finding.masks for finding in self.findings)


def metric_arm(kind: str, arm: str, observed: Observed | None, exposed: int) -> MetricArm:
    """One arm as it is stored and shown; nothing but zeros where nobody was observed."""
    if observed is None:
        return MetricArm(arm, 0, exposed, None, 0.0, 0.0)
    rules = kind_of(kind)
    sums = sums_of(observed)
    return MetricArm(
        arm,
        rules.units(observed),
        exposed,
        rules.value(observed),
        sums.get("y", 0.0),
        sums.get("y·y", 0.0),
        sums,
    )


def sums_of(observed: Observed) -> dict[str, float]:
    """Sufficient totals by name, for whoever wants to follow a number: n, Σ of each variable, Σ of
    each product.
    """
    if isinstance(observed, Remembered):
        return {
            **sums_of(observed.whole),
            **{f"{name} (with past)": value for name, value in sums_of(observed.known).items()},
        }
    if isinstance(observed, UnitMoments):
        pairs = [(one, two) for i, one in enumerate(observed.names) for two in observed.names[i:]]
        sums = dict(zip(observed.names, observed.sums, strict=True))
        return {
            "n": observed.n,
            **sums,
            **{f"{one}·{two}": observed.product(one, two) for one, two in pairs},
        }
    if isinstance(observed, QuantileTotals):
        return {
            "rows": observed.n,
            "beyond": observed.beyond,
            "buckets": observed.clusters.n,
            "rows ≤ quantile": observed.clusters.sum_y,
        }
    return {"n": observed.n, "y": observed.sum_y, "y·y": observed.sum_y2}


def compare_arms(
    result: MetricResult,
    observed: Mapping[str, Observed],
    control: str,
    alpha: float,
    *,
    n_star: float = anytime.ALARM_N_STAR,
    before: MetricResult | None = None,
    net: Net = NO_NET,
) -> MetricResult:
    """Every test arm against control at α/m, p adjusted by Holm over the arms, raw and with
    covariates, fixed and sequential.

    ``before`` is the same metric at the last run: the sequential view only ever narrows. An arm
    that fails stays alone with it.
    """
    tests = [arm.arm for arm in result.arms if arm.arm != control]
    level = alpha / max(1, len(tests))
    past = {c.arm: c.always for c in before.comparisons} if before is not None else {}

    def compared(arm: str) -> ArmComparison:
        c, cuped = _compared(kind_of(result.kind), observed.get(control), observed.get(arm), level)
        return ArmComparison(
            arm,
            _sound(c),
            None,
            "Holm",
            cuped and _sound(cuped),
            always_valid(c, level, n_star, past.get(arm)),
        )

    rows = [
        net.hold(
            result.key,
            f"{arm} against {control}",
            partial(compared, arm),
            partial(_unsaid, result.kind, arm, past.get(arm)),
        )
        for arm in tests
    ]
    adjusted = holm([row.comparison.p for row in rows])
    return replace(
        result,
        comparisons=tuple(
            replace(row, adjusted_p=p) for row, p in zip(rows, adjusted, strict=True)
        ),
    )


def unsaid(
    result: MetricResult, control: str, reason: str, before: MetricResult | None = None
) -> MetricResult:
    """A metric that could not be read: every comparison says why, and the sequential view waits as
    the last run left it.
    """
    past = {c.arm: c.always for c in before.comparisons} if before is not None else {}
    tests = [arm.arm for arm in result.arms if arm.arm != control]
    return replace(
        result, comparisons=tuple(_unsaid(result.kind, arm, past.get(arm), reason) for arm in tests)
    )


def _unsaid(kind: str, arm: str, always: AlwaysValid | None, reason: str) -> ArmComparison:
    return ArmComparison(arm, Comparison(kind, 0, 0, reason=reason), None, "Holm", None, always)


def _sound(found: Comparison) -> Comparison:
    """A comparison whose numbers are numbers; NaN would spoil what is adjusted or stored together
    with it.
    """
    wrong = [
        name
        for name in _NUMBERS
        if (value := getattr(found, name)) is not None and math.isnan(value)
    ]
    if wrong:
        raise ImpossibleTotals(f"{', '.join(wrong)}: not a number")
    return found


_NUMBERS = ("control_mean", "treatment_mean", "difference", "lift", "p", "z", "se")


def _compared(
    kind: AnyKind, control: Observed | None, treatment: Observed | None, alpha: float
) -> tuple[Comparison, Comparison | None]:
    if control is None or treatment is None:
        n_c, n_t = (0 if t is None else kind.units(t) for t in (control, treatment))
        return Comparison(
            kind.name,
            n_c,
            n_t,
            reason="no units in control" if control is None else "no units in treatment",
        ), None
    return kind.compare(control, treatment, alpha), kind.adjusted(control, treatment, alpha)


def always_valid(
    c: Comparison, alpha: float, n_star: float, before: AlwaysValid | None = None
) -> AlwaysValid | None:
    """The sequential view of a comparison, folded into what was shown before; None below 100 units
    or without a standard error.
    """
    if c.difference is None or c.se is None or not c.se > 0:
        return None
    n = c.control_n + c.treatment_n
    now, p = (
        anytime.interval(c.difference, c.se, n, alpha, n_star),
        anytime.p_value(c.difference, c.se, n, alpha, n_star),
    )
    if now is None or p is None:
        return None
    past = [] if before is None or before.effect_changed else [before.interval]
    shown = anytime.running([*past, now], [p, *([] if before is None else [before.p])])
    return AlwaysValid(
        shown.interval or now, p if shown.p is None else shown.p, shown.effect_changed
    )


def why_not_always(one: ArmComparison) -> str | None:
    """Why there is no sequential view of a comparison; None when there is one."""
    if one.always is not None:
        return None
    c = one.comparison
    if c.difference is None:
        return c.reason
    if c.se is None or not c.se > 0:
        return "no spread in either arm: a standard error cannot be estimated"
    return f"below {anytime.FEWEST_UNITS} units in both arms together it does not hold"


def why_not_cuped(result: MetricResult, one: ArmComparison) -> str | None:
    """Why a comparison is not shown with covariates; None when it is."""
    if one.cuped is not None:
        used = one.cuped.method == CUPED
        return (
            one.cuped.reason
            if used
            else "; ".join(note.removeprefix("no CUPED: ") for note in one.cuped.notes)
        )
    if one.comparison.difference is None:
        return one.comparison.reason
    if result.role == "guardrail":
        return "guardrails are judged by raw values"
    if not kind_of(result.kind).takes_covariates:
        return f"a {result.kind} takes no covariate"
    return "nothing is known of the units from before their exposure"


def explore(
    results: Sequence[MetricResult],
    observed: Sequence[Mapping[str, Observed]],
    control: str,
    alpha: float,
    net: Net = NO_NET,
) -> list[MetricResult]:
    """Benjamini–Hochberg over all arms of all secondary metrics together: finds to look into, not
    to decide by.

    Of M comparisons R are finds; whoever reads the finds first wants intervals of which at most a
    share alpha misses (the false coverage rate), so all are given at alpha·R/M (Benjamini and
    Yekutieli 2005).
    """
    ps = [c.comparison.p for result in results for c in result.comparisons]
    adjusted = benjamini_hochberg(ps)
    finds = sum(q is not None and q <= alpha for q in adjusted)
    level = alpha * max(1, finds) / max(1, len(ps))
    left = iter(adjusted)

    def explored(
        result: MetricResult, totals: Mapping[str, Observed], one: ArmComparison
    ) -> ArmComparison:
        q = next(left)
        if one.comparison.reason is not None:
            return replace(one, adjusted_p=q, adjustment="BH")
        work = partial(_explored, kind_of(result.kind), one, totals, control, level, q)
        return net.hold(
            result.key,
            f"{one.arm} among the explorations",
            work,
            partial(_unsaid, result.kind, one.arm, one.always),
        )

    return [
        replace(
            result, comparisons=tuple(explored(result, totals, one) for one in result.comparisons)
        )
        for result, totals in zip(results, observed, strict=True)
    ]


def _explored(
    kind: AnyKind,
    found: ArmComparison,
    observed: Mapping[str, Observed],
    control: str,
    level: float,
    adjusted_p: float | None,
) -> ArmComparison:
    """The same p, with the interval at the level of the finds."""
    comparison, cuped = _compared(kind, observed.get(control), observed.get(found.arm), level)
    return replace(
        found, comparison=comparison, cuped=cuped, adjusted_p=adjusted_p, adjustment="BH"
    )
