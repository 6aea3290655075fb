"""Report templates: every version to read, and a form for the next one; the service refuses what is
none.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from analytics.admin.base import KeptAdmin
from analytics.core.report.build import BLOCKS, INLINE, template_faults
from analytics.models import ReportTemplate
from analytics.selectors.reporting.reports import template_in_force
from analytics.services.writing.reports import revise_template
from experiments.core.clock import utc_now
from experiments.core.permissions import Action
from experiments.selectors.actors import actor_for_user

PLACES = ", ".join(f"{{{{{name}}}}}" for name in (*INLINE, *BLOCKS))


class NextVersion(forms.ModelForm):
    """The next version's text and why."""

    class Meta:
        model = ReportTemplate
        fields = ("text", "reason")
        widgets = {
            "text": UnfoldAdminTextareaWidget(attrs={"rows": 32}),
            "reason": UnfoldAdminTextInputWidget(),
        }
        help_texts = {
            "text": f"Markdown: headings, paragraphs, lists, and places that facts fill: {PLACES}."
        }

    def clean_text(self) -> str:
        """Say every fault beside the text; the service asks again."""
        text: str = self.cleaned_data["text"]
        found = template_faults(text)
        if found:
            raise forms.ValidationError([str(fault) for fault in found])
        return text


@admin.register(ReportTemplate)
class ReportTemplateAdmin(KeptAdmin):
    """The text that reports are made by; a new version never changes a report that was written."""

    add_right = Action.MANAGE_METRICS
    form = NextVersion
    list_display = ("version", "shipped", "reason", "created_by", "created_at")
    fields = ("version", "shipped", "reason", "created_by", "created_at", "shown_text")
    readonly_fields = ("shown_text",)

    @admin.display(description="Text")
    def shown_text(self, row: ReportTemplate) -> SafeString:
        return format_html('<div class="as"><pre>{}</pre></div>', row.text)

    def get_fields(self, request: HttpRequest, obj: ReportTemplate | None = None) -> Any:
        return ("text", "reason") if obj is None else self.fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, str]:
        return {"text": template_in_force().text}

    def save_model(
        self, request: HttpRequest, obj: ReportTemplate, form: Any, change: bool
    ) -> None:
        made = revise_template(
            actor_for_user(request.user), utc_now(), text=obj.text, reason=obj.reason
        )
        obj.pk, obj.version = made.pk, made.version
