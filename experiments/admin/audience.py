"""Who never takes part, and who sees a variant by name."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import URLPattern, path, reverse

from experiments.admin.base import WorkplaceAdmin, actor_of, may
from experiments.admin.doing import Confirm, confirmed
from experiments.admin.fields import Field, read_json
from experiments.core.clock import utc_now
from experiments.core.figures import counted
from experiments.core.permissions import Action
from experiments.models import ExclusionList, Override
from experiments.services.audience import audience

SHOWN_UNITS = 200


@admin.register(ExclusionList)
class ExclusionListAdmin(WorkplaceAdmin):
    """Staff, key clients: units that no experiment may include."""

    add_right = Action.ADMINISTER
    list_display = ("name", "description", "active", "created_at")
    search_fields = ("name", "description")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A new list."""
        self.refuse_unless_may_add(request)
        fields = [
            Field("name", "Name", required=True, placeholder="staff"),
            Field("description", "Description", "textarea", rows=2),
            Field(
                "rule",
                "Rule by attributes",
                "json",
                rows=3,
                placeholder='[{"attribute": "plan", "op": "eq", "value": "enterprise"}]',
                help="All conditions must hold. Empty: by id only.",
            ),
        ]
        back = reverse("admin:experiments_exclusionlist_changelist")
        consequence = "units on the list leave every experiment within one poll and get what everybody else gets."
        confirm = Confirm(
            "A new exclusion list", "Create the list", back, fields=fields, consequence=consequence
        )

        def work(data: QueryDict) -> str:
            rule = read_json(data.get("rule", ""), "rule", "Rule", empty=[])
            made = audience.create_exclusion_list(
                actor_of(request),
                utc_now(),
                name=data.get("name", "").strip(),
                description=data.get("description", "").strip(),
                rule=rule,
            )
            return f"Exclusion list {made.name} is created."

        return confirmed(self, request, title="New exclusion list", confirm=confirm, work=work)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        listed = _found(object_id)
        context = {
            "title": listed.name,
            "listed": listed,
            "count": listed.units.count(),
            "units": listed.units.order_by("unit_type", "unit_id")[:SHOWN_UNITS],
            "may_add": may(request, Action.ADMINISTER),
        }
        return self.page(request, "admin/assay/exclusions.html", context)

    def units_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Put units on a list."""
        listed = _found(str(pk))
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
        ]
        back = reverse("admin:experiments_exclusionlist_change", args=(pk,))
        consequence = (
            "these units leave every experiment within one poll and get what everybody else gets."
        )
        confirm = Confirm(
            f"Add units to {listed.name}", "Add", back, fields=fields, consequence=consequence
        )

        def work(data: QueryDict) -> str:
            ids = [
                line
                for line in data.get("units", "").replace("\r\n", "\n").split("\n")
                if line.strip()
            ]
            audience.add_excluded_units(
                actor_of(request),
                utc_now(),
                list_id=pk,
                unit_type=data.get("unit_type", "").strip(),
                unit_ids=ids,
            )
            return f"{counted(len(ids), 'unit')} {'is' if len(ids) == 1 else 'are'} excluded."

        return confirmed(self, request, title=listed.name, confirm=confirm, work=work)

    def switch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Switch a list off, or on again."""
        listed = _found(str(pk))
        word = "off" if listed.active else "on"
        then = (
            "its units may enter experiments again"
            if listed.active
            else "its units leave every experiment"
        )
        back = reverse("admin:experiments_exclusionlist_change", args=(pk,))
        confirm = Confirm(
            f"Switch {listed.name} {word}?",
            f"Switch {word}",
            back,
            consequence=f"{then}, within one poll.",
            tone="warn",
        )

        def work(data: QueryDict) -> str:
            audience.set_exclusion_list(
                actor_of(request), utc_now(), list_id=pk, active=not listed.active
            )
            return f"Exclusion list {listed.name} is switched {word}."

        return confirmed(self, request, title=listed.name, confirm=confirm, work=work)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/units/", wrap(self.units_view), name="exclusion_units"),
            path("<int:pk>/switch/", wrap(self.switch_view), name="exclusion_switch"),
            *super().get_urls(),
        ]


@admin.register(Override)
class OverrideAdmin(WorkplaceAdmin):
    """Every tester who sees a variant by name; set and removed on the experiment's page."""

    list_display = (
        "experiment",
        "unit_type",
        "unit_id",
        "variant",
        "expires_at",
        "created_by",
        "reason",
    )
    list_select_related = ("experiment", "variant", "created_by")
    list_filter = ("unit_type",)
    search_fields = ("unit_id", "experiment__key")
    ordering = ("-expires_at",)


def _found(object_id: str) -> ExclusionList:
    listed = (
        ExclusionList.objects.filter(pk=object_id).first()
        if object_id.isascii() and object_id.isdigit()
        else None
    )
    if listed is None:
        raise Http404("no such list")
    return listed
