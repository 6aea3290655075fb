"""Plan and history: what was asked, what happened instead, what was changed, what it cost, how it
was decided.
"""

from __future__ import annotations

from analytics.core.report.blocks import Block, Heading, Items, Table, Words
from analytics.core.report.facts import ArmCost, ReportedArm, ReportedMetric, ReportFacts
from analytics.core.report.figures import (
    DASH,
    MICRO,
    confidence,
    days,
    difference,
    figure,
    money,
    percent,
    sentence,
    thousandths,
    words,
)  # fmt: skip
from analytics.core.report.results import margin_words, methods_of
from analytics.core.results import WHAT_TO_DO, ArmSummary
from experiments.core.figures import counted, moment, p_said

_PLAIN_METHODS = (
    "Fixed-sample numbers are for display. A metric decides at looks alone: at most one a complete local day, once the clock is complete.",
    "A look's boundary is Lan–DeMets with O'Brien–Fleming spending on each side, over matured units.",
    "Repeated intervals and repeated p come from the looks so far; with several arms by Holm, intervals at α/m.",
    "Sequential intervals are always-valid confidence sequences, shown as their running intersection.",
    "CUPED is Lin's interacted estimator with what is known of a unit from before its first exposure.",
    "Secondary metrics are for exploring: Benjamini–Hochberg over all of them, intervals at the level of the finds.",
    "A guardrail's breach rests on an anytime-valid bound, Holm over guardrails and arms; safe is said at looks only.",
    "Shares are tested by χ² (SRM); below p = 0.001 at a look or the end results are masked and nothing is decided.",
    "A shrunken estimate is the posterior mean under the prior N(0, 0.3²) on the lift.",
)

_GEO_METHODS = (
    "A geo pilot compares treated regions with control regions before and after the start: difference in differences.",
    "It is read once, at its end; the deciding p is the largest of those that its tests give.",
    "From 100 regions on an always-valid interval stands beside it, with regions as units.",
)


def summary(facts: ReportFacts) -> tuple[Block, ...]:
    """Who asked what, and when."""
    p = facts.planned
    rows = [
        ("Experiment", facts.key),
        ("Kind", f"{words(facts.experiment_type)}, iteration {facts.iteration}"),
        ("Owner", facts.owner),
        ("Flag", p.flag or DASH),
        ("Unit", words(p.unit_type)),
        ("Policy", f"{p.policy}, version {p.policy_version}"),
        (
            "Ran",
            f"{moment(facts.started)} to {moment(facts.ended)} ({days(facts.started, facts.ended)})",
        ),
        ("Outcome", words(facts.outcome) or "none yet"),
        ("Data up to", moment(facts.data_cut)),
    ]
    return (Table(("", ""), tuple(rows)),)


def hypothesis(facts: ReportFacts) -> tuple[Block, ...]:
    """What was believed before, in its author's words, and the variants."""
    p = facts.planned
    said: list[Block] = [
        Words(p.hypothesis, "quote") if p.hypothesis else Words("No hypothesis was written down.")
    ]
    if p.expected_effect:
        said.append(Words(f"Expected effect: {p.expected_effect}"))
    if p.prd_url:
        said.append(Words(f"PRD: {p.prd_url}"))
    arms = tuple((_named(arm), thousandths(arm.weight), arm.config or DASH) for arm in p.arms)
    return (*said, Table(("Variant", "Share of the experiment", "What it is"), arms, (1,)))


def _named(arm: ReportedArm | ArmSummary) -> str:
    return f"{arm.name} (control)" if arm.is_control and arm.name.lower() != "control" else arm.name


def plan(facts: ReportFacts) -> tuple[Block, ...]:
    """What was planned beside what happened, row by row, then the metrics as planned."""
    rows = (*_times(facts), *_sizes(facts), *(_statistics(facts) if facts.origin == "live" else ()))
    metrics = tuple(_metric_row(one) for one in facts.planned.metrics)
    columns = ("Metric", "Role", "Baseline", "Effect to find", "May get worse by", "Needed gain")
    said: list[Block] = [Table(("", "Planned", "What happened"), rows)]
    if metrics:
        said += [Heading(3, "Metrics as planned"), Table(columns, metrics, (2, 3, 4, 5))]
    return tuple(said)


def _times(facts: ReportFacts) -> list[tuple[str, str, str]]:
    p = facts.planned
    stops = "; ".join(
        f"{moment(s.began)} for {days(s.began, s.ended or facts.as_of)} ({s.cause})"
        for s in facts.pauses
    )
    dark = days(facts.dark_started, facts.started) if facts.dark_started else "none"
    ends = [
        ("Start", moment(p.start) if p.start else "not set", moment(facts.started)),
        (
            "End",
            moment(p.end) if p.end else "not set",
            moment(facts.ended) if facts.ended else "not yet",
        ),
    ]
    if facts.origin != "live":
        return ends
    return [
        *ends,
        ("Dark launch", DASH, dark),
        ("Complete days of each weekday", f"{p.weeks} of each", facts.clock or DASH),
        ("Pauses", "none", stops or "none"),
    ]


def _sizes(facts: ReportFacts) -> list[tuple[str, str, str]]:
    p = facts.planned
    whole = sum(arm.units for arm in facts.arms)
    rows = [("Share of all units", thousandths(p.traffic), thousandths(facts.traffic))]
    for arm in facts.arms:
        wanted = p.control_units if arm.is_control else p.test_units
        asked = "no size was computed" if wanted is None else counted(wanted, "unit")
        shares = f"{percent(arm.expected_share, 1)} of them planned, {percent(arm.units / whole if whole else None, 1)} met"
        rows.append((f"Units: {arm.name}", asked, f"{counted(arm.units, 'unit')}; {shares}"))
    return rows


def _statistics(facts: ReportFacts) -> list[tuple[str, str, str]]:
    p = facts.planned
    taken = f"{len(facts.looks)}" + (
        ", the last one too" if facts.looks and facts.looks[-1].last else ""
    )
    reached = (
        f"{percent(facts.looks[-1].information, 0)} of the planned information"
        if facts.looks
        else "no look was taken"
    )
    return [
        (
            "Confidence, power, information",
            f"{confidence(p.confidence_level)}, power {p.power:g}",
            reached,
        ),
        ("Looks", "one a complete day once the clock is complete", taken),
        (
            "Fewest units an arm",
            f"{p.min_sample_size:,}",
            f"{min((arm.units for arm in facts.arms), default=0):,}",
        ),
        (
            "Promotion",
            "by itself when every rule holds" if p.auto_promote else "by a person",
            words(facts.outcome) or "none yet",
        ),
    ]


def _metric_row(one: ReportedMetric) -> tuple[str, ...]:
    share = one.kind == "proportion"
    baseline = (
        DASH if one.baseline is None else percent(one.baseline) if share else figure(one.baseline)
    )
    effect = (
        DASH
        if one.mde is None
        else f"{one.mde * 100:g} % of it"
        if one.mde_kind == "relative"
        else difference(one.mde, share)
    )
    needed = difference(one.required_improvement, share) if one.required_improvement else DASH
    return (one.name, one.role, baseline, effect, margin_words(one), needed)


def amendments(facts: ReportFacts) -> tuple[Block, ...]:
    """What was changed after launch; the deciding design never is."""
    if not facts.amendments:
        return (Words("None: nothing was changed after launch."),)
    rows = tuple(
        (moment(a.at), a.who, words(a.what), a.was or DASH, a.became or DASH, a.reason or DASH)
        for a in facts.amendments
    )
    return (Table(("When", "Who", "What", "Was", "Became", "Why"), rows),)


def health(facts: ReportFacts) -> tuple[Block, ...]:
    """Whether the data may be believed: shares, crossovers, and every finding with what to do about
    it.
    """
    rows = tuple(
        (_named(arm), f"{arm.units:,}", percent(arm.expected_share, 1), f"{arm.exposures:,}",
         f"{arm.crossovers:,}")
        for arm in facts.arms
    )  # fmt: skip
    said: list[Block] = (
        [
            Table(
                ("Arm", "Units", "Expected share", "Exposures", "Met two variants"),
                rows,
                (1, 2, 3, 4),
            )
        ]
        if rows
        else []
    )
    said.append(Words(_shares(facts)))
    if facts.findings:
        said.append(
            Items(
                tuple(
                    f"{f.weight}: {sentence(f.sentence)} {WHAT_TO_DO.get(f.code, '')}".strip()
                    for f in facts.findings
                )
            )
        )
    else:
        said.append(Words("Nothing speaks against the data."))
    return tuple(said)


def _shares(facts: ReportFacts) -> str:
    if facts.srm is None or facts.srm.p is None:
        return "Whether the shares are as planned cannot be said."
    return f"Shares as planned (SRM): {p_said(facts.srm.p)}, {facts.srm.verdict}."


def cost(facts: ReportFacts) -> tuple[Block, ...]:
    """What the arms' requests took; per unit, so that arms of other sizes compare."""
    if facts.masked:
        return (Words("Masked: see the verdict.", "bad"),)
    if not facts.costs:
        return (Words("No costs of requests are known for this experiment."),)
    units = {arm.key: arm.units for arm in facts.arms}
    rows = tuple(_cost_row(facts, one, units.get(one.arm, 0)) for one in facts.costs)
    columns = (
        "Arm",
        "Requests",
        "Tokens in",
        "Tokens out",
        "Cost",
        "Cost per request",
        "Cost per unit",
        "From the cache",
    )
    return (
        Table(
            columns,
            rows,
            (1, 2, 3, 4, 5, 6, 7),
            f"Costs in whole units of the currency; kept in millionths ({MICRO:,}).",
        ),
    )


def _cost_row(facts: ReportFacts, one: ArmCost, units: int) -> tuple[str, ...]:
    def per(n: int) -> str:
        return money(None if one.micro is None or not n else one.micro / n)

    cached = percent(
        None if one.cached is None or not one.requests else one.cached / one.requests, 1
    )
    tokens = (figure(one.tokens_in), figure(one.tokens_out))
    return (
        facts.arm_name(one.arm),
        f"{one.requests:,}",
        *tokens,
        money(one.micro),
        per(one.requests),
        per(units),
        cached,
    )


def decisions(facts: ReportFacts) -> tuple[Block, ...]:
    """Every stored decision, what promotion asked for, who signed, and the whole changelog."""
    return (*_decided(facts), *_readiness(facts), *_signed(facts), *_trail(facts))


def _decided(facts: ReportFacts) -> tuple[Block, ...]:
    if not facts.decisions:
        return (Words("No decision was made by rule."),)
    done = {True: "carried out", False: "not carried out", None: DASH}
    rows = tuple(
        (f"{d.id}", moment(d.at), words(d.verdict), words(d.outcome) or DASH, facts.arm_name(d.arm) or DASH, sentence(facts.named(d)),
         DASH if d.look is None else f"{d.look}", done[d.carried_out] + (f": {d.note}" if d.note and d.note != d.rule else ""))
        for d in facts.decisions
    )  # fmt: skip
    return (
        Table(
            ("Decision", "When", "Verdict", "Outcome", "Arm", "Rule", "Look", "What became of it"),
            rows,
        ),
    )


def _readiness(facts: ReportFacts) -> tuple[Block, ...]:
    if not facts.readiness:
        return ()
    met = {True: "met", False: "not met", None: "cannot say"}
    rows = tuple((one.name, one.now, one.needed, met[one.met]) for one in facts.readiness)
    return (
        Heading(3, "What a promotion asked for"),
        Table(("Condition", "Found", "Needed", ""), rows),
    )


def _signed(facts: ReportFacts) -> tuple[Block, ...]:
    if not facts.signed:
        return ()
    rows = tuple(
        (moment(s.at), words(s.item), words(s.verdict), s.who, s.comment or DASH)
        for s in facts.signed
    )
    return (
        Heading(3, "Signed before launch"),
        Table(("When", "Item", "Verdict", "Who", "Comment"), rows),
    )


def _trail(facts: ReportFacts) -> tuple[Block, ...]:
    rows = tuple((moment(t.at), t.who, words(t.what), t.reason or DASH) for t in facts.trail)
    return (
        (Heading(3, "Everything that happened"), Table(("When", "Who", "What", "Why"), rows))
        if rows
        else ()
    )


def notes(facts: ReportFacts) -> tuple[Block, ...]:
    """What the team wrote down."""
    return (
        (Words(facts.notes, "quote"),)
        if facts.notes
        else (Words("The team has written nothing down yet."),)
    )


def methods(facts: ReportFacts) -> tuple[Block, ...]:
    """How the numbers were made."""
    used = () if facts.masked else methods_of(facts.metrics)
    said: list[Block] = [Items(_PLAIN_METHODS if facts.geo is None else _GEO_METHODS)]
    if used:
        said.append(Table(("Metric", "Method of the fixed-sample numbers"), used))
    return tuple(said)


def versions(facts: ReportFacts) -> tuple[Block, ...]:
    """What made this report: run, data, engine, metric and template versions."""
    rows = [
        ("Run", f"{facts.run}"),
        ("As of", moment(facts.as_of)),
        ("Data up to", moment(facts.data_cut)),
    ]
    return (Table(("", ""), (*rows, *sorted(facts.versions.items()))),)
