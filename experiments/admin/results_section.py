"""The results of an experiment as its page shows them: numbers from analytics, drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from analytics.selectors import results, scans
from analytics.selectors.cards import PROVEN, VERDICTS
from analytics.selectors.results import (
    ComparisonView,
    DecisionRow,
    GuardrailResult,
    MarginView,
    MetricRow,
    Readiness,
    ResultsView,
    in_names,
)
from analytics.selectors.scans import ByStrata, ScanView
from experiments.admin import charts, days_section, geo_section
from experiments.admin.template_filters import difference, figure, moment, percent, sentence
from experiments.core.cards import Card
from experiments.core.types import ActorKind, Status
from experiments.drawing.courses import Course
from experiments.models import ChangeLogEntry, Experiment

PROPORTION = "proportion"
ROLES = ("primary", "guardrail", "secondary")
ANALYSED = (Status.RUNNING, Status.PAUSED)
"""Where a fresh analysis says something; afterwards results stay as they were decided upon."""
_TONES = {"better": "good", "worse": "bad"}


@dataclass(frozen=True)
class OtherView:
    """A test arm's difference read otherwise: sequentially, or with covariates; what to know of it
    in words.
    """

    name: str
    said: str
    difference: float | None
    low: float | None
    high: float | None
    lift: float | None
    p: float | None


@dataclass(frozen=True)
class ArmLine:
    """One arm of one metric: control with its value alone, a test arm with its difference, its
    other views and its verdict.

    ``said`` is what to know of the fixed-sample numbers.
    """

    name: str
    is_control: bool
    n: int
    mean: float | None
    against: ComparisonView | None
    guardrail: GuardrailResult | None
    said: str = ""
    views: tuple[OtherView, ...] = ()


@dataclass(frozen=True)
class MetricBlock:
    """One metric: its row, what to know of it, a line per arm, the views it cannot have and why,
    the margin in words, its drawing.

    ``course`` is the effect over the days of the experiment, ``since`` over those since each unit's
    first exposure. ``value`` is what an arm's number is called; ``amended`` the day on which it was
    planned, when that was after the launch.
    """

    row: MetricRow
    about: str
    lines: list[ArmLine]
    missing: list[str]
    margin: str
    chart: charts.Intervals | None
    share: bool
    value: str
    course: Course | None = None
    amended: int | None = None
    since: Course | None = None


@dataclass(frozen=True)
class ConditionRow:
    """One condition of a promotion in people's words: what, of which arm, now, needed, met or not
    (None: cannot say), expected when.
    """

    what: str
    arm: str
    now: str
    needed: str
    met: bool | None
    expected: str = ""


def section(experiment: Experiment, card: Card, analyse_url: str | None) -> dict[str, Any]:
    """Everything the results section shows; without a run, that there is none."""
    pilot = geo_section.block(experiment)
    if pilot is not None:
        return {"geo": pilot}
    view = results.latest(experiment)
    shown: dict[str, Any] = {
        "results": view,
        "fresh": experiment.status in ANALYSED,
        "analyse_url": analyse_url if experiment.status in ANALYSED else None,
    }
    if view is None:
        return shown
    names = {arm.key: arm.name for arm in view.arms}
    found = scans.latest(experiment, view.iteration, masked=view.masked)
    marked = days_section.marks(experiment, view)
    shown_blocks = _blocks(view, names, marked, _amended(experiment, view))
    if found is not None:
        shown_blocks = [
            replace(one, since=days_section.since_exposure(found, one.row, names))
            for one in shown_blocks
        ]
        shown_blocks = [_with_strata(one, found) for one in shown_blocks]
    conditions, front = _conditions(view, names), _front(view)
    return {
        **shown,
        "names": names,
        "scan": found,
        "segments": _segments(found, {row.key: row.kind == PROPORTION for row in view.metrics}),
        "units": sum(arm.units for arm in view.arms),
        "arrivals": days_section.arrivals(view, marked),
        "groups": [
            [b for b in shown_blocks if b.row.role == "primary"],
            [b for b in shown_blocks if b.row.role != "primary"],
        ],
        "safety": [
            (block, line)
            for block in shown_blocks
            for line in block.lines
            if line.guardrail is not None
        ],
        "conditions": conditions,
        "unmet": sum(one.met is not True for one in view.readiness if one.arm in ("", front)),
        "front": names.get(front, front),
        "card": card,
        "looks": [(look, names.get(look.arm, look.arm)) for look in view.looks],
        "decisions": _decided(experiment, view, names),
    }


def blocks(experiment: Experiment, view: ResultsView) -> list[MetricBlock]:
    """Every metric of a view, masked or not, as its page draws them."""
    names = {arm.key: arm.name for arm in view.arms}
    return _blocks(view, names, days_section.marks(experiment, view), _amended(experiment, view))


def _blocks(
    view: ResultsView,
    names: Mapping[str, str],
    marked: days_section.Marks,
    amended: Mapping[str, int],
) -> list[MetricBlock]:
    rows = sorted(view.metrics, key=lambda row: ROLES.index(row.role))
    return [replace(_block(row, view, names, marked), amended=amended.get(row.key)) for row in rows]


def _amended(experiment: Experiment, view: ResultsView) -> dict[str, int]:
    """Metrics that were planned after this iteration began, each with the day (1, 2, …) on which
    that was.
    """
    iteration = experiment.iterations.filter(number=view.iteration).first()
    if iteration is None:
        return {}
    registered = {
        str(one.get("key")) for one in iteration.design.get("metrics", []) if isinstance(one, dict)
    }
    later = {row.key for row in view.metrics if row.role == "secondary"} - registered
    if not later or not registered:
        return {}
    began = iteration.started_at or iteration.began_at
    lines = ChangeLogEntry.objects.filter(
        experiment=experiment, action="metrics_planned", at__gt=began
    ).order_by("at")
    found: dict[str, int] = {}
    for line in lines:
        for key in later & _keys_in(line.after):
            found.setdefault(key, (line.at - began).days + 1)
    return found


def _segments(
    found: ScanView | None, shares: Mapping[str, bool]
) -> list[tuple[object, charts.Intervals | None]]:
    """Each breakdown of the newest scan with its segments drawn on one scale, and no tone: nothing
    is decided by them.
    """
    asked = [] if found is None else scans.segments(found)
    return [
        (
            one,
            charts.intervals(
                [charts.DrawnEstimate(*line) for line in lines],
                points=shares.get(one.metric, False),
            ),
        )
        for one, lines in asked
    ]


def _keys_in(planned: Any) -> set[str]:
    """The keys of metrics as the changelog tells them: ``secondary: csat v1``."""
    told = planned if isinstance(planned, list) else []
    return {str(line).partition(": ")[2].rpartition(" v")[0] for line in told}


BY_PEOPLE = {
    "promote": "promoted",
    "conclude": "concluded the experiment",
    "return_to_control": "returned everybody to control",
}
"""What people decide, by the verb in the changelog, in words."""


def _decided(
    experiment: Experiment, view: ResultsView, names: Mapping[str, str]
) -> list[tuple[DecisionRow, str]]:
    """What the rules and what people decided in the iteration, newest first."""
    made = [(one, in_names(one.rule, names)) for one in view.decisions]
    made += [(one, one.rule) for one in _by_people(experiment, view.iteration, names)]
    return sorted(made, key=lambda line: line[0].made_at, reverse=True)


def _by_people(
    experiment: Experiment, iteration: int, names: Mapping[str, str]
) -> list[DecisionRow]:
    """What a person or a key decided in this iteration, as the changelog has it."""
    began = dict(
        experiment.iterations.filter(number__in=(iteration, iteration + 1)).values_list(
            "number", "began_at"
        )
    )
    lines = ChangeLogEntry.objects.filter(experiment=experiment, action__in=BY_PEOPLE).exclude(
        actor_kind=ActorKind.MACHINE
    )
    lines = lines.filter(at__gte=began[iteration])
    if iteration + 1 in began:
        lines = lines.filter(at__lt=began[iteration + 1])
    return [_by_person(line, names) for line in lines]


def _by_person(line: ChangeLogEntry, names: Mapping[str, str]) -> DecisionRow:
    after = line.after if isinstance(line.after, dict) else {}
    arm, decision = str(after.get("variant") or ""), after.get("decision")
    whom = f" “{names.get(arm, arm)}”" if arm else ""
    how = f", as decision {decision} recommends" if decision else ""
    said = f"{line.actor_label} {BY_PEOPLE[line.action]}{whom}{how}"
    return DecisionRow(
        0, line.at, line.action, str(after.get("outcome") or ""), arm, said, None, True, line.reason
    )


def _block(
    row: MetricRow, view: ResultsView, names: Mapping[str, str], marked: days_section.Marks
) -> MetricBlock:
    share = row.kind == PROPORTION
    lines = _lines(row, view, names)
    limit = row.margin.difference if row.margin else None
    drawn = [
        charts.DrawnEstimate(
            line.name,
            one.difference,
            one.low,
            one.high,
            _tone(line),
            limit,
            *days_section.always_of(one),
        )
        for line in lines
        if (one := line.against) is not None
    ]
    drawing = charts.intervals(drawn, points=share)
    return MetricBlock(
        row,
        _about(row),
        lines,
        _missing(lines),
        _margin(row, row.margin),
        drawing,
        share,
        _value(row),
        days_section.effect(view, row, names, marked),
    )


_VALUES = {"proportion": "Rate", "ratio": "Ratio"}


def _value(row: MetricRow) -> str:
    return _VALUES.get(row.kind, "Mean") if row.quantile is None else f"{row.quantile:g} quantile"


def _about(row: MetricRow) -> str:
    """What was done to the values before they were compared, and which reading decides."""
    said = []
    if row.cap is not None:
        said.append(
            f"values above {figure(row.cap)} count as {figure(row.cap)}"
            + (", the first look's 99.9 % quantile" * row.winsorised)
        )
    elif row.winsorised:
        said.append("winsorised at a cap that the first look finds; these values are whole")
    if row.adjusted:
        said.append("looks decide by CUPED")
    if row.role == "secondary":
        said.append(
            "for exploring: intervals at the level of the finds among all secondary metrics"
        )
    return f"{sentence('; '.join(said))}." if said else ""


def _views(one: ComparisonView) -> tuple[OtherView, ...]:
    """What may be read at any time, and the estimate with covariates."""
    found = []
    if one.always is not None:
        when = (
            "the effect changed over time, this is the present interval alone"
            if one.always.effect_changed
            else "valid at any time"
        )
        inside = one.always.interval
        said = f"{when}; {_interval(inside.level)}"
        found.append(
            OtherView(
                "sequential", said, one.difference, inside.low, inside.high, None, one.always.p
            )
        )
    if one.cuped is not None:
        c = one.cuped
        saved = "" if c.saved is None else f"{percent(c.saved, 1)} of the variance taken out"
        said = "; ".join(filter(None, (saved, *c.notes, _interval(c.level))))
        found.append(OtherView(c.method, said, c.difference, c.low, c.high, c.lift, c.p))
    return tuple(found)


def _with_strata(block: MetricBlock, found: ScanView) -> MetricBlock:
    """The same with a view for every declared covariate whose values the newest scan took for
    strata.
    """
    if block.row.role != "primary":
        return block
    asked = [one for one in found.result.strata if one.metric == block.row.key]

    def views(arm: str) -> tuple[OtherView, ...]:
        return tuple(_by_strata(one) for one in asked if one.arm == arm)

    lines = [
        line
        if line.against is None
        else replace(line, views=(*line.views, *views(line.against.arm)))
        for line in block.lines
    ]
    return replace(block, lines=lines)


def _by_strata(one: ByStrata) -> OtherView:
    c = one.found.comparison
    low, high = (None, None) if c.ci is None else (c.ci.low, c.ci.high)
    mix = ", ".join(
        f"{name} {percent(share, 0)}"
        for name, share in zip(one.found.strata, one.found.weights, strict=True)
    )
    level = "" if c.ci is None else _interval(c.ci.level)
    said = "; ".join(
        filter(
            None,
            (
                f"cannot say: {c.reason}" if c.difference is None else mix,
                level,
                "read by the nightly scan",
            ),
        )
    )
    return OtherView(f"by strata of {one.by}", said, c.difference, low, high, c.lift, c.p)


def _interval(level: float | None) -> str:
    return "" if level is None else f"{level * 100:.3g} % interval"


def _missing(lines: Iterable[ArmLine]) -> list[str]:
    """The views that cannot be had though the difference can, each with its reason and the arms it
    is about.
    """
    compared = [
        (line.name, line.against)
        for line in lines
        if line.against is not None and line.against.difference is not None
    ]
    arms: dict[tuple[str, str], list[str]] = {}
    for name, one in compared:
        for view, reason in (("Sequential", one.always_reason), ("CUPED", one.cuped_reason)):
            if reason:
                arms.setdefault((view, reason), []).append(name)
    return [
        f"{view}{'' if len(whose) == len(compared) else ' of ' + ', '.join(whose)}: cannot say, {reason}."
        for (view, reason), whose in arms.items()
    ]


def _lines(row: MetricRow, view: ResultsView, names: Mapping[str, str]) -> list[ArmLine]:
    """Control first, then the test arms in plan order."""
    controls = {arm.key for arm in view.arms if arm.is_control}
    against = {one.arm: one for one in row.comparisons}
    verdicts = {one.arm: one for one in row.guardrails}
    off = {
        arm.key: _switched_off(arm.stopped_at) for arm in view.arms if arm.stopped_at is not None
    }
    lines = []
    for a in row.arms:
        found = against.get(a.arm)
        said, views = _read(found)
        said = "; ".join(filter(None, (off.get(a.arm), said)))
        lines.append(
            ArmLine(
                names.get(a.arm, a.arm),
                a.arm in controls,
                a.n,
                a.mean,
                found,
                verdicts.get(a.arm),
                said,
                views,
            )
        )
    return sorted(lines, key=lambda line: not line.is_control)


def _switched_off(at: datetime) -> str:
    """Control went on: its line has other numbers than those that this arm is compared with."""
    return f"switched off {moment(at)}: compared with control as it was then"


def _read(one: ComparisonView | None) -> tuple[str, tuple[OtherView, ...]]:
    """What to know of the fixed-sample numbers, and the other views; nothing where there is no
    difference.
    """
    if one is None or one.difference is None:
        return "", ()
    return "; ".join(filter(None, ("fixed", _interval(one.level)))), _views(one)


def _tone(line: ArmLine) -> str:
    if line.guardrail is not None:
        return {"safe": "good", "breach": "bad"}.get(line.guardrail.verdict, "")
    return _TONES.get(line.against.verdict, "") if line.against else ""


def _margin(row: MetricRow, margin: MarginView | None) -> str:
    """How much worse is allowed, as planned and as a difference here."""
    if margin is None:
        return ""
    here = (
        "" if margin.difference is None else difference(margin.difference, row.kind == PROPORTION)
    )
    if margin.kind == "relative":
        return f"{margin.value * 100:g} % of control" + (f" ({here})" if here else "")
    return here


TITLES = {
    "serving": "The arm serves",
    "primary": "Primary metric planned",
    "clock": "Minimum runtime",
    "shares": "Shares as planned (SRM)",
    "health": "Data healthy",
    "units": "Users with full data",
    "boundary": "Clear improvement",
    "improvement": "Minimum gain",
}


def _conditions(view: ResultsView, names: Mapping[str, str]) -> list[ConditionRow]:
    metrics = {row.key: row.name for row in view.metrics}
    share = view.primary is not None and view.primary.kind == PROPORTION
    control = next((arm.name for arm in view.arms if arm.is_control), "control")
    return [
        replace(
            _condition(one, metrics, names, share, control),
            expected=days_section.expected(view, one),
        )
        for one in view.readiness
    ]


def _front(view: ResultsView) -> str:
    """The key of the arm that would be promoted first; its conditions are counted."""
    return next((one.arm for one in view.readiness if one.arm), "")


def _condition(
    one: Readiness, metrics: Mapping[str, str], names: Mapping[str, str], share: bool, control: str
) -> ConditionRow:
    what = (
        metrics.get(one.metric, one.metric)
        if one.topic == "guardrail"
        else TITLES.get(one.topic, one.name)
    )
    arm = names.get(one.arm, one.arm) or (control if one.topic == "units" else "")
    now, needed = one.now, one.needed
    if one.topic == "units":
        now, needed = figure(one.value), f"at least {figure(one.target)}"
    elif one.topic == "improvement":
        now, needed = _gain(one.value, share), f"at least {_gain(one.target, share)}"
    elif one.topic == "boundary":
        now, needed = _BOUNDARY.get(now, "not yet"), "better than control"
    elif one.topic == "guardrail":
        now, needed = _guarded(one)
    return ConditionRow(what, arm, now, needed, one.met)


_BOUNDARY = {"better": "better than control", "worse": "worse than control"}


def _guarded(one: Readiness) -> tuple[str, str]:
    """A guardrail's verdict in words that fit its mark: what may pass without proof says that
    nothing was found.
    """
    verdict, _, paid = one.now.partition(", ")
    if one.met and verdict == "unknown":
        return "no breach so far", "no breach"
    now = VERDICTS.get(verdict, verdict) + (", paid for by the gain" if paid else "")
    return now, "no breach" if one.needed == "no breach" else PROVEN


def _gain(value: float | None, share: bool) -> str:
    return "cannot say yet" if value is None else difference(value, share) if value else "0"
