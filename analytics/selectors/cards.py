"""Decision cards of many experiments in a fixed number of queries: what the newest analysis says,
beside what experiments know.

This is the only way from stored runs and decisions to what a page, message, report or answer says
of an experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from analytics.core.deciding.decision import DecisionFacts, Readiness, recommended
from analytics.core.deciding.windows import WEEKDAYS
from analytics.core.ground.encoding import restored
from analytics.core.results import ArmComparison, MetricResult
from analytics.core.scans.findings import NEVER_LOOKED, NO_PRIMARY
from analytics.models import AnalysisRun, Decision
from analytics.selectors.results import reading_of
from experiments.core.cards import Breach, Card, Effect, Reading, Unmet, card
from experiments.core.cards.facts import Kind, Undecided
from experiments.core.clock import utc_now
from experiments.core.figures import counted, difference, figure
from experiments.core.life import checklist
from experiments.core.types import MetricKind, MetricRole, Status
from experiments.models import Experiment, Metric
from experiments.selectors.card_facts import card_facts

ANALYSED = (Status.RUNNING, Status.PAUSED, Status.COMPLETED, Status.ARCHIVED)
LIVE = (Status.RUNNING, Status.PAUSED)
ORDER = ("safe", "unknown", "breach")
Document = Mapping[str, Any]


def cards(
    experiments: Sequence[Experiment],
    now: datetime | None = None,
    *,
    whole: bool = True,
    known: checklist.LaunchFacts | None = None,
) -> dict[int, Card]:
    """Experiment id → its card. ``whole=False`` leaves out what only sentences need (effects,
    checklists): for ordering.

    ``known``: the checklist's facts of the one experiment, where somebody has gathered them
    already.
    """
    now = now or utc_now()
    facts = card_facts(experiments, now, checklists=whole, known=known)
    readings = readings_of([one for one in experiments if one.status in ANALYSED], whole=whole)
    return {pk: card(replace(one, reading=readings.get(pk))) for pk, one in facts.items()}


def card_of(
    experiment: Experiment, now: datetime | None = None, known: checklist.LaunchFacts | None = None
) -> Card:
    """The card of one experiment."""
    return cards([experiment], now, known=known)[experiment.pk]


_ALWAYS = (
    "experiment_id", "iteration_id", "masked", "failed_at", "readiness__kind", "readiness__rule", "readiness__items",
    "readiness__clock", "readiness__clock_sentence", "readiness__look__reason", "totals__arms", "totals__spent_micro",
    "totals__budget_micro", "verdicts__guardrails", "health__findings",
)  # fmt: skip


def readings_of(
    experiments: Sequence[Experiment], *, whole: bool = True, arm: str = ""
) -> dict[int, Reading]:
    """Experiment id → what its newest run and the decision that counts say; those without a run are
    left out.

    ``arm``: whose conditions are wanted; else those of the arm in front.
    """
    live = {one.pk for one in experiments if one.status in LIVE}
    fields = (*_ALWAYS, "results__metrics") if whole else _ALWAYS
    rows = AnalysisRun.objects.filter(
        experiment_id__in=[one.pk for one in experiments], latest=True
    ).order_by("iteration__number")
    runs = {
        pk: _Run(dict(zip(fields, (pk, *rest), strict=True)))
        for pk, *rest in _current(rows, live).values_list(*fields)
    }
    decisions = _decisions([run.iteration for pk, run in runs.items() if pk in live])
    names = _metric_names(list(runs.values())) if whole else {}
    return {pk: _reading(run, decisions.get(run.iteration), names, arm) for pk, run in runs.items()}


def _current(rows: Any, live: set[int]) -> Any:
    """Of live experiments only runs of the open iteration: an earlier one says nothing of today."""
    return rows.exclude(experiment_id__in=live, iteration__ended_at__isnull=False)


@dataclass(frozen=True)
class _Run:
    """The columns of a stored run by their names."""

    row: Document

    @property
    def iteration(self) -> int:
        return int(self.row["iteration_id"])

    def listed(self, name: str) -> Sequence[Document]:
        found = self.row.get(name)
        return found if isinstance(found, list) else []

    @property
    def masked(self) -> bool:
        return bool(self.row["masked"])


@dataclass(frozen=True)
class _Decided:
    """The newest decision of an iteration: what it says, of which arm, and whether it still has to
    be done.
    """

    kind: Kind
    arm: str
    outcome: str
    at_look: bool
    stands: bool
    ready: bool


def _decisions(iterations: Sequence[int]) -> dict[int, _Decided]:
    rows = (
        Decision.objects.filter(iteration_id__in=list(iterations))
        .order_by("iteration_id", "-made_at", "-pk")
        .distinct("iteration_id")
    )
    fields = (
        "iteration_id",
        "pk",
        "verdict",
        "outcome",
        "variant__key",
        "look_id",
        "applied__done",
    )
    found = list(rows.values_list(*fields))
    facts = dict(
        Decision.objects.filter(
            pk__in=[row[1] for row in found if row[2] == "escalate"]
        ).values_list("pk", "facts")
    )
    return {row[0]: _decided(row[2:], facts.get(row[1])) for row in found}


def _decided(row: Sequence[Any], facts: Document | None) -> _Decided:
    """What a look decided stands until it is carried out; an alarm stands only while the newest run
    repeats it.
    """
    kind, outcome, arm, look, done = row
    ready = kind == "promote"
    if facts is not None and arm:
        ready = recommended(restored(facts, DecisionFacts)) == arm
    if kind == "promote" and done is False:
        kind = "escalate"  # the rules refused it: a person is asked
    stands = (
        look is not None
        and kind in ("promote", "escalate", "conclude")
        and (ready or kind != "escalate" or not _harmful(facts))
    )
    return _Decided(kind, arm or "", outcome, look is not None, stands, ready)


def _harmful(facts: Document | None) -> bool:
    arms = restored(facts, DecisionFacts).arms if facts is not None else ()
    return any(
        guardrail.breached or guardrail.proven for arm in arms for guardrail in arm.guardrails
    )


def _reading(
    run: _Run, decided: _Decided | None, names: Mapping[str, str], wanted: str = ""
) -> Reading:
    arms = {
        str(arm["key"]): str(arm.get("name") or arm["key"]) for arm in run.listed("totals__arms")
    }
    off = {str(arm["key"]) for arm in run.listed("totals__arms") if arm.get("stopped_at")}
    breached = [
        one
        for one in run.listed("verdicts__guardrails")
        if _breached(one) and one["arm"] not in off
    ]
    said: Kind = run.row["readiness__kind"] or ""
    standing = (
        decided
        if decided is not None and decided.stands and said in ("", "keep", decided.kind)
        else None
    )
    items = _front(
        restored(run.listed("readiness__items"), tuple[Readiness, ...]),
        wanted or (standing.arm if standing else ""),
    )
    metrics = _metrics(run)
    clock = run.row["readiness__clock"] or {}
    days = _days(clock)
    unmet = (
        ()
        if run.masked
        else tuple(_unmet(one, names, arms, days, metrics) for one in items if one.met is not True)
    )
    kind: Kind = standing.kind if standing else said
    arm = (standing.arm if standing else "") or next((one.arm for one in items if one.arm), "")
    return Reading(
        kind=kind,
        arm=arms.get(arm, arm),
        rule=run.row["readiness__rule"] or "",
        units=sum(int(one.get("units", 0)) for one in run.listed("totals__arms")),
        masked=run.masked,
        masked_why="; ".join(
            str(one["sentence"]) for one in run.listed("health__findings") if one.get("masks")
        ),
        failed=run.row["failed_at"] is not None,
        ready=bool(standing and standing.ready),
        overdue=kind == "escalate" and not breached and decided is not None and not decided.at_look,
        over_budget=_over_budget(run) and kind == "stop",
        conclusion=standing.outcome if standing else "",
        breaches=()
        if run.masked and not breached
        else tuple(_breach(one, metrics, names, arms, run.masked) for one in breached),
        effects=() if run.masked else _effects(metrics, arms, off),
        guardrails={} if run.masked else _worst(run.listed("verdicts__guardrails"), names),
        unmet=unmet,
        stopped=tuple(arms[key] for key in arms if key in off),
        days=days,
        weekdays=_lacking(clock),
        clock=run.row["readiness__clock_sentence"] or "",
        next_look=run.row["readiness__look__reason"] or "",
        undecided=_undecided(run),
    )


def _undecided(run: _Run) -> Undecided:
    """What the run found of an experiment that can never be decided."""
    codes = {one["code"] for one in run.listed("health__findings")}
    if NO_PRIMARY in codes:
        return "no_primary"
    return "never_looked" if NEVER_LOOKED in codes else ""


def _days(clock: Document) -> tuple[int, int] | None:
    """Complete days that count, of those wanted; None where no clock runs."""
    if not clock:
        return None
    return sum(min(seen, clock["weeks"]) for seen in clock["per_weekday"]), 7 * clock["weeks"]


def _lacking(clock: Document) -> tuple[str, ...]:
    """The weekdays that the clock still needs."""
    seen = clock["per_weekday"] if clock else ()
    return tuple(day for day, count in zip(WEEKDAYS, seen, strict=False) if count < clock["weeks"])


def _over_budget(run: _Run) -> bool:
    spent, budget = run.row["totals__spent_micro"], run.row["totals__budget_micro"]
    return spent is not None and budget is not None and spent >= budget


def _breached(verdict: Document) -> bool:
    """Harm now that no gain pays for."""
    return bool(verdict.get("proven")) or (
        verdict["verdict"] == "breach" and verdict.get("compensated") is not True
    )


def _breach(
    verdict: Document,
    metrics: Sequence[MetricResult],
    names: Mapping[str, str],
    arms: Mapping[str, str],
    masked: bool,
) -> Breach:
    key, arm = str(verdict["key"]), str(verdict["arm"])
    metric = next(
        (one for one in metrics if one.key == key and one.role == MetricRole.GUARDRAIL), None
    )
    against = (
        None
        if metric is None or masked
        else next((one for one in metric.comparisons if one.arm == arm), None)
    )
    effect = (
        None
        if metric is None or against is None
        else replace(effect_of(metric, against, arms), reading="")
    )
    return Breach(names.get(key, key), arms.get(arm, arm), effect)


def _metrics(run: _Run) -> tuple[MetricResult, ...]:
    shown = [
        one
        for one in run.listed("results__metrics")
        if one["role"] in (MetricRole.PRIMARY, MetricRole.GUARDRAIL)
    ]
    return restored(shown, tuple[MetricResult, ...])


def _effects(
    metrics: Sequence[MetricResult], arms: Mapping[str, str], off: set[str]
) -> tuple[Effect, ...]:
    """The primary metric on every arm that serves, or on all when none does."""
    primary = next((one for one in metrics if one.role == MetricRole.PRIMARY), None)
    found = (
        []
        if primary is None
        else [(one.arm, effect_of(primary, one, arms)) for one in primary.comparisons]
    )
    return tuple(
        effect for arm, effect in found if arm not in off or off >= {key for key, _ in found}
    )


def effect_of(metric: MetricResult, against: ArmComparison, arms: Mapping[str, str]) -> Effect:
    """One arm's difference on one metric, as a card says it."""
    c = against.comparison
    return Effect(
        metric=metric.name,
        arm=arms.get(against.arm, against.arm),
        share=metric.kind == MetricKind.PROPORTION,
        value=c.difference,
        low=None if c.ci is None else c.ci.low,
        high=None if c.ci is None else c.ci.high,
        level=None if c.ci is None else c.ci.level,
        lift=c.lift,
        scale=metric.scale,
        reading=reading_of(metric, against),
        reason=c.reason or "",
    )


def _worst(verdicts: Sequence[Document], names: Mapping[str, str]) -> dict[str, str]:
    """Guardrail by name → the worst of its verdicts; one that nobody knows is worse than a good
    one.
    """
    found: dict[str, str] = {}
    for one in verdicts:
        verdict = (
            "breach"
            if _breached(one)
            else one["verdict"]
            if one["verdict"] in ORDER[:2]
            else "unknown"
        )
        name = names.get(one["key"], one["key"])
        found[name] = max(found.get(name, "safe"), verdict, key=ORDER.index)
    return found


def _metric_names(runs: Sequence[_Run]) -> dict[str, str]:
    """By key, from the results; only what stands in none of them is looked up."""
    found = {
        str(one["key"]): str(one["name"]) for run in runs for one in run.listed("results__metrics")
    }
    lacking = {one["key"] for run in runs for one in run.listed("verdicts__guardrails")} - set(
        found
    )
    rows = (
        Metric.objects.filter(key__in=lacking).order_by("version").values_list("key", "name")
        if lacking
        else ()
    )
    return found | dict(rows)


def _front(items: Sequence[Readiness], arm: str) -> list[Readiness]:
    """The conditions of the experiment, and of the arm in front (the first named) or the one that a
    decision is about.
    """
    front = arm or next((one.arm for one in items if one.arm), "")
    return [one for one in items if one.arm in ("", front)]


def unmet_conditions(experiment_id: int, variant_key: str) -> tuple[str, ...]:
    """The conditions of a promotion that one arm does not meet now, with their numbers; empty when
    it meets them all.

    Where nothing can be read (no analysis, a failed or hidden one) that itself is not met.
    """
    read = readings_of([Experiment.objects.get(pk=experiment_id)], arm=variant_key).get(
        experiment_id
    )
    if read is None:
        return ("an analysis: now none, needed one",)
    if read.masked:
        return (f"usable data: now {read.masked_why or 'not usable'}, needed usable data",)
    failed = (
        ("a working analysis: now the newest one failed, needed one that works",)
        if read.failed
        else ()
    )
    return (*failed, *(str(one) for one in read.unmet))


VERDICTS = {"safe": "safe", "breach": "breach", "unknown": "not proven safe yet"}
PROVEN = "proven safe, and no breach now"
WORDS = {
    "serving": "an arm that serves",
    "primary": "a primary metric",
    "clock": "the minimum runtime",
    "shares": "arms with their planned shares",
    "health": "usable data",
    "units": "more users with full data",
    "boundary": "a clear improvement",
    "improvement": "the minimum gain",
}


def _unmet(
    one: Readiness,
    names: Mapping[str, str],
    arms: Mapping[str, str],
    days: tuple[int, int] | None,
    metrics: Sequence[MetricResult],
) -> Unmet:
    """A condition in words, with its numbers."""
    about = f" of “{arms.get(one.arm, one.arm)}”" if one.arm else ""
    if one.topic == "guardrail":
        verdict, _, paid = one.now.partition(", ")
        now = VERDICTS.get(verdict, verdict) + (", paid for by the gain" if paid else "")
        return Unmet(
            f"{names.get(one.metric, one.metric)} safe{about}",
            now,
            "no breach" if one.needed == "no breach" else PROVEN,
        )
    if one.topic == "clock" and days is not None:
        left = days[1] - days[0]
        return Unmet(counted(left, "more day"), counted(days[0], "day"), counted(days[1], "day"))
    if one.value is None and one.target is None:
        return Unmet(WORDS.get(one.topic, one.name) + about, one.now, one.needed)
    return Unmet(WORDS.get(one.topic, one.name) + about, *_numbers(one, metrics))


def _numbers(one: Readiness, metrics: Sequence[MetricResult]) -> tuple[str, str]:
    if one.topic == "units":
        return figure(one.value), f"at least {figure(one.target)}"
    primary = next((metric for metric in metrics if metric.role == MetricRole.PRIMARY), None)
    share = primary is not None and primary.kind == MetricKind.PROPORTION
    scale = "" if primary is None else primary.scale
    now = "unknown" if one.value is None else difference(one.value, share, scale)
    return now, f"at least {difference(one.target, share, scale)}"
