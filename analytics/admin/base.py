"""Lists of what services write: everybody with a job here reads them, nothing is edited in place or
deleted.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest
from unfold.admin import ModelAdmin

from experiments.core.permissions import Action, may
from experiments.http.people import actor_of


class KeptAdmin(ModelAdmin):
    """Rights come from the permission table; ``add_right`` is what a form for new rows takes, None
    when only services write.
    """

    add_right: ClassVar[Action | None] = None
    actions = None
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_staff) and may(actor_of(request), Action.VIEW, member=False)

    def has_add_permission(self, request: HttpRequest) -> bool:
        allowed = self.add_right is not None and may(
            actor_of(request), self.add_right, member=False
        )
        return allowed and self.has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
