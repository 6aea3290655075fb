"""Geo pilots: bring a panel in, and read it once.

A pilot is an experiment of type ``geo`` with origin ``import``: no flag, no buckets, completed from
the start, so nothing of it is served, looked at or promoted. Its result is stored as an ordinary
run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import transaction

from analytics.core.ground.encoding import plain
from analytics.core.results import ArmSummary
from analytics.core.stats.did import DidResult, Panel, difference_in_differences
from analytics.models import AnalysisRun, GeoObservation, GeoPilot, GeoRegion
from analytics.selectors.geo import panel_of_pilot
from experiments.core.design.design import ExperimentSpec, digest
from experiments.core.errors import InvalidInput
from experiments.core.figures import p_is
from experiments.core.library.templates.trials import GEO, GEO_PILOT
from experiments.core.permissions import Action
from experiments.core.types import JSON, SYSTEM, Actor, Origin, Status
from experiments.models import Experiment, Iteration
from experiments.selectors.experiments import design_of, rules_of
from experiments.services.drafts import drafts
from experiments.services.ground import audit
from experiments.services.ground.guarding import permit

ENGINE = "1"
"""The version of the method; raise it when a number would change."""
ARMS = GEO_PILOT.spec.variants
CHUNK = 5000


@dataclass(frozen=True)
class ImportedPilot:
    """What an import made."""

    experiment_id: int
    key: str
    cells: int


def import_pilot(
    actor: Actor,
    now: datetime,
    *,
    key: str,
    panel: Panel,
    metric: str,
    region_label: str = "region",
    confidence_level: str = "0.95",
    source: str = "",
) -> ImportedPilot:
    """Store a panel as a completed geo experiment; one transaction, all of it or nothing.

    A draft of that key that was made for a pilot becomes it: what was expected, and at which level,
    stands there from before.
    """
    problem = next(
        (
            name
            for name in (*panel.regions, *panel.periods)
            if not 0 < len(name) <= 200 or "\0" in name
        ),
        None,
    )
    if problem is not None:
        raise InvalidInput(
            f"geo pilot {key[:80]}: names of regions and periods have 1 to 200 characters, found {problem[:60]!r}"
        )
    with transaction.atomic():
        experiment = _drafted(actor, key) or _create(
            actor, now, key, confidence_level, metric, source
        )
        _complete(actor, now, experiment, panel, source)
        pilot = GeoPilot.objects.create(
            experiment=experiment,
            metric=metric[:200],
            region_label=region_label[:80],
            periods=list(panel.periods),
            start=int((~panel.post).sum()),
            source=source[:255],
        )
        cells = _store(pilot, panel)
    return ImportedPilot(experiment.pk, experiment.key, cells)


def read_pilot(pilot: GeoPilot, iteration: Iteration, *, now: datetime) -> AnalysisRun:
    """Difference-in-differences of the stored panel, kept as the iteration's run. Repeating it
    repeats the numbers.
    """
    panel = panel_of_pilot(pilot)
    found = difference_in_differences(panel, round(1 - float(pilot.experiment.confidence_level), 9))
    with transaction.atomic():
        experiment = Experiment.objects.select_for_update(no_key=True).get(pk=pilot.experiment_id)
        run, made = AnalysisRun.objects.update_or_create(
            iteration=iteration, latest=True, defaults=_run(iteration, panel, found, now)
        )
        if made:
            after: JSON = {
                "estimate": found.estimate,
                "p": found.decision_p,
                "method": found.method,
                "engine": ENGINE,
            }
            audit.record(
                SYSTEM, now, action="geo_read", obj=experiment, reason=sentence(found), after=after
            )
    return run


def sentence(found: DidResult) -> str:
    """What the reading said, in a sentence."""
    if found.decision_p is None or found.estimate is None:
        return f"difference-in-differences cannot say: {found.reason}"
    return f"difference-in-differences {found.estimate:+.3g}, {p_is(found.decision_p)} by {found.method}"


def _drafted(actor: Actor, key: str) -> Experiment | None:
    """The draft that somebody made for this pilot, locked; nothing else of that key will do."""
    drafts_of_pilots = Experiment.objects.select_for_update(of=("self",), no_key=True).filter(
        experiment_type=GEO, origin=Origin.IMPORT.value
    )
    found = drafts_of_pilots.filter(key=key, status=Status.DRAFT.value).first()
    if found is not None:
        permit(actor, Action.EDIT_DRAFT, found)
    return found


def _create(
    actor: Actor, now: datetime, key: str, confidence_level: str, metric: str, source: str
) -> Experiment:
    spec = ExperimentSpec(
        name=key,
        key=key,
        description=f"Geo pilot: {metric} by region{f', imported from {source}' if source else ''}."[
            :2000
        ],
        experiment_type=GEO,
        origin=Origin.IMPORT,
        variants=ARMS,
        unit_type="region",
        confidence_level=confidence_level,
    )
    return drafts.create_experiment(actor, now, spec=spec)


def _complete(
    actor: Actor, now: datetime, experiment: Experiment, panel: Panel, source: str
) -> None:
    """One iteration, over before it is stored. Where periods are dates it lasts from the first
    treated to the last.
    """
    began, ended = _lasted(panel, now)
    design = design_of(experiment).as_json()
    Iteration.objects.create(
        experiment=experiment,
        number=1,
        design=design,
        design_sha256=digest(design),
        policy_rules=rules_of(experiment).as_json(),
        traffic=experiment.traffic,
        began_at=began,
        started_at=began,
        step_started_at=began,
        ended_at=ended,
    )
    before: JSON = {"status": experiment.status}
    experiment.status, experiment.start_ts, experiment.end_ts = Status.COMPLETED, began, ended
    experiment.save(update_fields=["status", "start_ts", "end_ts"])
    after: JSON = {
        "status": Status.COMPLETED.value,
        "regions": len(panel.regions),
        "treated": panel.n_treated,
        "periods": len(panel.periods),
        "missing": panel.missing,
    }
    audit.record(
        actor,
        now,
        action="import",
        obj=experiment,
        experiment=experiment,
        reason=source,
        before=before,
        after=after,
    )


def _lasted(panel: Panel, now: datetime) -> tuple[datetime, datetime]:
    post = [name for name, after in zip(panel.periods, panel.post.tolist(), strict=True) if after]
    try:
        first, last = (
            datetime.combine(date.fromisoformat(name), time(0), UTC) for name in (post[0], post[-1])
        )
    except ValueError:
        return now, now
    ended = min(last + timedelta(days=1), now)
    return (first, ended) if first < ended else (now, now)


def _store(pilot: GeoPilot, panel: Panel) -> int:
    treated = panel.treated.tolist()
    rows = [
        GeoRegion(pilot=pilot, name=name, position=g, treated=treated[g])
        for g, name in enumerate(panel.regions)
    ]
    regions = GeoRegion.objects.bulk_create(rows, batch_size=CHUNK)
    cells = [
        GeoObservation(region=region, period=t, value=value)
        for region, values, seen in zip(
            regions, panel.values.tolist(), panel.observed.tolist(), strict=True
        )
        for t, value in enumerate(values)
        if seen[t]
    ]
    GeoObservation.objects.bulk_create(cells, batch_size=CHUNK)
    return len(cells)


def _run(iteration: Iteration, panel: Panel, found: DidResult, now: datetime) -> dict[str, object]:
    """The run's columns: arms are counted in regions; there are no shares, no guardrails and
    nothing to decide.
    """
    return {
        "experiment_id": iteration.experiment_id,
        "computed_at": now,
        "data_cut": iteration.ended_at or now,
        "totals": {"arms": plain(_arms(panel))},
        "health": {"srm": None, "findings": [], "masks": False},
        "results": {"metrics": [], "did": plain(found)},
        "verdicts": {"guardrails": []},
        "readiness": {"kind": "", "rule": sentence(found), "items": []},
        "masked": False,
        "versions": {"engine": ENGINE, "method": "did"},
        "failed_at": None,
        "error": "",
    }


def _arms(panel: Panel) -> Sequence[ArmSummary]:
    counts = {"control": panel.n_control, "treated": panel.n_treated}
    return [
        ArmSummary(arm.key, arm.name, arm.is_control, units=counts[arm.key], expected_share=0.5)
        for arm in ARMS
    ]
