"""What is read and never written here: policies, layers, the changelog."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from experiments.admin.base import WorkplaceAdmin
from experiments.admin.template_filters import compact, pretty
from experiments.http.spoken import SpokenFilter, spoken
from experiments.models import ChangeLogEntry, Layer, Policy
from experiments.selectors.wording import words


@admin.register(Policy)
class PolicyAdmin(WorkplaceAdmin):
    """What a risk class demands before launch."""

    list_display = ("name", "key", "version", "current", "is_default", "description")
    list_filter = ("current",)
    fields = (
        "name",
        "key",
        "version",
        "description",
        "current",
        "is_default",
        "shown_rules",
        "created_at",
    )
    readonly_fields = ("shown_rules",)

    @admin.display(description="Rules")
    def shown_rules(self, row: Policy) -> SafeString:
        return format_html('<div class="as"><pre>{}</pre></div>', pretty(row.rules))


@admin.register(Layer)
class LayerAdmin(WorkplaceAdmin):
    """Experiments that may not overlap share one; most have their own."""

    list_display = ("name", "private", "held", "created_at")
    list_filter = ("private",)
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).annotate(held=Count("buckets__iteration"))

    @admin.display(description="Buckets held, of 1,000", ordering="held")
    def held(self, row: Any) -> int:
        return row.held


@admin.register(ChangeLogEntry)
class ChangeLogAdmin(WorkplaceAdmin):
    """Every change of everything, newest first."""

    list_display = (
        "at",
        spoken("action"),
        spoken("object_type", "What"),
        "object_label",
        "experiment",
        "actor_label",
        "reason",
    )
    list_filter = (
        ("object_type", SpokenFilter),
        ("actor_kind", SpokenFilter),
        ("action", SpokenFilter),
    )
    list_select_related = ("experiment",)
    search_fields = ("object_label", "reason", "actor_label", "experiment__key")
    fields = (
        "at",
        "done",
        "actor_label",
        "actor_kind",
        "kind",
        "object_id",
        "object_label",
        "experiment",
        "reason",
        "was",
        "became",
    )
    readonly_fields = ("done", "kind", "was", "became")

    @admin.display(description="Action")
    def done(self, row: ChangeLogEntry) -> str:
        return words(row.action)

    @admin.display(description="What")
    def kind(self, row: ChangeLogEntry) -> str:
        return words(row.object_type)

    @admin.display(description="Before")
    def was(self, row: ChangeLogEntry) -> SafeString:
        return format_html('<div class="as"><code>{}</code></div>', compact(row.before))

    @admin.display(description="After")
    def became(self, row: ChangeLogEntry) -> SafeString:
        return format_html('<div class="as"><code>{}</code></div>', compact(row.after))
