"""The attributes whose compared values browsers may read: who declared each, when and why."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from experiments.admin.base import WorkplaceAdmin, actor_of
from experiments.admin.doing import Confirm, confirmed
from experiments.admin.fields import Field, reason_field
from experiments.core.clock import utc_now
from experiments.core.figures import day
from experiments.core.permissions import Action
from experiments.core.targeting.public_attributes import still_private
from experiments.models import PublicAttribute
from experiments.selectors import serving
from experiments.services.audience.public_attributes import declare_public, withdraw_public

_SHOWN = 30
_CONSEQUENCE = (
    "everybody who opens a page with a client key can read every value that flags visible to clients compare this attribute with, "
    "in targeting, segments and exclusion lists, now and later. Do not declare what identifies a person or a customer."
)
_WITHDRAWN = (
    "within one poll no client payload shows this attribute. Flags that compare it become remote-only: "
    "browsers get them from the platform."
)


@admin.register(PublicAttribute)
class PublicAttributeAdmin(WorkplaceAdmin):
    """Nothing is public until somebody says so; ids of units never are."""

    add_right = Action.ADMINISTER
    list_display = ("name", "reason", "declared_by", "declared_at")
    search_fields = ("name", "reason")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Declare one; the page lists what would become readable."""
        self.refuse_unless_may_add(request)
        name = Field(
            "name",
            "Attribute",
            value=request.GET.get("name", ""),
            required=True,
            placeholder="country",
        )
        shown = [str(compared) for compared in still_private(serving.current().catalogue)]
        head = (
            "Compared by flags visible to clients now, and not shown to browsers:" if shown else ""
        )
        confirm = Confirm(
            "Declare an attribute public?",
            "Declare it public",
            _list(),
            consequence=_CONSEQUENCE,
            tone="warn",
            fields=[name, reason_field()],
            shown=[head, *shown[:_SHOWN]] if head else [],
        )

        def work(data: QueryDict) -> str:
            made = declare_public(
                actor_of(request),
                utc_now(),
                name=data.get("name", "").strip(),
                reason=data.get("reason", ""),
            )
            return f"Attribute {made.name} is public."

        return confirmed(self, request, title="Public attribute", confirm=confirm, work=work)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Make it private again."""
        row = (
            PublicAttribute.objects.filter(pk=object_id).first()
            if object_id.isascii() and object_id.isdigit()
            else None
        )
        if row is None:
            raise Http404("no such public attribute")
        said = f"{row.declared_by} declared it public on {day(row.declared_at)}: {row.reason}"
        question = f"Make {row.name} private?"
        confirm = Confirm(
            question,
            "Make it private",
            _list(),
            consequence=_WITHDRAWN,
            said=said,
            tone="warn",
            fields=[reason_field()],
        )

        def work(data: QueryDict) -> str:
            withdraw_public(
                actor_of(request), utc_now(), name=row.name, reason=data.get("reason", "")
            )
            return f"Attribute {row.name} is private."

        return confirmed(self, request, title=row.name, confirm=confirm, work=work)


def _list() -> str:
    return reverse("admin:experiments_publicattribute_changelist")
