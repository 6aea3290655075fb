"""What was found, as tables and drawings: metrics raw, sequential and with covariates; looks;
guardrails; a geo pilot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.report.blocks import (
    Block,
    Estimate,
    Heading,
    IntervalChart,
    LookPoint,
    LooksChart,
    Table,
    Words,
)
from analytics.core.report.facts import GeoReading, ReportedMetric, ReportFacts
from analytics.core.report.figures import (
    DASH,
    bounds,
    confidence,
    difference,
    figure,
    level,
    percent,
    sentence,
    signed_percent,
    words,
)
from analytics.core.results import ArmComparison, MetricResult, why_not_always, why_not_cuped
from analytics.core.stats.arms.comparison import Comparison, Interval, disagreement, word_of
from experiments.core.figures import counted, p_value

PROPORTION = "proportion"
MASKED = Words("Masked: see the verdict.", "bad")
ROLES = ("primary", "secondary")
_TITLES = {
    "primary": "Primary metric",
    "secondary": "Secondary metric, for exploring",
    "guardrail": "Guardrail",
}
_COLUMNS = (
    "Arm",
    "Read",
    "Units",
    "Value",
    "Difference",
    "Interval",
    "Level",
    "Lift",
    "p",
    "p adjusted",
)
_FIGURES = (2, 3, 4, 5, 6, 7, 8, 9)


def results(facts: ReportFacts) -> tuple[Block, ...]:
    """Every deciding and exploratory metric; a pilot's reading; why there are none."""
    if facts.masked:
        return (MASKED,)
    if facts.geo is not None:
        return geo(facts.geo)
    shown = sorted((m for m in facts.metrics if m.role in ROLES), key=lambda m: ROLES.index(m.role))
    if not shown:
        return (Words("No primary or secondary metric was measured."),)
    return (*(block for one in shown for block in metric(facts, one)), *looks(facts))


def metric(facts: ReportFacts, one: MetricResult) -> tuple[Block, ...]:
    """One metric: what it is, its table of three readings, its drawing, and what could not be
    said.
    """
    share, planned = one.kind == PROPORTION, _planned(facts, one)
    rows = [_control_row(facts, one, share)]
    rows += [row for against in one.comparisons for row in _rows(facts, one, against, share)]
    drawing = _chart(facts, one, share, None)
    notes = [Words(text) for text in _notes(facts, one)]
    title = Heading(3, f"{_TITLES[one.role]}: {one.name}")
    return (
        title,
        Words(_about(one, planned)),
        Table(_COLUMNS, tuple(rows), _FIGURES),
        *drawing,
        *notes,
    )


def _planned(facts: ReportFacts, one: MetricResult) -> ReportedMetric | None:
    return next((p for p in facts.planned.metrics if (p.key, p.role) == (one.key, one.role)), None)


def _about(one: MetricResult, planned: ReportedMetric | None) -> str:
    better = "higher is better" if one.direction == "increase" else "lower is better"
    window = (
        "until the data cut"
        if one.window_hours is None
        else f"within {counted(one.window_hours, 'hour')} of first exposure"
    )
    said = [f"{words(one.kind)} by unit, {window}; {better}"]
    if one.scale:
        said.append(f"in {one.scale}")
    if planned is not None and planned.cap is not None:
        said.append(f"values above {figure(planned.cap)} count as {figure(planned.cap)}")
    if planned is not None and planned.adjusted:
        said.append("the plan lets the estimate with covariates decide")
    return sentence("; ".join(said))


def _control_row(facts: ReportFacts, one: MetricResult, share: bool) -> tuple[str, ...]:
    arm = next((a for a in one.arms if a.arm == facts.control), None)
    value = (DASH, DASH) if arm is None else (figure(arm.n), level(arm.mean, share))
    return (facts.arm_name(facts.control), "control", *value, *(DASH,) * 6)


def _rows(
    facts: ReportFacts, one: MetricResult, against: ArmComparison, share: bool
) -> Iterable[tuple[str, ...]]:
    """Raw first, then what may be read at any time, then with covariates; the last two where there
    are any.
    """
    name, c = facts.arm_name(against.arm), against.comparison
    n = next((arm.n for arm in one.arms if arm.arm == against.arm), c.treatment_n)
    adjusted = (
        DASH
        if against.adjusted_p is None
        else f"{p_value(against.adjusted_p)} ({against.adjustment})"
    )
    head = (name, "raw", figure(n), level(c.treatment_mean, share))
    yield (
        *head,
        difference(c.difference, share),
        *_interval(c.ci, share),
        signed_percent(c.lift),
        p_value(c.p),
        adjusted,
    )
    if against.always is not None:
        always = against.always
        said = (
            "",
            difference(c.difference, share),
            *_interval(always.interval, share),
            "",
            p_value(always.p),
            "",
        )
        yield (name, "sequential", "", *said)
    if against.cuped is not None and why_not_cuped(one, against) is None:
        k = against.cuped
        said = (
            "",
            difference(k.difference, share),
            *_interval(k.ci, share),
            signed_percent(k.lift),
            p_value(k.p),
            "",
        )
        yield (name, "CUPED", "", *said)
    for stratified in facts.strata:
        if (stratified.metric, stratified.arm, one.role) == (
            one.key,
            against.arm,
            "primary",
        ) and stratified.found.comparison.p is not None:
            k = stratified.found.comparison
            said = (
                "",
                difference(k.difference, share),
                *_interval(k.ci, share),
                signed_percent(k.lift),
                p_value(k.p),
                "",
            )
            yield (name, f"by strata of {stratified.by}", "", *said)


def _interval(interval: Interval | None, share: bool) -> tuple[str, str]:
    return (bounds(interval, share), DASH if interval is None else confidence(interval.level))


def _notes(facts: ReportFacts, one: MetricResult) -> Iterable[str]:
    for against in one.comparisons:
        name, c = facts.arm_name(against.arm), against.comparison
        if c.difference is None:
            yield f"{name}: cannot say, {c.reason or 'there are no data'}."
            continue
        if against.always is not None and against.always.effect_changed:
            yield f"{name}: the effect changed over time, so the sequential interval is the present one alone."
        why = [("sequential", why_not_always(against)), ("CUPED", why_not_cuped(one, against))]
        saved = "" if why_not_cuped(one, against) else _saved(against)
        if saved:
            yield f"{name}: {saved}"
        yield from (f"{name}, {view}: cannot say, {reason}." for view, reason in why if reason)
        yield from (
            f"{name}: {sentence(note)}"
            for note in (disagreement(c), *c.notes, c.lift_reason)
            if note
        )


def _saved(against: ArmComparison) -> str:
    raw, cuped = against.comparison.se, None if against.cuped is None else against.cuped.se
    return (
        ""
        if not raw or cuped is None
        else f"covariates take out {percent(1 - (cuped / raw) ** 2, 1)} of the variance."
    )


def _chart(
    facts: ReportFacts, one: MetricResult, share: bool, margin: float | None
) -> tuple[Block, ...]:
    drawn = [
        estimate for against in one.comparisons for estimate in _estimates(facts, one, against)
    ]
    return (
        (IntervalChart(f"{one.name}: differences from control", share, tuple(drawn), margin),)
        if drawn
        else ()
    )


def _estimates(facts: ReportFacts, one: MetricResult, against: ArmComparison) -> Iterable[Estimate]:
    name, c = facts.arm_name(against.arm), against.comparison
    if c.difference is None:
        return
    yield Estimate(name, c.difference, *_ends(c.ci), _tone(one, c))
    if against.always is not None:
        yield Estimate("sequential", c.difference, *_ends(against.always.interval), "pale")
    if (
        against.cuped is not None
        and against.cuped.difference is not None
        and why_not_cuped(one, against) is None
    ):
        yield Estimate("CUPED", against.cuped.difference, *_ends(against.cuped.ci), "pale")


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.low, interval.high)


def _tone(one: MetricResult, found: Comparison) -> str:
    return (
        ""
        if one.role == "guardrail"
        else {"better": "good", "worse": "bad"}.get(word_of(found, one.direction), "")
    )


def looks(facts: ReportFacts) -> tuple[Block, ...]:
    """Every look of every test arm, and the path of z against the boundary; only these decide."""
    seen = [
        (state.day, h.arm, h.look)
        for state in facts.looks
        for h in state.hypotheses
        if h.look is not None
    ]
    share = facts.primary is not None and facts.primary.kind == PROPORTION
    title = Heading(3, "Looks")
    if not seen:
        return (title, Words("No look was taken: nothing could be decided by the primary metric."))
    rows = tuple(
        (
            f"{look.number}{', the last' if look.last else ''}",
            day.isoformat(),
            facts.arm_name(arm),
            percent(look.t, 0),
            f"{look.z:+.2f}",
            DASH if look.boundary is None else f"±{look.boundary:.2f}",
            difference(look.estimate, share),
            bounds(look.interval, share),
            p_value(look.p),
            "no" if look.crossed is None else f"for the {look.crossed}",
        )
        for day, arm, look in seen
    )
    columns = (
        "Look",
        "Day",
        "Arm",
        "Information",
        "z",
        "Boundary",
        "Difference",
        "Repeated interval",
        "Repeated p",
        "Crossed",
    )
    arms = list(dict.fromkeys(arm for _, arm, _ in seen))
    paths = tuple(
        (
            facts.arm_name(arm),
            tuple(LookPoint(k.t, k.z, k.boundary) for _, a, k in seen if a == arm),
        )
        for arm in arms
    )
    chart = LooksChart(
        "z at the looks against the boundary, by share of the planned information", paths
    )
    return (
        title,
        Words("Only looks decide; a boundary once crossed stays crossed."),
        Table(columns, rows, (3, 4, 5, 6, 7, 8)),
        chart,
    )


def guardrails(facts: ReportFacts) -> tuple[Block, ...]:
    """Verdicts by guardrail and arm, with the margin that was planned and what its breach does."""
    if facts.masked:
        return (MASKED,)
    planned = {one.key: one for one in facts.planned.metrics if one.role == "guardrail"}
    if not planned:
        return (Words("No guardrail was planned."),)
    if not facts.guardrails:
        return (
            Words(
                "No verdict was reached on: "
                + ", ".join(one.name for one in planned.values())
                + "."
            ),
        )
    found = {one.key: one for one in facts.metrics if one.role == "guardrail"}
    rows = tuple(
        _guardrail_row(facts, one, planned.get(one.key), found.get(one.key))
        for one in facts.guardrails
    )
    columns = (
        "Guardrail",
        "Arm",
        "Verdict",
        "Difference",
        "Interval",
        "May get worse by",
        "Promotion needs",
        "On breach",
        "Why",
    )
    charts = [
        chart
        for key, one in found.items()
        for chart in _chart(facts, one, one.kind == PROPORTION, _limit(one, planned.get(key)))
    ]
    return (
        Table(columns, rows, (3, 4, 5), "Safe is said at looks only; a breach at any time."),
        *charts,
    )


def _guardrail_row(
    facts: ReportFacts,
    one: GuardrailResult,
    plan: ReportedMetric | None,
    found: MetricResult | None,
) -> tuple[str, ...]:
    share = found is not None and found.kind == PROPORTION
    c = (
        next((a.comparison for a in found.comparisons if a.arm == one.arm), None)
        if found is not None
        else None
    )
    return (
        plan.name if plan is not None else one.key,
        facts.arm_name(one.arm),
        one.verdict + (", worse than control" if one.worsening and not one.breach else ""),
        difference(None if c is None else c.difference, share),
        bounds(None if c is None else c.ci, share),
        DASH if plan is None else margin_words(plan),
        DASH if plan is None else words(plan.rule) or DASH,
        DASH if plan is None else plan.action or DASH,
        sentence(one.reason),
    )


def margin_words(plan: ReportedMetric) -> str:
    """How much worse a guardrail may get, as planned, in its own kind."""
    if plan.margin is None:
        return DASH
    up = "+" if plan.direction == "decrease" else "−"
    if plan.margin_kind == "points":
        return f"{up}{plan.margin * 100:g} pp"
    if plan.margin_kind == "relative":
        return f"{up}{plan.margin * 100:g} % of control"
    return f"{up}{figure(plan.margin)}" + (" ms" if plan.margin_kind == "ms" else "")


def _limit(one: MetricResult, plan: ReportedMetric | None) -> float | None:
    """The difference at which harm begins; None while a relative margin has no control value to be
    of.
    """
    control = next((a.comparison.control_mean for a in one.comparisons), None)
    if plan is None or plan.margin is None or (plan.margin_kind == "relative" and control is None):
        return None
    size = plan.margin * abs(control or 0.0) if plan.margin_kind == "relative" else plan.margin
    return size if one.direction == "decrease" else -size


def geo(reading: GeoReading) -> tuple[Block, ...]:
    """A pilot's effect read each way, and what the time before its start says of it."""
    found = reading.result
    over = f"{counted(found.regions, 'region')} over {counted(found.periods, 'period')}"
    about = (
        f"{reading.metric} by {reading.region_label}: {found.treated} treated of {over}, "
        f"treated from {reading.start} on. Read once, at its end."
    )
    if found.estimate is None:
        return (Words(about), Words(f"Cannot say: {found.reason}."))
    ways = [(test.method, test.ci, test.p, test.reason or "") for test in found.tests]
    ways.append(
        (
            "sequential, regions as units",
            found.sequential.ci,
            found.sequential.p,
            found.sequential.reason or "",
        )
    )
    rows = tuple(
        (sentence(name).rstrip("."), bounds(ci, False), p_value(p), why)
        for name, ci, p, why in ways
    )
    trend = found.pre_trend
    before = [
        (
            "Pre-trend, per period",
            difference(trend.slope, False),
            p_value(trend.p),
            trend.reason or trend.method,
        )
    ]
    before.append(
        (
            "All periods before jointly",
            DASH,
            p_value(trend.joint_p),
            trend.joint_reason or trend.joint_method,
        )
    )
    before += [
        (
            f"Placebo start {one.start}",
            difference(one.estimate, False),
            p_value(one.p),
            one.reason or "",
        )
        for one in found.placebos
    ]
    drawn = Estimate("effect", found.estimate, *_ends(found.ci))
    return (
        Words(about),
        Table(("Read by", "Interval", "p", ""), rows, (1, 2)),
        IntervalChart(f"{reading.metric}: effect against the control regions", False, (drawn,)),
        Heading(3, "Before the start"),
        Table(
            ("Check", "Value", "p", ""),
            tuple(before),
            (1, 2),
            "A quiet past is no proof; a loud one speaks against the effect.",
        ),
        *(Words(sentence(note)) for note in found.notes),
    )


def methods_of(metrics: Sequence[MetricResult]) -> tuple[tuple[str, str], ...]:
    """Which method each metric's fixed-sample numbers come from, each pair once."""
    pairs = ((m.name, against.comparison.method) for m in metrics for against in m.comparisons)
    return tuple(dict.fromkeys(pairs))
