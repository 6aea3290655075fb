"""Adding a draft and editing one; after launch only what is not judged may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from experiments.admin import experiment_form as form
from experiments.admin import experiment_reading as reading
from experiments.admin import template_form
from experiments.admin.base import Crumb, WorkplaceAdmin, actor_of, may
from experiments.admin.config_form import schema_of
from experiments.admin.doing import problems_of
from experiments.admin.experiment_actions import found
from experiments.admin.experiment_view import page_url
from experiments.admin.fields import marked, read_moment
from experiments.admin.gathering import all_at_once
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, Problem
from experiments.core.life.checklist import out_of_reach
from experiments.core.permissions import Action
from experiments.core.types import Item, Status
from experiments.http.errors import status_of
from experiments.models import Experiment
from experiments.selectors.checklist_rows import computed
from experiments.selectors.experiments import is_member
from experiments.services.drafts import drafts


def add(admin: WorkplaceAdmin, request: HttpRequest) -> HttpResponse:
    """A new draft; its author is its owner."""
    if not may(request, Action.EDIT_DRAFT, member=True):
        return _refused(
            admin,
            request,
            "Your role reads experiments; a product owner, data scientist, QA or admin writes them.",
        )
    if request.method != "POST":
        like = request.GET.get("like", "")
        if like.isascii() and like.isdigit():
            return _design_page(admin, request, None, template_form.values_like(found(int(like))))
        return _design_page(
            admin, request, None, template_form.values_for(request.GET.get("template", ""))
        )
    try:
        made = drafts.create_experiment(
            actor_of(request), utc_now(), spec=template_form.read_spec(request.POST.dict())
        )
    except AssayError as refusal:
        return _design_page(admin, request, None, request.POST.dict(), refusal)
    messages.success(
        request, f"{made.name} is saved as a draft. The checklist says what it waits for."
    )
    return HttpResponseRedirect(page_url(made.pk))


def edit(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Edit a draft's design, or amend what a launched experiment still allows."""
    experiment = found(experiment_id)
    if not may(request, Action.EDIT_DRAFT, member=is_member(actor_of(request), experiment)):
        return _refused(
            admin, request, "Only the experiment's team and admins edit it.", experiment
        )
    draft = experiment.status == Status.DRAFT
    show = _design_page if draft else _amend_page
    if request.method != "POST":
        return show(admin, request, experiment, form.values_of(experiment))
    try:
        with transaction.atomic():
            (_save_design if draft else _save_amendment)(request, experiment)
    except AssayError as refusal:
        return show(admin, request, experiment, request.POST.dict(), refusal)
    messages.success(request, f"{experiment.name} is saved.")
    return HttpResponseRedirect(page_url(experiment.pk))


def _save_design(request: HttpRequest, experiment: Experiment) -> None:
    actor, now, data = actor_of(request), utc_now(), request.POST.dict()
    with all_at_once():
        changes = reading.read_common(data) | {
            "policy": data.get("policy", ""),
            "flag": data.get("flag", ""),
            "tags": list(reading.read_tags(data.get("tags", ""))),
        }
        variants, metrics = reading.read_variants(data), reading.read_metrics(data)
    drafts.edit_experiment(actor, now, experiment_id=experiment.pk, changes=changes)
    drafts.set_variants(actor, now, experiment_id=experiment.pk, variants=variants)
    drafts.plan_metrics(actor, now, experiment_id=experiment.pk, metrics=metrics)


def _save_amendment(request: HttpRequest, experiment: Experiment) -> None:
    data = request.POST.dict()
    changes: dict[str, Any] = {
        name: data.get(name, "").strip() for name in ("name", "description", "notes")
    }
    changes |= {
        "tags": list(reading.read_tags(data.get("tags", ""))),
        "planned_end": read_moment(data.get("planned_end", ""), "planned_end", "Planned end"),
    }
    drafts.edit_experiment(
        actor_of(request),
        utc_now(),
        experiment_id=experiment.pk,
        changes=changes,
        reason=data.get("reason", "").strip(),
    )


def _design_page(
    admin: WorkplaceAdmin,
    request: HttpRequest,
    experiment: Experiment | None,
    data: Mapping[str, str],
    refusal: AssayError | None = None,
) -> HttpResponse:
    choices = form.metric_choices()
    schema = schema_of(experiment)
    empty_variant, empty_metric = form.empty_lines(choices, schema)
    wrong = problems_of(refusal) if refusal else []
    context = {
        "title": f"Edit {experiment.name}" if experiment else "New experiment",
        "sections": _marked(form.sections(data, new=experiment is None), wrong),
        "variant_lines": _marked(form.variant_lines(data, schema), wrong),
        "metric_lines": _marked(form.metric_lines(data, choices), wrong),
        "empty_variant": empty_variant,
        "empty_metric": empty_metric,
        "by_schema": bool(schema.properties),
        "control": data.get("v-control", ""),
        "button": "Save the draft",
        "back": page_url(experiment.pk)
        if experiment
        else reverse("admin:experiments_experiment_changelist"),
        "after": "Nobody sees a draft: nothing is served until it is launched.",
        "template": template_form.offered(data) if experiment is None else None,
        "too_long": _too_long(experiment),
    }
    return _answer(admin, request, context | _path(experiment), refusal)


def _too_long(experiment: Experiment | None) -> str:
    """What the plan cannot find in the time it gives itself, as last computed."""
    evidence = (
        None if experiment is None else experiment.evidence.filter(item=Item.SAMPLE_SIZE).first()
    )
    return "" if evidence is None else out_of_reach(computed(evidence))


Part = TypeVar("Part", form.Section, form.FormRow)


def _marked(parts: Sequence[Part], problems: Sequence[Problem]) -> list[Part]:
    """Each problem beside the field that it names."""
    return [replace(part, fields=marked(part.fields, problems)) for part in parts]


def _path(experiment: Experiment | None) -> dict[str, Any]:
    return {} if experiment is None else {"original": Crumb(experiment, experiment.name)}


def _amend_page(
    admin: WorkplaceAdmin,
    request: HttpRequest,
    experiment: Experiment,
    data: Mapping[str, str],
    refusal: AssayError | None = None,
) -> HttpResponse:
    context = {
        "title": f"Amend {experiment.name}",
        "sections": _marked([form.amendable(data)], problems_of(refusal) if refusal else []),
        "button": "Save",
        "back": page_url(experiment.pk),
        "after": "",
    }
    return _answer(admin, request, context | _path(experiment), refusal)


def _answer(
    admin: WorkplaceAdmin, request: HttpRequest, context: dict[str, Any], refusal: AssayError | None
) -> HttpResponse:
    if refusal is None:
        return admin.page(request, "admin/assay/experiment_form.html", context)
    shown = {
        **context,
        "problems": _told(context, problems_of(refusal)),
        "refusal": "Not saved. Nothing was changed.",
    }
    return admin.page(request, "admin/assay/experiment_form.html", shown, status=status_of(refusal))


@dataclass(frozen=True)
class FieldProblem:
    """A problem by the label of its field, with the place of the field on this page."""

    message: str
    place: str = ""


def _told(context: Mapping[str, Any], problems: Sequence[Problem]) -> list[FieldProblem]:
    """Each problem by its label; the names that the code uses stay in the code."""
    parts = [
        *context["sections"],
        *context.get("variant_lines", ()),
        *context.get("metric_lines", ()),
    ]
    labels = {field.name: field.label for part in parts for field in part.fields}
    return [_by_label(problem, labels) for problem in problems]


def _by_label(problem: Problem, labels: Mapping[str, str]) -> FieldProblem:
    name = problem.field or ""
    if name not in labels:
        return FieldProblem(problem.message)
    begins = f"{name}: "
    message = (
        f"{labels[name]}: {problem.message.removeprefix(begins)}"
        if problem.message.startswith(begins)
        else problem.message
    )
    return FieldProblem(message, f"id_{name}")


def _refused(
    admin: WorkplaceAdmin, request: HttpRequest, why: str, experiment: Experiment | None = None
) -> HttpResponse:
    problems = [Problem("forbidden", why)]
    return admin.page(
        request,
        "admin/assay/refused.html",
        {"title": experiment.name if experiment else "New experiment", "problems": problems},
        status=403,
    )
