"""Every decision the rules made; services write them and nobody changes them."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from analytics.admin.base import KeptAdmin
from analytics.models import Decision
from experiments.http.spoken import SpokenFilter, spoken


@admin.register(Decision)
class DecisionAdmin(KeptAdmin):
    """What was decided when, by which rule, on which facts."""

    list_display = (
        "made_at",
        "experiment",
        spoken("verdict"),
        spoken("outcome"),
        "variant",
        "rule",
    )
    list_filter = (("verdict", SpokenFilter), ("outcome", SpokenFilter))
    list_select_related = ("iteration__experiment", "variant")
    search_fields = ("iteration__experiment__key", "iteration__experiment__name", "rule")
    fields = (
        "made_at",
        "experiment",
        "verdict",
        "outcome",
        "variant",
        "rule",
        "shown_facts",
        "shown_versions",
    )
    readonly_fields = ("experiment", "shown_facts", "shown_versions")

    @admin.display(description="Experiment", ordering="iteration__experiment__key")
    def experiment(self, row: Decision) -> str:
        return row.iteration.experiment.key

    @admin.display(description="Facts")
    def shown_facts(self, row: Decision) -> SafeString:
        return _json(row.facts)

    @admin.display(description="Versions")
    def shown_versions(self, row: Decision) -> SafeString:
        return _json(row.versions)


def _json(value: Any) -> SafeString:
    return format_html(
        '<div class="as"><pre>{}</pre></div>',
        json.dumps(value, indent=2, ensure_ascii=False, default=str),
    )
