"""API keys: made once, shown once, revoked with one click."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import URLPattern, path, reverse

from experiments.admin.base import WorkplaceAdmin, actor_of, may
from experiments.admin.doing import Confirm, confirmed, problems_of
from experiments.admin.fields import Field, filled, read_choice, reason_field
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, InvalidInput
from experiments.core.permissions import Action
from experiments.core.types import Environment, Scope
from experiments.http.errors import status_of
from experiments.http.packing import showing_secret
from experiments.models import ApiKey
from experiments.services.people import keys

LIST = "admin:experiments_apikey_changelist"
SCOPES = [
    (Scope.SERVER, "server: asks for assignments from your back end"),
    (Scope.CLIENT, "client: asks for assignments from browsers, sees client-visible flags only"),
    (Scope.INGEST, "ingest: sends exposures and events"),
    (Scope.MANAGEMENT, "management: creates and changes experiments for its owner"),
    (Scope.READ, "read: reads experiments and results"),
]


@admin.register(ApiKey)
class ApiKeyAdmin(WorkplaceAdmin):
    """Who may call the doors. Only a key's selector is kept in the clear."""

    add_right = Action.ADMINISTER
    list_display = (
        "name",
        "scope",
        "environment",
        "owner",
        "made_by",
        "selector",
        "created_at",
        "revoked_at",
    )
    list_filter = ("scope", "environment", ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner", "made_by")
    search_fields = ("name", "selector")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and may(request, Action.ADMINISTER)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Make a key; the answer to this POST is the only time it is shown."""
        self.refuse_unless_may_add(request)
        fields = _fields()
        confirm = Confirm("A new API key", "Create the key", reverse(LIST), fields=fields)
        if request.method != "POST":
            return self.page(
                request, "admin/assay/confirm.html", {"title": "New API key", "confirm": confirm}
            )
        try:
            row, secret = keys.create_key(actor_of(request), utc_now(), **_read(request.POST))
        except AssayError as refusal:
            found = problems_of(refusal)
            again = Confirm(
                "A new API key",
                "Create the key",
                reverse(LIST),
                fields=filled(fields, request.POST.dict(), found),
            )
            return self.page(
                request,
                "admin/assay/confirm.html",
                {"title": "New API key", "confirm": again, "problems": found},
                status=status_of(refusal),
            )
        return showing_secret(
            self.page(
                request,
                "admin/assay/key_made.html",
                {"title": row.name, "key": row, "secret": secret},
            )
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A key's page is the question whether to revoke it."""
        known = object_id.isascii() and object_id.isdigit()
        row = (
            ApiKey.objects.select_related("owner", "made_by").filter(pk=object_id).first()
            if known
            else None
        )
        if row is None or not self.has_view_permission(request):
            raise Http404("no such key")
        return self.page(request, "admin/assay/key.html", {"title": row.name, "key": row})

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Revoke a key."""
        row = ApiKey.objects.filter(pk=pk).first()
        if row is None:
            raise Http404("no such key")
        consequence = (
            "whoever calls with this key is refused (401) within one poll. It cannot be undone."
        )
        confirm = Confirm(
            f"Revoke the key {row.name}?",
            "Revoke",
            reverse(LIST),
            consequence=consequence,
            danger=True,
            tone="bad",
            fields=[reason_field()],
        )

        def work(data: QueryDict) -> str:
            keys.revoke_key(
                actor_of(request), utc_now(), key_id=pk, reason=data.get("reason", "").strip()
            )
            return f"Key {row.name} is revoked."

        return confirmed(self, request, title=row.name, confirm=confirm, work=work)

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "<int:pk>/revoke/",
                self.admin_site.admin_view(self.revoke_view),
                name="apikey_revoke",
            ),
            *super().get_urls(),
        ]


def _people() -> list[tuple[str, str]]:
    """Everybody for whom a key may act, by name."""
    people = User.objects.filter(is_active=True)
    return sorted(
        ((one.get_username(), one.get_full_name() or one.get_username()) for one in people),
        key=lambda one: one[1].casefold(),
    )


def _person(text: str) -> User:
    found = User.objects.filter(username=text, is_active=True).first()
    if found is None:
        raise InvalidInput("Acts for: choose the person for whom the key acts.", "owner")
    return found


def _fields() -> list[Field]:
    return [
        Field("name", "Name", required=True, placeholder="checkout service", help="Whose key it is; it appears in the history."),
        Field("scope", "For", "select", value=Scope.SERVER, choices=[(s.value, label) for s, label in SCOPES]),
        Field("environment", "Environment", "select", value=Environment.PRODUCTION, choices=[
            (Environment.PRODUCTION, "production"), (Environment.TEST, "test: is served drafts, its events are never analysed")]),
        Field("owner", "Acts for", "select", required=True, choices=[("", "choose a person"), *_people()],
              help="Who uses it and answers for it. Neither that person nor you may approve a launch that the key asks for."),
    ]  # fmt: skip


def _read(data: QueryDict) -> dict[str, Any]:
    return {
        "name": data.get("name", "").strip(),
        "scope": read_choice(Scope, data.get("scope", ""), "scope", "For"),
        "owner": _person(data.get("owner", "")),
        "environment": read_choice(
            Environment, data.get("environment", ""), "environment", "Environment"
        ),
    }
