"""Everything a report says, as frozen values: stored with the report, so that it can be written
again to the last byte.

Moments are UTC; shares are thousandths where they are planned and 0 to 1 where they were observed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from analytics.core.deciding.decision import Readiness, in_names
from analytics.core.deciding.look_state import LookState
from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.results import ArmSummary, MetricResult
from analytics.core.scans.findings import Finding
from analytics.core.scans.scans import ByStrata
from analytics.core.stats.did import DidResult
from analytics.core.stats.srm import SrmCheck


@dataclass(frozen=True, slots=True)
class ReportedArm:
    """One variant as designed: ``weight`` in thousandths, ``config`` as one line of JSON."""

    key: str
    name: str
    is_control: bool
    weight: int
    config: str = ""


@dataclass(frozen=True, slots=True)
class ReportedMetric:
    """A planned use of a metric, numbers as in the design; ``cap`` where unit values were cut."""

    key: str
    version: int
    name: str
    role: str
    kind: str
    direction: str
    window_hours: int | None = None
    baseline: float | None = None
    mde: float | None = None
    mde_kind: str = "relative"
    required_improvement: float = 0.0
    margin: float | None = None
    margin_kind: str = ""
    rule: str = ""
    action: str = ""
    adjusted: bool = False
    cap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFacts:
    """The design and the plan as they were frozen when the iteration began.

    ``control_units`` and ``test_units`` (of the smallest test arm) are what the sample-size plan
    asked for, None without one.
    """

    hypothesis: str
    expected_effect: str
    prd_url: str
    flag: str
    unit_type: str
    traffic: int
    confidence_level: float
    power: float
    min_sample_size: int
    weeks: int
    policy: str
    policy_version: int
    auto_promote: bool
    time_zone: str
    start: datetime | None
    end: datetime | None
    control_units: int | None
    test_units: int | None
    arms: tuple[ReportedArm, ...]
    metrics: tuple[ReportedMetric, ...]

    @property
    def primary(self) -> ReportedMetric | None:
        """The metric that decides."""
        return next((one for one in self.metrics if one.role == "primary"), None)


@dataclass(frozen=True, slots=True)
class PauseFact:
    """A pause: from when to when (None: it was still on), and why."""

    began: datetime
    ended: datetime | None
    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class Amendment:
    """What was changed after launch: one field, before and after as text."""

    at: datetime
    who: str
    what: str
    was: str
    became: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrailLine:
    """One line of the changelog."""

    at: datetime
    who: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class SignedItem:
    """A verdict on a checklist item."""

    at: datetime
    item: str
    verdict: str
    who: str
    comment: str


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """A stored decision and what became of it; ``carried_out`` None: nothing was tried."""

    id: int
    at: datetime
    verdict: str
    outcome: str
    arm: str
    rule: str
    look: int | None
    carried_out: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class ArmCost:
    """What the requests of one arm's units took; ``micro`` in millionths of the currency, None
    where nobody said.
    """

    arm: str
    requests: int
    tokens_in: int | None
    tokens_out: int | None
    micro: int | None
    cached: int | None


@dataclass(frozen=True, slots=True)
class GeoReading:
    """A geo pilot's one reading."""

    metric: str
    region_label: str
    start: str
    source: str
    result: DidResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """One iteration as its run found it.

    ``winner`` is the promoted arm's key; ``holdback`` its control units' share in thousandths, 0
    for none; ``lasted`` what the holdback said when it was over or took the promotion back, empty
    before that. ``standing`` says in a sentence where the experiment stood at ``as_of``; ``final``:
    its results are frozen.
    """

    key: str
    name: str
    experiment_type: str
    owner: str
    origin: str
    status: str
    outcome: str
    standing: str
    iteration: int
    final: bool
    run: int
    as_of: datetime
    data_cut: datetime
    began: datetime
    dark_started: datetime | None
    started: datetime | None
    ended: datetime | None
    traffic: int
    planned: PlannedFacts
    clock: str
    masked: bool
    masked_why: str
    arms: tuple[ArmSummary, ...]
    srm: SrmCheck | None
    findings: tuple[Finding, ...]
    rule: str
    winner: str = ""
    holdback: int = 0
    lasted: str = ""
    metrics: tuple[MetricResult, ...] = ()
    strata: tuple[ByStrata, ...] = ()
    guardrails: tuple[GuardrailResult, ...] = ()
    readiness: tuple[Readiness, ...] = ()
    looks: tuple[LookState, ...] = ()
    geo: GeoReading | None = None
    costs: tuple[ArmCost, ...] = ()
    pauses: tuple[PauseFact, ...] = ()
    amendments: tuple[Amendment, ...] = ()
    decisions: tuple[DecisionMade, ...] = ()
    signed: tuple[SignedItem, ...] = ()
    trail: tuple[TrailLine, ...] = ()
    notes: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    def arm_name(self, key: str) -> str:
        """An arm's name, its key where it has none."""
        return next((arm.name for arm in self.planned.arms if arm.key == key), key)

    def named(self, decision: DecisionMade) -> str:
        """A decision's rule, with the names of arms instead of their keys."""
        return in_names(decision.rule, {arm.key: arm.name for arm in self.planned.arms})

    @property
    def control(self) -> str:
        """The key of the arm the others are compared with; empty without one."""
        return next((arm.key for arm in self.planned.arms if arm.is_control), "")

    @property
    def primary(self) -> MetricResult | None:
        """The result of the metric that decides."""
        return next((one for one in self.metrics if one.role == "primary"), None)

    @property
    def carried_out(self) -> DecisionMade | None:
        """The newest decision that was carried out."""
        return next(
            (
                one
                for one in sorted(self.decisions, key=lambda d: (d.at, d.id), reverse=True)
                if one.carried_out
            ),
            None,
        )


def hidden(facts: ReportFacts) -> ReportFacts:
    """The facts without anything that masked results say; unmasked facts as they are."""
    if not facts.masked:
        return facts
    findings = tuple(one for one in facts.findings if one.code != "cannot_say")
    return replace(
        facts,
        findings=findings,
        metrics=(),
        guardrails=(),
        readiness=(),
        looks=(),
        costs=(),
        geo=None,
        lasted="",
    )
