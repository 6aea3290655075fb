"""Background work that failed, why, and the button that has it tried again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from experiments.admin.base import WorkplaceAdmin, actor_of
from experiments.admin.doing import Confirm, confirmed
from experiments.core.clock import utc_now
from experiments.http.spoken import SpokenFilter, spoken
from experiments.models import FailedWork
from experiments.services.ground import due_work

LIST = "admin:experiments_failedwork_changelist"


@admin.register(FailedWork)
class FailedWorkAdmin(WorkplaceAdmin):
    """What failed when it was last tried; empty on a good day."""

    list_display = (spoken("task"), "subject", "failures", "error", "failed_at", "set_aside_at")
    list_filter = (("task", SpokenFilter),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FailedWork]:
        """Work that is being done for the first time has not failed."""
        return super().get_queryset(request).filter(failures__gt=0)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = FailedWork.objects.filter(pk=int(object_id)).first() if object_id.isdigit() else None
        if row is None:
            raise Http404
        title = f"{row.task} {row.subject}"
        confirm = Confirm(
            f"Have {title} tried again?",
            "Try again at the next tick",
            reverse(LIST),
            said=row.error,
        )

        def again(data: QueryDict) -> str:
            due_work.try_again(actor_of(request), utc_now(), failed_id=row.pk)
            return f"{title} will be tried at the next tick."

        return confirmed(self, request, title=title, confirm=confirm, work=again)
