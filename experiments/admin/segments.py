"""Named audiences, and the share of units that is held out of everything."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import URLPattern, path, reverse

from experiments.admin.base import WorkplaceAdmin, actor_of, may
from experiments.admin.doing import Confirm, confirmed
from experiments.admin.fields import (
    Field,
    read_json,
    read_moment,
    read_thousandths,
    reason_field,
    written_json,
    written_moment,
    written_share,
)
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput
from experiments.core.figures import counted
from experiments.core.permissions import Action
from experiments.models import GlobalHoldout, Segment
from experiments.selectors.segments import drafts_naming, exclusions_naming, relying_on
from experiments.services.audience import holdout, segments

SHOWN_UNITS = 200
_RULES_HELP = "A list of rules, each a list of conditions. Any rule suffices; all conditions of a rule must hold. Empty: by id only."
_RULES_EXAMPLE = '[[{"attribute": "plan", "op": "eq", "value": "beta"}], [{"attribute": "app", "op": "semver_gte", "value": "2.0.0"}]]'


@admin.register(Segment)
class SegmentAdmin(WorkplaceAdmin):
    """Audiences that conditions name. What something launched relies on cannot change."""

    add_right = Action.ADMINISTER
    list_display = ("key", "name", "description", "updated_at")
    search_fields = ("key", "name", "description")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A new segment."""
        self.refuse_unless_may_add(request)
        key = Field(
            "key",
            "Key",
            required=True,
            placeholder="beta-testers",
            help="What conditions say; it never changes.",
        )
        back = reverse("admin:experiments_segment_changelist")
        confirm = Confirm(
            "A new segment",
            "Create the segment",
            back,
            fields=[key, *_fields(None)],
            consequence="nothing, until a condition names it.",
        )

        def work(data: QueryDict) -> str:
            made = segments.create_segment(
                actor_of(request),
                utc_now(),
                key=data.get("key", "").strip(),
                name=data.get("name", "").strip(),
                description=data.get("description", "").strip(),
                rules=read_json(data.get("rules", ""), "rules", "Rules", empty=[]),
            )
            return f"Segment {made.key} is created."

        return confirmed(self, request, title="New segment", confirm=confirm, work=work)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        segment = _found(object_id)
        context = {
            "title": segment.name,
            "segment": segment,
            "count": segment.units.count(),
            "units": segment.units.order_by("unit_type", "unit_id")[:SHOWN_UNITS],
            "frozen_by": relying_on(segment.key),
            "drafts": drafts_naming(segment.key),
            "exclusions": exclusions_naming(segment.key),
            "may_edit": may(request, Action.ADMINISTER),
        }
        return self.page(request, "admin/assay/segment.html", context)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Another name, description or other rules."""
        segment = _found(str(pk))
        consequence = "within one poll, drafts and exclusion lists that name it meet the new audience; sign-offs on those drafts fall."
        fields = [*_fields(segment), reason_field(required=False)]
        confirm = Confirm(
            f"Edit {segment.name}", "Save", _page(pk), fields=fields, consequence=consequence
        )

        def work(data: QueryDict) -> str:
            segments.edit_segment(
                actor_of(request),
                utc_now(),
                segment_id=pk,
                name=data.get("name", "").strip(),
                description=data.get("description", "").strip(),
                rules=read_json(data.get("rules", ""), "rules", "Rules", empty=[]),
                reason=data.get("reason", "").strip(),
            )
            return f"Segment {segment.key} is saved."

        return confirmed(self, request, title=segment.name, confirm=confirm, work=work)

    def units_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Put units on the list, or take them off it."""
        segment = _found(str(pk))
        fields = [
            Field("unit_type", "Unit type", value="user", required=True),
            Field(
                "units",
                "Unit ids",
                "textarea",
                rows=8,
                required=True,
                help="One a line, kept exactly as written.",
            ),
            Field("remove", "Take these off the list", "checkbox"),
        ]
        confirm = Confirm(
            f"Units of {segment.name}",
            "Save",
            _page(pk),
            fields=fields,
            consequence="these units, within one poll.",
        )

        def work(data: QueryDict) -> str:
            ids = [
                line
                for line in data.get("units", "").replace("\r\n", "\n").split("\n")
                if line.strip()
            ]
            change = (
                segments.remove_segment_units if data.get("remove") else segments.add_segment_units
            )
            count = change(
                actor_of(request),
                utc_now(),
                segment_id=pk,
                unit_type=data.get("unit_type", "").strip(),
                unit_ids=ids,
            )
            return f"{counted(count, 'unit')} {'was' if count == 1 else 'were'} {'removed' if data.get('remove') else 'added'}."

        return confirmed(self, request, title=segment.name, confirm=confirm, work=work)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/edit/", wrap(self.edit_view), name="segment_edit"),
            path("<int:pk>/units/", wrap(self.units_view), name="segment_units"),
            *super().get_urls(),
        ]


@admin.register(GlobalHoldout)
class HoldoutAdmin(WorkplaceAdmin):
    """Who gets every flag's default for a while. One is open at a time; earlier ones stay in the
    list.
    """

    add_right = Action.ADMINISTER
    list_display = ("__str__", "reason", "created_at", "until", "ended_at")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Open one, or give the open one another share or end."""
        self.refuse_unless_may_add(request)
        row = GlobalHoldout.objects.filter(ended_at__isnull=True, until__gt=utc_now()).first()
        fields = [
            Field(
                "unit_type",
                "Unit type",
                value="user" if row is None else row.unit_type,
                required=True,
            ),
            Field(
                "share",
                "Share of all units, %",
                value=written_share(50 if row is None else row.share),
                required=True,
            ),
            Field(
                "until",
                "Until (UTC)",
                "datetime-local",
                value="" if row is None else written_moment(row.until),
                required=True,
            ),
            reason_field(),
        ]
        consequence = "these units get every flag's default within one poll: no experiment, no rollout. Running experiments lose them."
        confirm = Confirm(
            "The global holdout",
            "Hold out",
            _holdouts(),
            fields=fields,
            consequence=consequence,
            tone="warn",
        )

        def work(data: QueryDict) -> str:
            until = read_moment(data.get("until", ""), "until", "Until")
            share = read_thousandths(data.get("share", ""), "share", "Share")
            if until is None or share is None:
                raise InvalidInput(
                    "Share and end are needed.", "until" if until is None else "share"
                )
            made = holdout.set_holdout(
                actor_of(request),
                utc_now(),
                share=share,
                until=until,
                unit_type=data.get("unit_type", "").strip(),
                reason=data.get("reason", ""),
            )
            return f"Held out: {made}."

        return confirmed(self, request, title="Global holdout", confirm=confirm, work=work)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """End the open one."""
        fields = [reason_field()]
        consequence = "the held-out units enter experiments and rollouts within one poll."
        confirm = Confirm(
            "End the global holdout?",
            "End it",
            _holdouts(),
            fields=fields,
            consequence=consequence,
            tone="warn",
        )

        def work(data: QueryDict) -> str:
            holdout.end_holdout(actor_of(request), utc_now(), reason=data.get("reason", ""))
            return "The global holdout has ended."

        return confirmed(self, request, title="Global holdout", confirm=confirm, work=work)


def _holdouts() -> str:
    return reverse("admin:experiments_globalholdout_changelist")


def _page(pk: int) -> str:
    return reverse("admin:experiments_segment_change", args=(pk,))


def _fields(segment: Segment | None) -> list[Field]:
    return [
        Field("name", "Name", value="" if segment is None else segment.name, required=True),
        Field(
            "description",
            "Description",
            "textarea",
            "" if segment is None else segment.description,
            rows=2,
        ),
        Field(
            "rules",
            "Rules by attributes",
            "json",
            "" if segment is None or not segment.rules else written_json(segment.rules),
            rows=4,
            placeholder=_RULES_EXAMPLE,
            help=_RULES_HELP,
        ),
    ]


def _found(object_id: str) -> Segment:
    segment = (
        Segment.objects.filter(pk=object_id).first()
        if object_id.isascii() and object_id.isdigit()
        else None
    )
    if segment is None:
        raise Http404("no such segment")
    return segment
