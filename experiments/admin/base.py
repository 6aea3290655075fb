"""What every page of the workplace shares: who acts, what they may see, and lists without
delete.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin

from experiments.core import permissions
from experiments.core.permissions import Action
from experiments.http.people import actor_of

__all__ = ["Crumb", "WorkplaceAdmin", "actor_of", "may"]


def may(request: HttpRequest, action: Action, *, member: bool = False) -> bool:
    """Whether to draw something; the service asks again where the change happens."""
    return permissions.may(actor_of(request), action, member=member)


class Crumb:
    """A row under the name that the page's path shows."""

    def __init__(self, row: Model, title: str) -> None:
        self._meta = row._meta
        self.pk = row.pk
        self.title = title

    def __str__(self) -> str:
        return self.title


class WorkplaceAdmin(ModelAdmin):
    """A list whose rights come from the permission table. Services own the rows: nothing is edited
    in place or deleted.
    """

    add_right: ClassVar[Action | None] = None
    actions = None
    list_per_page = 30

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_staff) and may(request, Action.VIEW)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return (
            self.add_right is not None
            and self.has_view_permission(request)
            and may(request, self.add_right, member=True)
        )

    def refuse_unless_may_add(self, request: HttpRequest) -> None:
        """Do not even show an add form to those who may not use it."""
        if not self.has_add_permission(request):
            what = "" if self.add_right is None else f"; {permissions.who_may(self.add_right)}"
            raise PermissionDenied(
                f"{actor_of(request).label} may not add to {self.opts.verbose_name_plural}{what}."
            )

    def refuse_unless_may_view(self, request: HttpRequest) -> None:
        """Nothing is shown to, or taken from, somebody who has no job here; Django's superuser flag
        is none.
        """
        if not self.has_view_permission(request):
            who = permissions.who_may(Action.VIEW)
            raise PermissionDenied(
                f"{actor_of(request).label} may not see {self.opts.verbose_name_plural}; {who}."
            )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def page(
        self, request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        """One of our own pages, in the admin's frame, for those who may see it."""
        self.refuse_unless_may_view(request)
        frame = {**self.admin_site.each_context(request), "opts": self.model._meta, **context}
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, frame, status=status)
