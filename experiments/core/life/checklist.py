"""The launch checklist: from facts to the state of each item, and to the blockers of a verb.

Pure: a selector gathers the facts, the service refuses by the blockers, pages show the states.
A verdict counts only while the facets it judged are unchanged; computed evidence likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias

from experiments.core.design.design import (
    Design,
    Facets,
    OfflineThreshold,
    arm_digest,
    diff,
    digest,
    judged,
    parse_thresholds,
)
from experiments.core.design.policies import PolicyRules
from experiments.core.errors import InvalidInput, Problem
from experiments.core.figures import counted
from experiments.core.types import JSON, Item, MetricRole, PauseCause, Status, Verdict

State: TypeAlias = Literal["done", "missing", "stale", "rejected", "amber", "not_needed"]


@dataclass(frozen=True)
class SignedOff:
    """The newest verdict on an item, with what it judged."""

    item: Item
    verdict: Verdict
    judged: Facets
    judged_sha256: str
    signed_by: str
    signed_by_id: int
    signed_at: datetime
    comment: str = ""
    requested_by_id: int | None = None


@dataclass(frozen=True)
class Evaluated:
    """One recorded offline evaluation of an arm, bound to the arm's contents by
    ``config_sha256``.
    """

    variant_key: str
    metric: str
    value: float
    lower: float | None
    upper: float | None
    config_sha256: str
    recorded_at: datetime
    n: int | None = None
    dataset: str = ""


@dataclass(frozen=True)
class Computed:
    """The newest computed evidence on an item."""

    item: Item
    green: bool
    summary: str
    judged_sha256: str
    computed_at: datetime
    detail: JSON = None


@dataclass(frozen=True)
class Requested:
    """The newest launch request: who asked for which design, and who made the key, if it was asked
    for with one.
    """

    requested_by: str
    requested_by_id: int
    judged_sha256: str
    requested_at: datetime
    key_made_by: str = ""
    key_made_by_id: int | None = None

    @property
    def askers(self) -> frozenset[int]:
        """Who may not wave it through: who asked, and who made the key with which it was asked
        for.
        """
        return frozenset(
            {self.requested_by_id}
            if self.key_made_by_id is None
            else {self.requested_by_id, self.key_made_by_id}
        )


@dataclass(frozen=True)
class OpenRollout:
    """What an earlier promotion left open on the flag."""

    value: JSON
    experiment_key: str


@dataclass(frozen=True)
class LaunchFacts:
    """Everything the gate looks at. Evaluations come newest first; ``layer_free`` is ``None`` for a
    private layer.
    """

    design: Design
    rules: PolicyRules
    status: Status = Status.DRAFT
    cause: PauseCause = PauseCause.NONE
    sign_offs: Mapping[Item, SignedOff] = field(default_factory=dict)
    evaluations: tuple[Evaluated, ...] = ()
    evidence: Mapping[Item, Computed] = field(default_factory=dict)
    request: Requested | None = None
    dark_started_at: datetime | None = None
    flag_busy_with: str = ""
    rolled_out: OpenRollout | None = None
    layer_free: int | None = None
    planned_end_over: bool = False


@dataclass(frozen=True)
class ItemState:
    """Where an item stands, in words for a person; ``diff`` shows what changed since it was
    signed.
    """

    item: Item
    title: str
    required: bool
    state: State
    role: str
    message: str
    evidence: tuple[str, ...] = ()
    signed_by: str = ""
    signed_at: datetime | None = None
    diff: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether a launch need not wait for it. A plan that takes very long is amber: said
        everywhere, forbidden nowhere.
        """
        return self.state == "done" or (self.item is Item.SAMPLE_SIZE and self.state == "amber")


TITLES: Mapping[Item, str] = {
    Item.PRD: "PRD",
    Item.FLAG: "Flag issued",
    Item.METRICS: "Metrics and guardrails",
    Item.SAMPLE_SIZE: "Sample size",
    Item.OFFLINE: "Offline thresholds",
    Item.DARK_LAUNCH: "Dark launch",
    Item.APPROVAL: "Launch approval",
}
ROLES: Mapping[Item, str] = {
    Item.PRD: "product owner",
    Item.FLAG: "computed",
    Item.METRICS: "computed",
    Item.SAMPLE_SIZE: "computed",
    Item.OFFLINE: "data scientist",
    Item.DARK_LAUNCH: "QA",
    Item.APPROVAL: "product owner, data scientist or admin other than the requester",
}
SIGNED_ITEMS: tuple[Item, ...] = (Item.PRD, Item.OFFLINE, Item.DARK_LAUNCH, Item.APPROVAL)
"""Items that a person signs; the others are computed."""


@dataclass(frozen=True)
class Basis:
    """What an item stands on before anybody signs: ready to sign, not yet, or against it."""

    state: Literal["ready", "amber", "missing", "stale", "rejected"]
    message: str
    evidence: tuple[str, ...] = ()

    @property
    def signable(self) -> bool:
        """Whether an approval may be given on this basis."""
        return self.state in ("ready", "amber")


def states(facts: LaunchFacts) -> tuple[ItemState, ...]:
    """Every item's state, in the order of the walk."""
    return tuple(state_of(facts, item) for item in Item)


def state_of(facts: LaunchFacts, item: Item) -> ItemState:
    """One item's state. An item that the policy does not ask for is optional: what is said of it is
    shown, and stops nothing.
    """
    found = basis(facts, item)
    state = _signed(facts, item, found) if item in SIGNED_ITEMS else _computed(facts, item, found)
    if facts.rules.needs(item):
        return state
    said = (
        f"optional; {state.message}"
        if state.signed_by
        else f"not needed under this policy ({state.message})"
    )
    return replace(state, required=False, state="not_needed", message=said)


def basis(facts: LaunchFacts, item: Item) -> Basis:
    """What can be said about an item without anybody's signature."""
    return _BASIS[item](facts)


def _computed(facts: LaunchFacts, item: Item, found: Basis) -> ItemState:
    state: State = "done" if found.state == "ready" else found.state
    return ItemState(item, TITLES[item], True, state, ROLES[item], found.message, found.evidence)


def _signed(facts: LaunchFacts, item: Item, found: Basis) -> ItemState:
    unsigned = ItemState(
        item, TITLES[item], True, "missing", ROLES[item], found.message, found.evidence
    )
    signed = facts.sign_offs.get(item)
    if signed is None or _from_an_earlier_launch(facts, signed):
        return replace(unsigned, state=_UNSIGNED[found.state], message=_waits(item, found))
    known = replace(unsigned, signed_by=signed.signed_by, signed_at=signed.signed_at)
    if signed.judged_sha256 != digest(judged(facts.design, item)):
        changed = diff(signed.judged, judged(facts.design, item))
        return replace(
            known, state="stale", message="changed since it was signed; sign again", diff=changed
        )
    if signed.verdict is Verdict.REJECTED:
        return replace(
            known, state="rejected", message=f"rejected by {signed.signed_by}: {signed.comment}"
        )
    return _approved(facts, signed, found, known)


def _approved(facts: LaunchFacts, signed: SignedOff, found: Basis, known: ItemState) -> ItemState:
    """An approval holds only while what it stood on does."""
    if signed.verdict is Verdict.NOT_APPLICABLE:
        if may_be_not_applicable(facts, signed.item):
            return replace(known, state="done", message=f"not applicable: {signed.comment}")
        return replace(
            known,
            state=_UNSIGNED[found.state],
            message=f"no longer optional: {_waits(signed.item, found)}",
        )
    if not found.signable:
        return replace(known, state=_UNSIGNED[found.state])
    return replace(known, state="done", message=f"{found.message}; approved by {signed.signed_by}")


_UNSIGNED: Mapping[str, State] = {
    "ready": "missing",
    "amber": "amber",
    "missing": "missing",
    "stale": "stale",
    "rejected": "rejected",
}


def _waits(item: Item, found: Basis) -> str:
    return f"{found.message}; waits for: {ROLES[item]}" if found.signable else found.message


def _from_an_earlier_launch(facts: LaunchFacts, signed: SignedOff) -> bool:
    """A dark launch is signed for the buckets that saw it, not for an earlier, aborted one."""
    if signed.item is not Item.DARK_LAUNCH:
        return False
    return facts.dark_started_at is None or signed.signed_at < facts.dark_started_at


def may_be_not_applicable(facts: LaunchFacts, item: Item) -> bool:
    """An optional item; of the required ones only offline evaluation, and only where the plan
    declares no threshold.
    """
    return not facts.rules.needs(item) or (item is Item.OFFLINE and not _thresholds(facts.design))


# Each item's basis.


def _prd(facts: LaunchFacts) -> Basis:
    design = facts.design
    wanted = {
        "a document or a link": design.prd_url or design.prd_text,
        "a hypothesis": design.hypothesis,
        "an expected effect": design.expected_effect,
    }
    lacking = [name for name, text in wanted.items() if not text.strip()]
    if lacking:
        return Basis("missing", f"the PRD lacks {' and '.join(lacking)}")
    return Basis("ready", "document, hypothesis and expected effect are there")


def _flag(facts: LaunchFacts) -> Basis:
    if not facts.design.flag_key:
        return Basis("missing", "no flag issued")
    return Basis("ready", f"{facts.design.flag_key} ({facts.design.flag_type})")


def _metrics(facts: LaunchFacts) -> Basis:
    primary = facts.design.metrics_of(MetricRole.PRIMARY)
    guardrails = facts.design.metrics_of(MetricRole.GUARDRAIL)
    lacking = [
        name
        for name, chosen in (("a primary metric", primary), ("at least one guardrail", guardrails))
        if not chosen
    ]
    if lacking:
        return Basis("missing", f"choose {' and '.join(lacking)}")
    names = ", ".join(f"{metric.key} v{metric.version}" for metric in (*primary, *guardrails))
    return Basis("ready", f"primary and {counted(len(guardrails), 'guardrail')} chosen", (names,))


def _sample_size(facts: LaunchFacts) -> Basis:
    found = facts.evidence.get(Item.SAMPLE_SIZE)
    if found is None:
        return Basis("missing", "sample size not computed")
    if found.judged_sha256 != digest(judged(facts.design, Item.SAMPLE_SIZE)):
        return Basis(
            "stale", "the plan changed since the sample size was computed; compute it again"
        )
    if not found.green:
        return Basis("rejected", found.summary)
    late = out_of_reach(found)
    return Basis("amber", f"{found.summary}; {late}") if late else Basis("ready", found.summary)


def out_of_reach(found: Computed) -> str:
    """What the plan cannot find in its own horizon, and how long it would take; empty when the
    horizon is enough.
    """
    detail = found.detail if isinstance(found.detail, dict) else {}
    late = detail.get("out_of_reach")
    said = "; ".join(map(str, late)) if isinstance(late, list) else ""
    return f"{said}." if said else ""


def _offline(facts: LaunchFacts) -> Basis:
    thresholds = _thresholds(facts.design)
    if not thresholds:
        return Basis("missing", "no offline threshold declared")
    if not facts.design.test_arms:
        return Basis("missing", "no test variant to evaluate")
    found = [
        _score(facts, arm.key, arm_digest(arm), threshold)
        for arm in facts.design.test_arms
        for threshold in thresholds
    ]
    worst = min(found, key=lambda one: _WORST_FIRST.index(one.state))
    return Basis(worst.state, worst.message, tuple(one.message for one in found))


_WORST_FIRST = ("rejected", "missing", "stale", "amber", "ready")


def _score(facts: LaunchFacts, variant_key: str, sha256: str, threshold: OfflineThreshold) -> Basis:
    """One arm against one threshold: the bound decides; a bare value is amber."""
    about = [
        e
        for e in facts.evaluations
        if e.variant_key == variant_key and e.metric == threshold.metric
    ]
    current = next((e for e in about if e.config_sha256 == sha256), None)
    if current is None:
        state: Literal["stale", "missing"] = "stale" if about else "missing"
        why = "evaluated with another config or model" if about else "not recorded"
        return Basis(state, f"{variant_key}: offline threshold {why} ({threshold})")
    bound = current.lower if threshold.op == ">=" else current.upper
    if not threshold.cleared_by(current.value):
        return Basis(
            "rejected",
            f"{variant_key}: {threshold.metric} {current.value:g}, threshold {threshold} not met",
        )
    if bound is None:
        return Basis(
            "amber",
            f"{variant_key}: {threshold.metric} {current.value:g} meets {threshold}, without a bound",
        )
    if not threshold.cleared_by(bound):
        return Basis(
            "rejected",
            f"{variant_key}: {threshold.metric} {current.value:g} (bound {bound:g}), threshold {threshold} not cleared",
        )
    return Basis(
        "ready",
        f"{variant_key}: {threshold.metric} {current.value:g} (bound {bound:g}) clears {threshold}",
    )


def _dark_launch(facts: LaunchFacts) -> Basis:
    if facts.dark_started_at is None:
        return Basis("missing", "no dark launch yet")
    found = facts.evidence.get(Item.DARK_LAUNCH)
    if found is None or found.computed_at < facts.dark_started_at:
        return Basis("missing", "the dark launch's health is not computed yet")
    if found.judged_sha256 != digest(judged(facts.design, Item.DARK_LAUNCH)):
        return Basis("stale", "the design changed since the health was computed; compute it again")
    return Basis("ready" if found.green else "missing", found.summary)


def _approval(facts: LaunchFacts) -> Basis:
    asked = facts.request
    if asked is None:
        return Basis("missing", "launch not requested")
    if asked.judged_sha256 != digest(judged(facts.design, Item.APPROVAL)):
        return Basis("stale", "the design changed since the launch was requested; request it again")
    return Basis("ready", f"requested by {asked.requested_by}")


_BASIS: Mapping[Item, Callable[[LaunchFacts], Basis]] = {
    Item.PRD: _prd,
    Item.FLAG: _flag,
    Item.METRICS: _metrics,
    Item.SAMPLE_SIZE: _sample_size,
    Item.OFFLINE: _offline,
    Item.DARK_LAUNCH: _dark_launch,
    Item.APPROVAL: _approval,
}


def _thresholds(design: Design) -> tuple[OfflineThreshold, ...]:
    try:
        return parse_thresholds(design.offline_thresholds)
    except InvalidInput:
        return ()  # ill-formed ones are a problem of the design, named there


def open_items(facts: LaunchFacts, items: tuple[Item, ...]) -> list[Problem]:
    """One problem for each required item among these that is not done."""
    waiting = (state_of(facts, item) for item in items if facts.rules.needs(item))
    return [
        Problem(f"{s.item.value}_{s.state}", f"{s.title}: {s.message}", s.item.value)
        for s in waiting
        if not s.settled
    ]
