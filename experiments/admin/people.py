"""Accounts: who may log in and which jobs they have. Django's own pages, for admins only; the
service stores what they say.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from experiments.admin.base import WorkplaceAdmin, actor_of, may
from experiments.admin.doing import problems_of
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.permissions import Action
from experiments.http.spoken import SpokenRelated
from experiments.services.people import accounts

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, WorkplaceAdmin):
    """A person and the groups that are their jobs. Nobody is deleted: switch the account off
    instead.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    actions = None
    list_display = ("username", "first_name", "last_name", "jobs", "is_active", "last_login")
    list_filter = ("is_active", ("groups", SpokenRelated))
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        (
            "What they may do",
            {
                "fields": ("is_active", "is_staff", "groups"),
                "description": "Staff may open this workplace; the groups are their jobs.",
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="Jobs")
    def jobs(self, row: User) -> str:
        return ", ".join(group.name.replace("_", " ") for group in row.groups.all()) or "–"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_staff) and may(request, Action.ADMINISTER)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Django's form; what the service refuses is said above it, and nothing is stored."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except AssayError as refusal:
            for problem in problems_of(refusal):
                messages.error(request, problem.message)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        accounts.save_account(
            actor_of(request), utc_now(), account=obj, jobs=form.cleaned_data.get("groups")
        )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing is left: the service stored the groups with the account, in one line of the
        changelog.
        """

    @method_decorator(sensitive_post_parameters())
    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002  # as Django calls it
        form_url: str = "",
    ) -> HttpResponse:
        """Django's page; a password that its rules accept is set by the service."""
        account = self.get_object(request, id)
        if (
            request.method != "POST"
            or account is None
            or not self.has_change_permission(request, account)
        ):
            return super().user_change_password(request, id, form_url)
        form = self.change_password_form(account, request.POST)
        if not form.is_valid():
            return super().user_change_password(request, id, form_url)
        usable = form.cleaned_data.get("set_usable_password", True)
        password = form.cleaned_data["password1"] if usable else None
        row = accounts.set_password(
            actor_of(request), utc_now(), account_id=account.pk, password=password
        )
        if row == request.user:
            update_session_auth_hash(request, row)
        messages.success(request, f"{row}: the password was {'set' if usable else 'taken away'}.")
        return HttpResponseRedirect(reverse("admin:auth_user_change", args=(row.pk,)))
