"""The sections of the experiment's page, each from what it needs and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils.http import urlencode

from experiments.admin import (
    charts,
    health_section,
    ramp_section,
    results_section,
    settings_section,
    wiring_section,
)
from experiments.admin.config_form import schema_of
from experiments.admin.cost_section import cost_section
from experiments.admin.experiment_view import Link, View, approves, page_url
from experiments.admin.fields import Field
from experiments.core.design.advice import AdvisedArm, AdvisedDesign, advice
from experiments.core.design.arm_diff import ConfigChange, arm_changes
from experiments.core.figures import counted
from experiments.core.life.checklist import (
    SIGNED_ITEMS,
    ItemState,
    basis,
    may_be_not_applicable,
    out_of_reach,
)
from experiments.core.permissions import SIGNING, Action
from experiments.core.types import JSON, BucketRole, Item, MetricRole, Role, Status, Verdict
from experiments.models import (
    Bucket,
    ChangeLogEntry,
    Evidence,
    Experiment,
    ExperimentMetric,
    Iteration,
    SignOff,
    Variant,
)
from experiments.models.notes import KINDS
from experiments.selectors import timeline_notes
from experiments.selectors.experiments import open_iteration
from experiments.selectors.undecided import why_undecided
from experiments.services.people.comments import COMMENTED

HISTORY_PAGE = 60


@dataclass(frozen=True)
class ChecklistRow:
    """A checklist item with what this person can do about it."""

    state: ItemState
    links: Sequence[Link]
    compute: str | None
    sign: str | None
    sign_fields: Sequence[Field]
    ready: bool
    signed_before: Sequence[SignOff]
    whose: str = ""


def _checklist_section(view: View, items: Sequence[ItemState]) -> dict[str, Any]:
    signed = list(view.experiment.sign_offs.select_related("signed_by"))
    whose = _whose(view)
    rows = [
        replace(
            _row(view, state, [s for s in signed if s.item == state.item]),
            whose=whose.get(state.item, ""),
        )
        for state in items
    ]
    required = [s for s in items if s.required]
    finished = sum(s.settled for s in required)
    return {
        "rows": [r for r in rows if r.state.required],
        "unneeded": [r for r in rows if not r.state.required],
        "done": finished,
        "needed": len(required),
        "dark": _dark_launch_seen(view),
    }


_PARTIES = {
    Item.OFFLINE: (Role.DATA_SCIENTIST,),
    Item.DARK_LAUNCH: (Role.QA,),
    Item.APPROVAL: (Role.PRODUCT_OWNER, Role.DATA_SCIENTIST, Role.ADMIN),
}
NAMED = 3


def _whose(view: View) -> dict[str, str]:
    """Who may sign each item, by name: the team's members first, at most three and how many
    others.
    """
    e = view.experiment
    asked = view.facts.request.askers if view.facts.request else frozenset()
    jobs: dict[str, list[tuple[bool, int, str]]] = {}
    team = {e.owner_id, *e.collaborators.values_list("pk", flat=True)}
    people = get_user_model().objects.filter(
        is_active=True, groups__name__in={role for roles in _PARTIES.values() for role in roles}
    )
    for pk, first, last, username, job in people.values_list(
        "pk", "first_name", "last_name", "username", "groups__name"
    ):
        jobs.setdefault(job, []).append((pk not in team, pk, f"{first} {last}".strip() or username))
    found = {Item.PRD.value: e.owner.get_full_name() or e.owner.get_username()}
    for item, roles in _PARTIES.items():
        names = sorted(
            {
                one
                for role in roles
                for one in jobs.get(role, [])
                if item != Item.APPROVAL or one[1] not in asked
            }
        )
        shown = ", ".join(name for _, _, name in names[:NAMED])
        found[item.value] = (
            f"{shown} or {counted(len(names) - NAMED, 'other')}"
            if len(names) > NAMED
            else shown or "nobody has this job"
        )
    return found


def _dark_launch_seen(view: View) -> Any:
    """What the present dark launch's newest check counted; nothing before the first, or of an
    earlier dark launch.
    """
    evidence = view.experiment.evidence.filter(item=Item.DARK_LAUNCH).first()
    since = view.facts.dark_started_at
    return (
        evidence.detail
        if evidence is not None and since is not None and evidence.computed_at >= since
        else None
    )


def _row(view: View, state: ItemState, signed: Sequence[SignOff]) -> ChecklistRow:
    item = state.item
    open_design = view.experiment.status == Status.DRAFT
    computed = {
        Item.SAMPLE_SIZE: Action.COMPUTE_EVIDENCE,
        Item.DARK_LAUNCH: Action.COMPUTE_EVIDENCE,
    }
    compute = (
        view.url("compute", item)
        if item in computed and view.may(computed[item]) and _computable(view, item)
        else None
    )
    sign = (
        view.url("sign", item)
        if item in SIGNED_ITEMS and _may_sign(view, item) and _signable_now(view, item)
        else None
    )
    fields = sign_fields(may_be_not_applicable(view.facts, item))
    return ChecklistRow(
        state,
        _row_links(view, item, open_design),
        compute,
        sign,
        fields,
        basis(view.facts, item).signable,
        signed,
    )


def _may_sign(view: View, item: Item) -> bool:
    return (
        approves(view.actor, view.facts.request)
        if item == Item.APPROVAL
        else view.may(SIGNING[item])
    )


def _signable_now(view: View, item: Item) -> bool:
    """Approval and dark launch are signed in the dark launch, where the policy has one; the rest
    before it too.
    """
    if item == Item.APPROVAL and not view.rules.needs(item):
        return False
    if (
        item in (Item.DARK_LAUNCH, Item.APPROVAL)
        and view.rules.dark_launch
        and view.experiment.status != Status.DARK_LAUNCH
    ):
        return False
    return view.experiment.status in (Status.DRAFT, Status.DARK_LAUNCH)


def _computable(view: View, item: Item) -> bool:
    return view.experiment.status == (
        Status.DARK_LAUNCH if item == Item.DARK_LAUNCH else Status.DRAFT
    )


def _row_links(view: View, item: Item, open_design: bool) -> list[Link]:
    anchors = {
        Item.PRD: ("Write the PRD", "prd"),
        Item.FLAG: ("Choose the flag", "audience"),
        Item.METRICS: ("Choose metrics", "metrics"),
        Item.SAMPLE_SIZE: ("Set baseline and effect", "metrics"),
    }
    links = []
    if open_design and item in anchors and view.may(Action.EDIT_DRAFT):
        label, anchor = anchors[item]
        links.append(Link(label, f"{view.url('edit')}#{anchor}"))
    if item == Item.OFFLINE and view.may(Action.RECORD_OFFLINE):
        links.append(Link("Record an evaluation", page_url(view.experiment.pk, "offline")))
    if item == Item.APPROVAL and view.may(Action.REQUEST_LAUNCH) and _signable_now(view, item):
        links.append(Link("Request the launch", view.url("request_launch")))
    return links


def sign_fields(may_not_apply: bool) -> list[Field]:
    """Verdict and comment."""
    verdicts = [(Verdict.APPROVED.value, "approve"), (Verdict.REJECTED.value, "reject")]
    if may_not_apply:
        verdicts.append((Verdict.NOT_APPLICABLE.value, "not applicable"))
    return [
        Field("verdict", "Verdict", "select", choices=verdicts, value="approved"),
        Field("comment", "Comment", help="Needed when you reject, or say why it does not apply."),
    ]


def _plan_section(view: View, items: Sequence[ItemState]) -> dict[str, Any]:
    e = view.experiment
    variants = list(e.variants.all())
    evidence = e.evidence.filter(item=Item.SAMPLE_SIZE).first()
    sample = next((s for s in items if s.item == Item.SAMPLE_SIZE), None)
    plans = sorted(
        e.planned_metrics.select_related("metric"),
        key=lambda p: (["primary", "guardrail", "secondary"].index(p.role), p.position),
    )
    return {
        "variants": variants,
        "changed": _changed(variants),
        "advice": _advice(view, plans),
        "planner_url": _planner_url(e, plans),
        "plans": plans,
        "evidence": evidence,
        "evidence_lines": _flat(evidence.detail) if evidence else [],
        "evidence_metrics": _asked_of(evidence.detail) if evidence else [],
        "sample": sample,
        "too_long": out_of_reach(view.facts.evidence[Item.SAMPLE_SIZE])
        if Item.SAMPLE_SIZE in view.facts.evidence
        else "",
        "proposals": _proposals(view, evidence),
        "replan_url": view.url("replan"),
        "compute_url": view.url("compute", Item.SAMPLE_SIZE)
        if e.status == Status.DRAFT and view.may(Action.COMPUTE_EVIDENCE)
        else None,
        "iterations": list(e.iterations.all()),
    }


def _proposals(view: View, evidence: Evidence | None) -> Sequence[Any]:
    """What could be planned instead, for whoever may change the draft."""
    if (
        evidence is None
        or view.experiment.status != Status.DRAFT
        or not view.may(Action.EDIT_DRAFT)
    ):
        return ()
    from analytics.services.planning.replanning import (
        proposals,
    )  # its numerics load only when asked for

    return proposals(evidence.detail)


def _changed(variants: Sequence[Variant]) -> list[tuple[Variant, tuple[ConfigChange, ...]]]:
    """What each test arm serves otherwise than control; nothing while there is no control."""
    control = next((one for one in variants if one.is_control), None)
    return (
        []
        if control is None
        else [
            (one, arm_changes(_served(control), _served(one)))
            for one in variants
            if not one.is_control
        ]
    )


SIZED = ("proportion", "mean")
"""Kinds that the planner sizes from a baseline alone, or from it and a spread."""


def _planner_url(e: Experiment, plans: Sequence[ExperimentMetric]) -> str | None:
    """The planner with the primary metric's numbers filled in, to try others; None while there is
    nothing to try.
    """
    one = next((plan for plan in plans if plan.role == MetricRole.PRIMARY), None)
    if one is None or one.mde is None or one.metric.kind not in SIZED:
        return None
    arms = sorted(e.variants.all(), key=lambda arm: not arm.is_control)
    asked = {
        "kind": one.metric.kind, "baseline": one.baseline, "sd": one.baseline_sd, "effect": one.mde, "effect_kind": one.mde_kind,
        "shares": ",".join(f"{arm.weight / 10:g}" for arm in arms),
        "alpha": f"{1 - float(e.confidence_level):g}", "power": f"{float(e.power):g}",
    }  # fmt: skip
    filled_in = {name: str(value) for name, value in asked.items() if value not in (None, "")}
    return f"{reverse('admin:sample_size_calculator')}?{urlencode(filled_in)}"


def _served(variant: Variant) -> JSON:
    """What the flag serves: the value where one is given, else the config."""
    return variant.value if variant.value is not None else variant.config


def _advice(view: View, plans: Sequence[Any]) -> tuple[str, ...]:
    """What experience says of the design, while it can still be changed."""
    e = view.experiment
    if e.status not in (Status.DRAFT, Status.DARK_LAUNCH):
        return ()
    live = Experiment.objects.filter(
        status__in=(Status.RUNNING, Status.PAUSED), unit_type=e.unit_type
    ).exclude(pk=e.pk)
    beside = live if e.layer_id is None else live.exclude(layer_id=e.layer_id)
    arms = [AdvisedArm(v.name, v.is_control, v.config) for v in e.variants.all()]
    guardrails = sum(plan.role == MetricRole.GUARDRAIL for plan in plans)
    names = list(beside.order_by("name").values_list("name", flat=True)[:50])
    return advice(
        AdvisedDesign(
            e.experiment_type,
            arms,
            guardrails,
            len(view.rules.requires),
            names,
            schema_of(e),
            why_undecided(e),
        )
    )


def _asked_of(detail: Any) -> list[Any]:
    """What the computed plan says of each metric; nothing for evidence from before it said that."""
    rows = detail.get("metrics", []) if isinstance(detail, dict) else []
    return [row for row in rows if isinstance(row, dict) and "question" in row]


def _flat(detail: Any) -> list[tuple[str, str]]:
    """The plain numbers of computed evidence, for a table; what is nested stays in the JSON."""
    if not isinstance(detail, dict):
        return []
    return [
        (key.replace("_", " "), f"{value:,.6g}" if isinstance(value, float) else str(value))
        for key, value in detail.items()
        if not isinstance(value, dict | list)
    ]


def _offline_section(view: View, items: Sequence[ItemState]) -> dict[str, Any]:
    e = view.experiment
    return {
        "evaluations": list(e.offline_evaluations.select_related("variant")),
        "offline": next((s for s in items if s.item == Item.OFFLINE), None),
        "evaluate_url": view.url("evaluate") if view.may(Action.RECORD_OFFLINE) else None,
        "evaluation_fields": evaluation_fields(e),
    }


def evaluation_fields(experiment: Experiment) -> list[Field]:
    """What an offline evaluation consists of."""
    arms = [(v.key, v.name) for v in experiment.variants.all() if not v.is_control]
    metric = next(
        (t.get("metric", "") for t in experiment.offline_thresholds if isinstance(t, dict)), ""
    )
    return [
        Field("variant", "Variant", "select", choices=arms, value=arms[0][0] if arms else ""),
        Field("metric", "Metric", value=metric, required=True),
        Field("value", "Value", required=True),
        Field(
            "lower",
            "Lower bound",
            help="Of its 95 % interval; green needs the bound to clear the threshold.",
        ),
        Field("upper", "Upper bound"),
        Field("n", "Cases evaluated"),
        Field("dataset", "Dataset"),
    ]


def _traffic_section(view: View, items: Sequence[ItemState]) -> dict[str, Any]:
    iteration = (
        open_iteration(view.experiment) or view.experiment.iterations.select_related("layer").last()
    )
    arms = list(view.experiment.variants.all())
    overrides = list(
        view.experiment.overrides.select_related("variant", "created_by").order_by("expires_at")
    )
    shown = {
        "overrides": overrides,
        "override_url": view.url("override") if view.may(Action.OVERRIDE) else None,
        "override_fields": override_fields(arms),
        "ramp": ramp_section.card(view),
    }
    if iteration is None or iteration.layer_id is None:
        return {**shown, "iteration": None, "arms": arms}
    kinds = _bucket_kinds(iteration, arms, view.now)
    return {**shown, "iteration": iteration, "arms": arms, "squares": charts.squares(kinds)}


def override_fields(arms: Sequence[Any]) -> list[Field]:
    """Who sees which variant until when."""
    return [
        Field("variant", "Variant", "select", choices=[(v.key, v.name) for v in arms]),
        Field("unit_id", "Unit id", required=True),
        Field("expires_at", "Until (UTC)", "datetime-local", required=True),
        Field("reason", "Reason"),
    ]


def _bucket_kinds(
    iteration: Iteration, arms: Sequence[Any], now: datetime
) -> list[tuple[str, str, list[int]]]:
    """Bucket indexes by who holds them: each arm's main, dark and twin buckets, others, resting,
    free.
    """
    colour = {arm.pk: (f"arm{min(i, 5)}", arm.name) for i, arm in enumerate(arms)}
    found: dict[tuple[str, str], list[int]] = {}
    for index, holder, variant, role, rests in Bucket.objects.filter(
        layer=iteration.layer_id
    ).values_list("index", "iteration_id", "variant_id", "role", "resting_until"):
        found.setdefault(
            _kind(colour, holder == iteration.pk, variant, role, rests is not None and rests > now),
            [],
        ).append(index)
    order = [(css, name) for css, name in colour.values()]
    return [
        (css, label, sorted(found[css, label]))
        for css, label in sorted(found, key=lambda k: (k not in order, k[0], k[1]))
    ]


def _kind(
    colour: dict[int, tuple[str, str]], ours: bool, variant: int | None, role: str, resting: bool
) -> tuple[str, str]:
    if ours and variant in colour:
        css, name = colour[variant]
        extra = {
            BucketRole.DARK.value: (" dark-b", ", dark launch"),
            BucketRole.TWIN.value: (" twin", ", control twin"),
        }.get(role, ("", ""))
        return css + extra[0], name + extra[1]
    if variant is not None:
        return "resting", "held by another experiment"
    return ("resting", "resting") if resting else ("free", "free")


def _results_section(view: View, items: Sequence[ItemState]) -> dict[str, Any]:
    shown = results_section.section(
        view.experiment,
        view.card,
        view.url("analyse") if view.may(Action.COMPUTE_EVIDENCE) else None,
    )
    return {
        **shown,
        "report_url": view.url("report"),
        "unmask_url": view.url("unmask") if view.may(Action.UNMASK) else None,
    }


def _history_section(view: View, items: Sequence[ItemState]) -> dict[str, Any]:
    everything = ChangeLogEntry.objects.filter(experiment=view.experiment)
    rows = everything.exclude(action=COMMENTED)
    text = view.request.GET.get("all")
    shown = list(rows if text else rows[: HISTORY_PAGE + 1])
    entries = shown if text else shown[:HISTORY_PAGE]
    return {
        "entries": [(e, changes(e.before, e.after)) for e in entries],
        "more": not text and len(shown) > HISTORY_PAGE,
        "comments": list(everything.filter(action=COMMENTED).order_by("at", "pk")),
        "comment_url": view.url("comment"),
        "note_url": view.url("note"),
        "mark_url": view.url("mark"),
        "mark_kinds": KINDS,
        "today": view.now.date(),
        "marks": [
            (note, view.url("unmark", note.pk) if note.author_id == view.actor.user_id else None)
            for note in timeline_notes.for_experiment(view.experiment)
        ],
    }


def changes(before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    """Field by field, what was and what is; only what differs."""
    if not isinstance(before, dict) and not isinstance(after, dict):
        return [("", before, after)] if before != after else []
    was, now = before if isinstance(before, dict) else {}, after if isinstance(after, dict) else {}
    return [
        (key, was.get(key), now.get(key))
        for key in dict.fromkeys([*was, *now])
        if was.get(key) != now.get(key)
    ]


SECTIONS: dict[str, Callable[[View, Sequence[ItemState]], dict[str, Any]]] = {
    "checklist": _checklist_section,
    "plan": _plan_section,
    "offline": _offline_section,
    "traffic": _traffic_section,
    "results": _results_section,
    "cost": cost_section,
    "health": health_section.section,
    "wiring": wiring_section.section,
    "history": _history_section,
    "settings": settings_section.section,
}
