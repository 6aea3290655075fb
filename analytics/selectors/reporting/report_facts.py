"""The facts of a report, read from one stored run and what led to it; nothing later than the run
enters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from analytics.core.deciding.decision import Readiness
from analytics.core.deciding.look_state import LookState
from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.ground.encoding import restored
from analytics.core.report.facts import (
    Amendment,
    DecisionMade,
    GeoReading,
    PauseFact,
    PlannedFacts,
    ReportedArm,
    ReportedMetric,
    ReportFacts,
    SignedItem,
    TrailLine,
)
from analytics.core.results import ArmSummary, MetricResult
from analytics.core.scans.findings import Finding
from analytics.core.scans.scans import ByStrata
from analytics.core.stats.did import DidResult
from analytics.core.stats.srm import SrmCheck
from analytics.models import AnalysisRun
from analytics.selectors import geo
from analytics.selectors.arm_costs import arm_costs
from analytics.selectors.cards import card_of
from analytics.selectors.holdbacks import holdback_sentence
from analytics.selectors.plans import AnalysisPlan, plan_of
from analytics.selectors.reporting.finished import ENDED, ended_holdbacks
from analytics.selectors.results import decision_rows
from analytics.selectors.scans import scan_of
from experiments.core.figures import moment
from experiments.core.types import Origin
from experiments.models import ChangeLogEntry, Experiment, Iteration
from experiments.selectors.experiments import iteration_design

AMENDING = ("experiment_edited", "metrics_planned")
_AMENDED = frozenset({"planned_end", "notes"})
"""Fields of an edit that are worth calling an amendment; titles and tags are not."""
_LONGEST = 400
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")


def is_final(run: AnalysisRun) -> bool:
    """Whether the run is what its iteration ended with, so that nothing it says will change."""
    ended = run.iteration.ended_at
    return run.experiment.status in ENDED and ended is not None and run.computed_at >= ended


@dataclass(frozen=True)
class Aftermath:
    """When a promotion's holdback was over, or took it back, and what it had said by then."""

    at: datetime
    said: str


def aftermath(run: AnalysisRun) -> Aftermath | None:
    """What came of the promotion that the run ended with; None before its holdback is over, and
    without one.
    """
    found = ended_holdbacks().filter(rollout__iteration=run.iteration).first()
    at = None if found is None else found.reverted_at or found.reminded_at
    return (
        None if found is None or at is None else Aftermath(at, holdback_sentence(found.rollout_id))
    )


def facts_of(run: AnalysisRun) -> ReportFacts:
    """Everything a report of this run says."""
    iteration, experiment, later = run.iteration, run.experiment, aftermath(run)
    until = run.computed_at if later is None else max(later.at, run.computed_at)
    entries = list(
        ChangeLogEntry.objects.filter(experiment=experiment, at__lte=until).order_by("at", "id")
    )
    plan, ending = plan_of(iteration, run.computed_at), _ending(entries)
    pilot = geo.view_of(run)
    return ReportFacts(
        key=experiment.key,
        name=experiment.name,
        experiment_type=experiment.experiment_type,
        owner=experiment.owner.get_full_name() or experiment.owner.get_username(),
        origin=experiment.origin,
        status=experiment.status,
        outcome=str(ending.get("outcome", "")),
        standing=card_of(experiment, until).sentence,
        iteration=iteration.number,
        final=is_final(run),
        run=run.pk,
        as_of=until,
        data_cut=run.data_cut,
        began=iteration.began_at,
        dark_started=iteration.dark_started_at,
        started=iteration.started_at,
        ended=iteration.ended_at,
        traffic=iteration.traffic,
        planned=_planned(plan, iteration, entries),
        clock=run.readiness.get("clock_sentence", ""),
        masked=run.masked,
        masked_why="; ".join(f.sentence for f in _findings(run) if f.masks),
        arms=restored(run.totals.get("arms", []), tuple[ArmSummary, ...]),
        srm=restored(run.health.get("srm"), SrmCheck | None),  # type: ignore[arg-type]  # a union is a type to msgspec
        findings=_findings(run),
        rule=run.readiness.get("rule", ""),
        winner=str(ending.get("variant", "")),
        holdback=plan.rules.holdback if ending.get("variant") else 0,
        lasted="" if later is None else later.said,
        geo=None if pilot is None or pilot.result is None else _geo(pilot, pilot.result),
        costs=arm_costs(iteration, run.data_cut),
        pauses=_pauses(iteration, run.computed_at),
        amendments=tuple(_amendments(entries, iteration)),
        decisions=_decisions(run),
        signed=_signed(experiment, run.computed_at),
        trail=tuple(TrailLine(e.at, e.actor_label, e.action, _said(e)) for e in entries),
        notes=experiment.notes,
        versions=_versions(run),
        strata=_strata(run),
        metrics=restored(run.results.get("metrics", []), tuple[MetricResult, ...]),
        guardrails=restored(run.verdicts.get("guardrails", []), tuple[GuardrailResult, ...]),
        readiness=restored(run.readiness.get("items", []), tuple[Readiness, ...]),
        looks=_looks(run),
    )


def _looks(run: AnalysisRun) -> tuple[LookState, ...]:
    taken = run.iteration.looks.filter(taken_at__lte=run.computed_at).order_by("number")
    return tuple(restored(state, LookState) for state in taken.values_list("state", flat=True))


def _ending(entries: Sequence[ChangeLogEntry]) -> Mapping[str, object]:
    """What the lines that recorded an outcome say: the last ``outcome`` and, once something was
    promoted, its ``variant``.
    """
    said = [e.after for e in entries if isinstance(e.after, dict) and e.after.get("outcome")]
    return {
        name: value
        for after in said
        for name, value in after.items()
        if name in ("outcome", "variant")
    }


def _findings(run: AnalysisRun) -> tuple[Finding, ...]:
    return restored(run.health.get("findings", []), tuple[Finding, ...])


def _geo(pilot: geo.GeoView, result: DidResult) -> GeoReading:
    return GeoReading(pilot.metric, pilot.region_label, pilot.start, pilot.source, result)


def _planned(
    plan: AnalysisPlan, iteration: Iteration, entries: Sequence[ChangeLogEntry]
) -> PlannedFacts:
    design, experiment = iteration_design(iteration), iteration.experiment
    sizes = iteration.plan if isinstance(iteration.plan, dict) else {}
    return PlannedFacts(
        hypothesis=design.hypothesis,
        expected_effect=design.expected_effect,
        prd_url=design.prd_url,
        flag=design.flag_key,
        unit_type=design.unit_type,
        traffic=design.traffic,
        confidence_level=float(design.confidence_level),
        power=plan.power,
        min_sample_size=plan.min_sample_size,
        weeks=plan.weeks,
        policy=design.policy_key,
        policy_version=design.policy_version,
        auto_promote=plan.auto_promote,
        time_zone=plan.time_zone,
        start=experiment.planned_start,
        end=_end_as_launched(experiment, iteration, entries),
        control_units=_whole(sizes.get("control")),
        test_units=_whole(sizes.get("treatment")),
        arms=tuple(
            ReportedArm(v.key, v.name, v.is_control, v.weight, _short(v.served))
            for v in design.variants
        ),
        metrics=_metrics(plan),
    )


def _metrics(plan: AnalysisPlan) -> tuple[ReportedMetric, ...]:
    return tuple(
        ReportedMetric(
            key=m.definition.key,
            version=m.definition.version,
            name=m.definition.name,
            role=m.planned.role,
            kind=m.definition.kind.value,
            direction=m.definition.direction.value,
            window_hours=m.definition.window_hours,
            baseline=m.planned.baseline,
            mde=m.planned.mde,
            mde_kind=m.planned.mde_kind,
            required_improvement=m.planned.required_improvement,
            margin=m.planned.margin,
            margin_kind=m.planned.margin_kind,
            rule=m.planned.rule,
            action=m.planned.action,
            adjusted=m.planned.adjusted,
            cap=m.definition.cap,
        )
        for m in plan.metrics
    )


def _end_as_launched(
    experiment: Experiment, iteration: Iteration, entries: Sequence[ChangeLogEntry]
) -> datetime | None:
    """The planned end before its first amendment."""
    for entry in _since(entries, iteration):
        if (
            entry.action == "experiment_edited"
            and isinstance(entry.before, dict)
            and "planned_end" in entry.before
        ):
            was = entry.before["planned_end"]
            return datetime.fromisoformat(str(was)) if was else None
    return experiment.planned_end


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _short(value: object) -> str:
    text = (
        _dated(value)
        if isinstance(value, str)
        else ""
        if value in (None, {})
        else json.dumps(value, ensure_ascii=False, sort_keys=True)
    )
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _dated(text: str) -> str:
    """A stored moment as pages write it; anything else as it is."""
    if not _MOMENT.fullmatch(text):
        return text
    return moment(datetime.fromisoformat(text).astimezone(UTC))


def _since(entries: Sequence[ChangeLogEntry], iteration: Iteration) -> Iterable[ChangeLogEntry]:
    return (entry for entry in entries if entry.at > iteration.began_at)


def _amendments(entries: Sequence[ChangeLogEntry], iteration: Iteration) -> Iterable[Amendment]:
    for entry in _since(entries, iteration):
        if entry.action not in AMENDING:
            continue
        if not isinstance(entry.before, dict) or not isinstance(entry.after, dict):
            yield Amendment(
                entry.at,
                entry.actor_label,
                entry.action,
                _listed(entry.before),
                _listed(entry.after),
                entry.reason,
            )
            continue
        for name in sorted(_AMENDED & set(entry.after)):
            was, became = entry.before.get(name), entry.after.get(name)
            if was != became:
                yield Amendment(
                    entry.at, entry.actor_label, name, _short(was), _short(became), entry.reason
                )


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else _short(value)


def _said(entry: ChangeLogEntry) -> str:
    note = entry.after.get("note") if isinstance(entry.after, dict) else None
    return entry.reason or (str(note) if note else "")


def _pauses(iteration: Iteration, until: datetime) -> tuple[PauseFact, ...]:
    rows = iteration.pauses.filter(started_at__lte=until).order_by("started_at", "pk")
    return tuple(
        PauseFact(
            p.started_at,
            p.ended_at if p.ended_at and p.ended_at <= until else None,
            p.cause,
            p.reason,
        )
        for p in rows
    )


def _strata(run: AnalysisRun) -> tuple[ByStrata, ...]:
    """What the newest scan read of the declared strata, by the time of this run; nothing while
    results are masked.
    """
    found = scan_of(run.iteration, masked=run.masked)
    return () if found is None else found.result.strata


def _decisions(run: AnalysisRun) -> tuple[DecisionMade, ...]:
    rows = [row for row in decision_rows(run.iteration) if row.made_at <= run.computed_at]
    return tuple(
        DecisionMade(
            d.id, d.made_at, d.verdict, d.outcome, d.variant, d.rule, d.look, d.applied, d.note
        )
        for d in reversed(rows)
    )


def _signed(experiment: Experiment, until: datetime) -> tuple[SignedItem, ...]:
    rows = (
        experiment.sign_offs.filter(signed_at__lte=until)
        .select_related("signed_by")
        .order_by("signed_at", "pk")
    )
    return tuple(
        SignedItem(s.signed_at, s.item, s.verdict, s.signed_by.get_username(), s.comment)
        for s in rows
    )


def _versions(run: AnalysisRun) -> dict[str, str]:
    """Engine, metrics and policy as they were; names as a reader knows them."""
    design = iteration_design(run.iteration)
    metrics = run.versions.get("metrics", {})
    found = {
        "Engine": str(run.versions.get("engine", "unknown")),
        "Design (SHA-256)": run.iteration.design_sha256,
    }
    found["Policy"] = f"{design.policy_key}, version {design.policy_version}"
    if metrics:
        found["Metrics"] = ", ".join(
            f"{key} v{version}" for key, version in sorted(metrics.items())
        )
    if run.experiment.origin == Origin.IMPORT:
        found["Origin"] = "import"
    return found
