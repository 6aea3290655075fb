"""The experiments list, and the URLs of everything one can do to an experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from analytics.selectors.cards import cards
from analytics.services.analysis import standings
from experiments.admin import (
    act_as,
    calculator,
    calibration_view,
    compare_view,
    deciding,
    events_view,
    experiment_actions,
    experiment_edit,
    experiment_page,
    experiment_view,
    explore_view,
    export_view,
    ramp_actions,
    report_view,
    tail_view,
    timeline_view,
    troubles_view,
    unmask_view,
    why_view,
    work_view,
)
from experiments.admin.base import WorkplaceAdmin, actor_of
from experiments.admin.template_filters import thousandths
from experiments.admin.urgent import TONES, badge, by_urgency, clock, dots
from experiments.admin.waiting import waiting_for
from experiments.core.cards import Viewer
from experiments.core.cards.urgency import WORDS
from experiments.core.clock import utc_now
from experiments.core.permissions import Action
from experiments.core.types import Status
from experiments.models import Experiment
from experiments.selectors.overview import in_team


class ArchiveFilter(admin.SimpleListFilter):
    """Archived experiments stay out of the list unless asked for."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "not finished"), *((s.value, s.value.replace("_", " ")) for s in Status)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == "open":
            return queryset.exclude(status__in=[Status.COMPLETED, Status.ARCHIVED])
        if self.value() in list(Status):
            return queryset.filter(status=self.value())
        return queryset.exclude(status=Status.ARCHIVED)


class TypeFilter(admin.SimpleListFilter):
    """What is being tested; the list of types is open, so it is read from what there is."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        kinds = (
            Experiment.objects.order_by("experiment_type")
            .values_list("experiment_type", flat=True)
            .distinct()
        )
        return [(kind, kind) for kind in kinds]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(experiment_type=self.value()) if self.value() else queryset


class PolicyFilter(admin.SimpleListFilter):
    """By policy, whatever its version."""

    title = "policy"
    parameter_name = "policy"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(
            dict(
                Experiment.objects.order_by("policy__name").values_list(
                    "policy__key", "policy__name"
                )
            ).items()
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(policy__key=self.value()) if self.value() else queryset


class MineFilter(admin.SimpleListFilter):
    """Of which I am the owner or a collaborator."""

    title = "team"
    parameter_name = "team"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("mine", "I am on the team")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() != "mine":
            return queryset
        return queryset.filter(Q(owner=request.user) | Q(collaborators=request.user)).distinct()


class QueueFilter(admin.SimpleListFilter):
    """What waits for whoever looks, as on the overview; or what is this urgent."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("me", "waiting for me"), *((str(rank.value), WORDS[rank]) for rank in TONES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == "me":
            now = utc_now()
            return queryset.filter(
                pk__in=waiting_for(actor_of(request), now, standings.refresh(now), 0).ids
            )
        return (
            queryset.filter(urgency=int(self.value() or 0))
            if self.value() in {str(rank.value) for rank in TONES}
            else queryset
        )


class OwnerFilter(admin.SimpleListFilter):
    """Whose it is."""

    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        owners = (
            get_user_model()
            .objects.filter(owned_experiments__isnull=False)
            .distinct()
            .order_by("username")
        )
        return [(person.username, person.get_full_name() or person.username) for person in owners]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(owner__username=self.value()) if self.value() else queryset


@admin.register(Experiment)
class ExperimentAdmin(WorkplaceAdmin):
    """Where every experiment stands, at a glance."""

    add_right = Action.EDIT_DRAFT
    list_display = (
        "title",
        "stage",
        "verdict",
        "clock",
        "guardrails",
        "share",
        "owner_name",
        "next_step",
    )
    list_display_links = ("title",)
    list_filter = (QueueFilter, ArchiveFilter, OwnerFilter, MineFilter, TypeFilter, PolicyFilter)
    search_fields = (
        "name",
        "key",
        "hypothesis",
        "description",
        "expected_effect",
        "prd_text",
        "tags",
    )
    search_help_text = "Has this been tried? Searches names, hypotheses, PRDs and tags; archived ones are under status."
    list_select_related = ("policy", "owner", "flag", "layer")
    list_fullwidth = True

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("urgency", "planned_end", "-updated_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = Experiment.objects.all()
        return by_urgency(rows, standings.refresh(utc_now()))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        listed = super().get_changelist_instance(request)
        rows = list(listed.result_list)
        prefetch_related_objects(rows, "collaborators")
        found, actor = cards(rows), actor_of(request)
        for row in rows:
            row.card = found[row.pk]
            row.next = row.card.step(Viewer(actor, in_team(actor, row)))
        listed.result_list = rows
        return listed

    @admin.display(description="Experiment", ordering="name")
    def title(self, row: Experiment) -> SafeString:
        return render_to_string("admin/assay/cell_title.html", {"row": row})

    @admin.display(description="Stage", ordering="urgency")
    def stage(self, row: Any) -> SafeString:
        return render_to_string(
            "admin/assay/cell_stage.html", {"row": row, "urgent": badge(row.card)}
        )

    @admin.display(description="Where it is")
    def verdict(self, row: Any) -> str:
        return str(row.card.sentence)

    @admin.display(description="Clock")
    def clock(self, row: Any) -> SafeString:
        return render_to_string(
            "admin/assay/cell_clock.html",
            {"clock": clock(row.card.facts.reading), "said": row.card.facts.reading},
        )

    @admin.display(description="Guardrails")
    def guardrails(self, row: Any) -> SafeString:
        return render_to_string(
            "admin/assay/cell_guardrails.html", {"dots": dots(row.card.facts.reading)}
        )

    @admin.display(description="Traffic", ordering="traffic")
    def share(self, row: Experiment) -> str:
        return thousandths(row.traffic)

    @admin.display(description="Owner", ordering="owner__username")
    def owner_name(self, row: Experiment) -> str:
        return row.owner.get_full_name() or row.owner.username

    @admin.display(description="Next step")
    def next_step(self, row: Any) -> str:
        return str(row.next.label)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return experiment_edit.add(self, request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        experiment = experiment_actions.found(
            int(object_id) if object_id.isascii() and object_id.isdigit() else 0
        )
        view = experiment_view.look(request, experiment, utc_now())
        return self.page(
            request,
            "admin/assay/experiment.html",
            experiment_page.context(view, request.GET.get("tab", "")),
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self.change_view(request, object_id)

    def get_urls(self) -> list[URLPattern]:
        def route(where: str, name: str, view: Callable[..., HttpResponse]) -> URLPattern:
            def bound(request: HttpRequest, **kwargs: Any) -> HttpResponse:
                return view(self, request, **kwargs)

            return path(where, self.admin_site.admin_view(bound), name=name)

        actions = experiment_actions
        return [
            route("sample-size/", "sample_size_calculator", calculator.page),
            route("calibration/", "aa_calibration", calibration_view.page),
            route("timeline/", "experiments_timeline", timeline_view.page),
            route("troubles/", "troubleshooting", troubles_view.page),
            route("events/", "event_browser", events_view.page),
            route("why/", "why_this_user", why_view.ask),
            route("act-as/", "act_as", act_as.switch),
            route("<int:experiment_id>/edit/", "experiment_edit", experiment_edit.edit),
            route("<int:experiment_id>/do/<slug:verb>/", "experiment_do", actions.do),
            route("<int:experiment_id>/decide/", "experiment_decide", deciding.page),
            route("<int:experiment_id>/sign/<slug:item>/", "experiment_sign", actions.sign),
            route(
                "<int:experiment_id>/request-launch/",
                "experiment_request_launch",
                actions.request_launch,
            ),
            route("<int:experiment_id>/evaluate/", "experiment_evaluate", actions.evaluate),
            route(
                "<int:experiment_id>/compute/<slug:item>/", "experiment_compute", actions.compute
            ),
            route("<int:experiment_id>/replan/", "experiment_replan", actions.replan),
            route("<int:experiment_id>/analyse/", "experiment_analyse", actions.analyse),
            route("<int:experiment_id>/report/", "experiment_report", report_view.report),
            route(
                "<int:experiment_id>/results.<slug:kind>", "experiment_export", export_view.export
            ),
            route("<int:experiment_id>/compare/", "experiment_compare", compare_view.page),
            route("<int:experiment_id>/explore/", "experiment_explore", explore_view.page),
            route("<int:experiment_id>/work/<path:metric>/", "experiment_work", work_view.work),
            route("<int:experiment_id>/unmask/", "experiment_unmask", unmask_view.unmask),
            route("<int:experiment_id>/hold/", "experiment_hold", actions.hold),
            route("<int:experiment_id>/ramp/<slug:action>/", "experiment_ramp", ramp_actions.do),
            route("<int:experiment_id>/tail/", "experiment_tail", tail_view.rows),
            route("<int:experiment_id>/note/", "experiment_note", actions.note),
            route("<int:experiment_id>/comment/", "experiment_comment", actions.comment),
            route("<int:experiment_id>/team/", "experiment_team", actions.team),
            route("<int:experiment_id>/mark/", "experiment_mark", actions.mark),
            route(
                "<int:experiment_id>/mark/<int:note_id>/remove/",
                "experiment_unmark",
                actions.unmark,
            ),
            route("<int:experiment_id>/override/", "experiment_override", actions.override),
            route(
                "<int:experiment_id>/override/<int:override_id>/remove/",
                "experiment_override_remove",
                actions.override_remove,
            ),
            *super().get_urls(),
        ]
