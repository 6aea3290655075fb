"""The verdict in sentences, and after a win what the gain is likely to be worth."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.core.deciding.look_state import HypothesisLook
from analytics.core.report.blocks import Block, Words
from analytics.core.report.facts import ReportFacts
from analytics.core.report.figures import (
    bounds,
    confidence,
    difference,
    level,
    sentence,
    signed_percent,
    thousandths,
    words,
)
from analytics.core.results import ArmComparison, MetricResult
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.exploring.bayes import LIFT_PRIOR, update

CAUTION = "Estimates of winners are too large on average"


@dataclass(frozen=True, slots=True)
class Winner:
    """The promoted arm on the primary metric: differences in its units, lifts as shares of control.

    ``interval`` is the repeated one of the latest look (None: it had nothing to spend).
    ``shrunken`` is the estimate drawn towards no effect by the prior N(0, .3²) on the lift,
    ``shrunken_interval`` its central interval of the same level; None with the ``reason``.
    """

    arm: str
    look: int
    estimate: float
    interval: Interval | None
    lift: float | None
    shrunken: float | None = None
    shrunken_lift: float | None = None
    shrunken_interval: Interval | None = None
    reason: str | None = None


def winner(facts: ReportFacts) -> Winner | None:
    """What the looks say of the promoted arm; None when nothing was promoted, or no look said
    anything of it.
    """
    seen = _latest(facts)
    primary = facts.primary
    if seen is None or seen.look is None or primary is None:
        return None
    look = seen.look
    control = _control_mean(primary)
    if control is None or control == 0:
        reason = "control's value is not known or zero, so the gain has no lift to weigh against the prior"
        return Winner(seen.arm, look.number, look.estimate, look.interval, None, reason=reason)
    if not look.se > 0:
        return Winner(
            seen.arm,
            look.number,
            look.estimate,
            look.interval,
            look.estimate / abs(control),
            reason="the look has no standard error",
        )
    belief = update(look.estimate, look.se, LIFT_PRIOR.in_units_of(control))
    return Winner(
        arm=seen.arm,
        look=look.number,
        estimate=look.estimate,
        interval=look.interval,
        lift=look.estimate / abs(control),
        shrunken=belief.mean,
        shrunken_lift=belief.mean / abs(control),
        shrunken_interval=belief.interval(round(1 - facts.planned.confidence_level, 9)),
    )


def _latest(facts: ReportFacts) -> HypothesisLook | None:
    if not facts.winner:
        return None
    said = [
        h
        for state in facts.looks
        for h in state.hypotheses
        if h.arm == facts.winner and h.look is not None
    ]
    return said[-1] if said else None


def _control_mean(metric: MetricResult) -> float | None:
    return next((one.comparison.control_mean for one in metric.comparisons), None)


def verdict(facts: ReportFacts) -> tuple[Block, ...]:
    """How it ended and by which rule, what the primary metric says, and after a win the
    cautions.
    """
    if facts.masked:
        return (
            Words(facts.standing, "lead"),
            Words(
                f"Results are masked: they cannot be believed, so no numbers are given. {sentence(facts.masked_why)}",
                "bad",
            ),
        )
    said: list[Block] = [Words(facts.standing, "lead")]
    if not facts.final:
        said.append(
            Words(
                "Not final: the experiment goes on, and numbers between looks are for display. Only looks decide.",
                "caution",
            )
        )
    said.append(Words(ended_by(facts)))
    primary = facts.primary
    if primary is not None:
        said += [Words(primary_sentence(facts, primary, one)) for one in primary.comparisons]
    if facts.geo is not None:
        said.append(Words(geo_sentence(facts)))
    return (*said, *after_a_win(facts))


def ended_by(facts: ReportFacts) -> str:
    """The rule that ended it, or that people did."""
    if facts.origin == "import":
        return "Randomised and run elsewhere; nothing is decided by imported data."
    if not facts.final:
        return (
            f"What the rules say now: {sentence(facts.rule)}"
            if facts.rule
            else "The rules have nothing to say yet."
        )
    done = facts.carried_out
    if done is not None:
        return f"Decision {done.id}, carried out by the platform: {sentence(facts.named(done))}"
    return "A person ended it; no stored decision was carried out."


def primary_sentence(facts: ReportFacts, metric: MetricResult, one: ArmComparison) -> str:
    """One arm against control on the primary metric, fixed-sample: what the frozen run shows."""
    c, share, arm = one.comparison, metric.kind == "proportion", facts.arm_name(one.arm)
    if c.difference is None:
        return f"{metric.name}, {arm}: cannot say, {c.reason or 'there are no data'}."
    values = f"{level(c.treatment_mean, share)} against {level(c.control_mean, share)} of {facts.arm_name(facts.control)}"
    interval = "" if c.ci is None else f", {confidence(c.ci.level)} interval {bounds(c.ci, share)}"
    lift = "" if c.lift is None else f" (lift {signed_percent(c.lift)})"
    return f"{metric.name}, {arm}: {values}; difference {difference(c.difference, share)}{interval}{lift}."


def geo_sentence(facts: ReportFacts) -> str:
    """The one reading of a geo pilot."""
    if facts.geo is None:
        return ""
    found, metric = facts.geo.result, facts.geo.metric
    if found.estimate is None:
        return f"{metric}: cannot say, {found.reason}."
    interval = (
        ""
        if found.ci is None
        else f", {confidence(found.ci.level)} interval {bounds(found.ci, False)}"
    )
    return f"{metric} moved by {difference(found.estimate, False)} against the control regions{interval}; evidence for people to judge."


def after_a_win(facts: ReportFacts) -> tuple[Block, ...]:
    """The repeated interval, the warning, the shrunken estimate and the holdback; nothing unless
    something was promoted.
    """
    if not facts.winner:
        return ()
    name = facts.arm_name(facts.winner)
    won, primary = winner(facts), facts.primary
    if won is None or primary is None:
        return (
            Words(
                f"{name} was promoted without a look at a primary metric, so there is no repeated interval of its gain.",
                "caution",
            ),
        )
    share = primary.kind == "proportion"
    repeated = (
        "had nothing to spend, so it gives no interval"
        if won.interval is None
        else _repeated(won.interval, share)
    )
    gain = difference(won.estimate, share) + (
        "" if won.lift is None else f" (lift {signed_percent(won.lift)})"
    )
    return (
        Words(
            f"Look {won.look} of {name}, on which the promotion rests: gain {gain}; it {repeated}."
        ),
        Words(
            f"{CAUTION}: {name} was promoted because its estimate was large. {_shrunken(won, share)}",
            "caution",
        ),
        *_holdback(facts),
    )


def _repeated(interval: Interval, share: bool) -> str:
    return f"gives the repeated {confidence(interval.level)} interval {bounds(interval, share)}, which holds however many looks were taken"


def _shrunken(won: Winner, share: bool) -> str:
    if won.shrunken is None:
        return f"A shrunken estimate cannot be given: {won.reason}."
    inside = won.shrunken_interval
    within = (
        ""
        if inside is None
        else f", between {bounds(inside, share).replace(' to ', ' and ')} with chance {confidence(inside.level)}"
    )
    lift = signed_percent(won.shrunken_lift)
    return f"Weighed against the prior N(0, 0.3²) on the lift, expect {difference(won.shrunken, share)} (lift {lift}){within}."


def _holdback(facts: ReportFacts) -> tuple[Block, ...]:
    if facts.lasted:
        return (Words(f"What the units held back on control say of what lasted: {facts.lasted}"),)
    if not facts.holdback:
        return ()
    units = words(facts.planned.unit_type)
    return (
        Words(
            f"{thousandths(facts.holdback)} of the tested {units}s are held back on control; their comparison tells what lasts."
        ),
    )
