"""From inputs to a plan: a size, a duration and what is within reach for every metric, and for all
of them together.

The primary metric is sized to find its effect, a guardrail to be SAFE when there is no harm if the
plan requires that; n_planned is the largest, as information 1/(1/n_T + 1/n_C), and never less than
what the first legal look will have. Secondary metrics and guardrails that only must not be breached
are answered for but size nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypedDict

from analytics.core.deciding.looks import information, planned_information
from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.planner import words
from analytics.core.planner.asked import MetricQuestion
from analytics.core.planner.inputs import MetricInputs, Role, Rules, Traffic
from analytics.core.stats import power
from analytics.core.stats.power import SampleSize
from experiments.core.figures import counted

DETECTION_POWER = 0.8
"""Of the number that stands beside a guardrail's own: detecting its margin against zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSize:
    """One metric's answer. ``fixed`` is the size of a single test at the end, ``size`` with the
    planned looks.

    ``power`` is what the plan's own size gives it. ``mde`` (absolute) and ``mde_relative`` are the
    smallest effect that the horizon's traffic finds, ``margin_in_reach`` the smallest margin it can
    show to be kept, in the margin's kind. ``safe_events`` and ``detect_events`` are control's bad
    events, as if rare: for SAFE, and to detect an increase of the margin's size against zero at
    power .8. ``beside`` says these in words.
    """

    key: str
    role: Role
    kind: str
    question: str
    fixed: SampleSize | None = None
    size: SampleSize | None = None
    power: float | None = None
    days: int | None = None
    weeks: int | None = None
    within_reach: bool | None = None
    mde: float | None = None
    mde_relative: float | None = None
    margin_in_reach: float | None = None
    safe_events: int | None = None
    detect_events: int | None = None
    note: str = ""
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SizePlan:
    """The whole answer. ``control``, ``treatment`` (the smallest test arm), ``arms`` and ``total``
    are units; ``n_planned`` is information; days and weeks are None without traffic.
    ``joint_power`` is a lower bound. ``out_of_reach`` are the sentences about what takes longer
    than the horizon; ``advice`` begins with them."""

    rows: tuple[MetricSize, ...]
    decided_by: str
    control: int
    treatment: int
    arms: tuple[int, ...]
    total: int
    n_planned: float
    days: int | None
    weeks: int | None
    bound_by: str | None
    units_per_day: float | None
    horizon_weeks: int
    clock_weeks: int
    looks: int
    joint_power: float | None
    joint: str
    advice: tuple[str, ...]
    out_of_reach: tuple[str, ...] = ()

    def row(self, key: str, role: Role | None = None) -> MetricSize:
        """The row of a metric (and role)."""
        found = next(
            (row for row in self.rows if row.key == key and role in (None, row.role)), None
        )
        if found is None:
            raise ImpossiblePlan(
                f"metric {key!r} is not in the plan; there are {', '.join(row.key for row in self.rows)}"
            )
        return found


def plan(metrics: Sequence[MetricInputs], traffic: Traffic, rules: Rules) -> SizePlan:
    """The plan of these metrics; refuses (``ImpossiblePlan``) numbers that contradict each other,
    and what is missing to size it.
    """
    primaries = max(1, sum(metric.role == "primary" for metric in metrics))
    asked = [
        MetricQuestion(metric, traffic, rules, _required(metrics), primaries) for metric in metrics
    ]
    if not asked:
        raise ImpossiblePlan("a plan has at least one metric")
    sizing = [one for one in asked if one.sizes]
    for one in sizing:
        if one.metric.lacking:
            raise ImpossiblePlan(
                f"{one.metric.key} (a {one.metric.kind}): enter {words.lacking(one.metric)}"
            )
    exact, decided_by = _largest(sizing, traffic, rules)
    arms = traffic.arms(exact)
    window = max((one.metric.window_days for one in sizing or asked), default=0.0)
    spent = power.duration(
        exact,
        traffic.control_per_day,
        window_days=window,
        grace_days=rules.grace_days,
        clock_weeks=max(1, rules.clock_weeks),
    )
    rows = tuple(_row(one, exact) for one in asked)
    chance, sentence = _jointly(asked, rows, exact)
    late = _out_of_reach(asked, rows)
    return SizePlan(
        rows=rows,
        decided_by=decided_by,
        control=arms[0],
        treatment=min(arms[1:]),
        arms=arms,
        total=sum(arms),
        n_planned=planned_information(
            information(arms[0], min(arms[1:])), (), _by_first_look(traffic, rules, window)
        ),
        days=None if spent is None else spent.days,
        weeks=None if spent is None else spent.weeks,
        bound_by=None if spent is None else spent.bound_by,
        units_per_day=traffic.units_per_day,
        horizon_weeks=rules.horizon,
        clock_weeks=rules.clock_weeks,
        looks=rules.looks,
        joint_power=chance,
        joint=sentence,
        advice=(*late, *_for_joint_power(asked, chance)),
        out_of_reach=late,
    )


def _required(metrics: Sequence[MetricInputs]) -> int:
    return sum(metric.role == "guardrail" and metric.required for metric in metrics)


def _by_first_look(traffic: Traffic, rules: Rules, window: float) -> float:
    """Information that the first legal look will have: everybody matured when the clock is
    complete.
    """
    if traffic.guessed:
        return 0.0
    control = power.matured_units(
        rules.clock_weeks, traffic.control_per_day, window_days=window, grace_days=rules.grace_days
    )
    return information(control, control * traffic.ratio)


def _largest(sizing: Sequence[MetricQuestion], traffic: Traffic, rules: Rules) -> tuple[float, str]:
    """Control's units before rounding, and which metric (or the floor) asks for them."""
    sizes = [(_size(one).exact_control, one.metric.key) for one in sizing]
    exact, decided_by = max(sizes, key=lambda size: size[0], default=(0.0, ""))
    floor = max(rules.floor, 1) * max(1.0, 1 / traffic.ratio)
    return (exact, decided_by) if exact >= floor else (floor, decided_by or "the floor per arm")


def _size(one: MetricQuestion) -> SampleSize:
    with _said_of(one.metric):
        return one.size(one.rules.looks)


@contextmanager
def _said_of(metric: MetricInputs) -> Iterator[None]:
    """Refusals of a formula name the metric that they are about."""
    try:
        yield
    except ImpossiblePlan as impossible:
        raise ImpossiblePlan(f"{metric.key}: {impossible}") from impossible


class _Reach(TypedDict, total=False):
    days: int | None
    weeks: int | None
    within_reach: bool | None
    mde: float | None
    mde_relative: float | None
    margin_in_reach: float | None


def _row(asked: MetricQuestion, exact: float) -> MetricSize:
    """The answer for one metric; what cannot be said of one that sizes nothing is said in its
    note.
    """
    m = asked.metric
    bare = MetricSize(
        key=m.key, role=m.role, kind=m.kind, question=words.question(m), note=_note(asked)
    )
    if set(m.lacking) - {"effect"}:
        return replace(bare, note=f"cannot say: {words.lacking(m)} is not known")
    try:
        return _answered(bare, asked, exact)
    except ImpossiblePlan as impossible:
        if asked.sizes:
            raise ImpossiblePlan(f"{m.key}: {impossible}") from impossible
        return replace(bare, note=f"cannot say: {impossible}")


def _answered(bare: MetricSize, asked: MetricQuestion, exact: float) -> MetricSize:
    m, rules = asked.metric, asked.rules
    known = m.target is not None
    fixed, size = (asked.size(1), asked.size(rules.looks)) if known else (None, None)
    found = replace(
        bare,
        fixed=fixed if asked.sizes or m.role == "secondary" else None,
        size=size if asked.sizes or m.role == "secondary" else None,
        power=asked.chance(exact) if known else None,
        **_reach(asked, size),
        **_events(asked),
    )
    return replace(found, beside=tuple(_beside(asked, found)))


def _beside(asked: MetricQuestion, row: MetricSize) -> Iterator[str]:
    """What stands beside a metric's size, in words."""
    if row.fixed is not None and row.size is not None and row.fixed != row.size:
        yield f"{counted(row.fixed.control, 'unit')} in control if there were a single look"
    if row.safe_events is not None and row.detect_events is not None:
        yield words.events(asked.metric, row.safe_events, row.detect_events)
    smallest = _in_its_kind(asked.metric, row)
    if smallest is not None:
        yield words.in_reach(asked.metric, smallest, asked.rules.horizon)


def _reach(asked: MetricQuestion, size: SampleSize | None) -> _Reach:
    """What the traffic of the horizon's weeks answers, and how long this metric's own size
    takes.
    """
    m, rules, per_day = asked.metric, asked.rules, asked.traffic.control_per_day
    if not per_day > 0:
        return {}
    there = power.matured_units(
        rules.horizon, per_day, window_days=m.window_days, grace_days=rules.grace_days
    )
    smallest = asked.smallest(there)
    found: _Reach = {}
    if size is not None:
        spent = power.duration(
            size.exact_control,
            per_day,
            window_days=m.window_days,
            grace_days=rules.grace_days,
            clock_weeks=max(1, rules.clock_weeks),
        )
        if spent is not None:
            found = {
                "days": spent.days,
                "weeks": spent.weeks,
                "within_reach": spent.weeks <= rules.horizon,
            }
    if m.role == "guardrail":
        found["margin_in_reach"] = smallest
        return found
    found["mde"] = smallest
    found["mde_relative"] = (
        smallest / abs(m.baseline) if smallest is not None and m.baseline else None
    )
    return found


class _Events(TypedDict, total=False):
    safe_events: int
    detect_events: int


def _events(asked: MetricQuestion) -> _Events:
    """Control's bad events, where the margin is relative and more is worse: SAFE's, and those of
    the source's question.
    """
    m = asked.metric
    rare = m.kind in _OF_EVENTS and m.baseline is not None and m.baseline < 1
    if (
        m.role != "guardrail"
        or not m.relative
        or m.better != "decrease"
        or not rare
        or not asked.margin > 0
    ):
        return {}
    ratio = asked.traffic.ratio
    required = asked.proving(1)["required_guardrails"]
    return {
        "safe_events": power.safe_events(asked.margin, required_guardrails=required, ratio=ratio),
        "detect_events": power.detect_events(asked.margin, power=DETECTION_POWER, ratio=ratio),
    }


_OF_EVENTS = ("proportion", "count", "ratio")
"""Kinds that may count bad events."""


def _note(asked: MetricQuestion) -> str:
    if asked.metric.role == "guardrail" and not asked.metric.required:
        return "only must not be breached: does not size the experiment"
    return "exploratory: does not size the experiment" if asked.metric.role == "secondary" else ""


def _jointly(
    asked: Sequence[MetricQuestion], rows: Sequence[MetricSize], exact: float
) -> tuple[float | None, str]:
    """At least how surely everything required comes out: 1 − the sum of what each may miss
    (Bonferroni).
    """
    primary = [row.power for row in rows if row.role == "primary" and row.power is not None]
    guards = [
        row.power
        for one, row in zip(asked, rows, strict=True)
        if one.sizes and row.role == "guardrail" and row.power is not None
    ]
    if not primary and not guards:
        return None, ""
    chance = max(0.0, 1 - sum(1 - p for p in (*primary, *guards)))
    control = asked[0].traffic.arms(exact)[0]
    return chance, words.joint(
        chance, min(primary, default=None), len(guards), min(guards, default=None), control
    )


def _out_of_reach(asked: Sequence[MetricQuestion], rows: Sequence[MetricSize]) -> tuple[str, ...]:
    """What of the plan takes longer than its horizon, each as a sentence."""
    return tuple(
        words.out_of_reach(
            one.metric,
            needed=row.weeks,
            horizon=one.rules.horizon,
            smallest=_in_its_kind(one.metric, row),
        )
        for one, row in zip(asked, rows, strict=True)
        if one.sizes and row.within_reach is False
    )


def _in_its_kind(metric: MetricInputs, row: MetricSize) -> float | None:
    if metric.role == "guardrail":
        return row.margin_in_reach
    return row.mde_relative if metric.relative else row.mde


def _for_joint_power(asked: Sequence[MetricQuestion], chance: float | None) -> tuple[str, ...]:
    """What the primary metric needs so that the whole reaches the planned power, where it does
    not.
    """
    required = asked[0].required
    primary = next((one for one in asked if one.metric.role == "primary"), None)
    if chance is None or primary is None or not required or chance >= primary.rules.power - 0.005:
        return ()
    share = 1 - (1 - primary.rules.power) / (1 + required)
    size = primary.size(primary.rules.looks, share)
    needs = f"{primary.metric.key} needs {counted(size.control, 'unit')} in control"
    return (f"for {primary.rules.power:.2f} together {needs}, a power of {share:.2f} of its own",)
