"""Every decision the rules made; services write them and nobody changes them."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from analytics.models import Decision
from experiments.core.permissions import Action, may
from experiments.selectors.actors import actor_for_user


@admin.register(Decision)
class DecisionAdmin(ModelAdmin):
    """What was decided when, by which rule, on which facts."""

    actions = None
    list_display = ("made_at", "experiment", "verdict", "outcome", "variant", "rule")
    list_filter = ("verdict", "outcome")
    list_select_related = ("iteration__experiment", "variant")
    search_fields = ("iteration__experiment__key", "iteration__experiment__name", "rule")
    fields = ("made_at", "experiment", "verdict", "outcome", "variant", "rule", "shown_facts", "shown_versions")
    readonly_fields = ("experiment", "shown_facts", "shown_versions")
    show_full_result_count = False

    @admin.display(description="Experiment", ordering="iteration__experiment__key")
    def experiment(self, row: Decision) -> str:
        return row.iteration.experiment.key

    @admin.display(description="Facts")
    def shown_facts(self, row: Decision) -> SafeString:
        return _json(row.facts)

    @admin.display(description="Versions")
    def shown_versions(self, row: Decision) -> SafeString:
        return _json(row.versions)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_staff) and may(actor_for_user(request.user), Action.VIEW, member=False)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _json(value: Any) -> SafeString:
    return format_html('<div class="as"><pre>{}</pre></div>', json.dumps(value, indent=2, ensure_ascii=False, default=str))
