"""Model prices: every dated price to read, and a form for new and corrected ones; the service
refuses what is none.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from analytics.admin.base import KeptAdmin
from analytics.core.intake.price_table import COLUMNS, BadPrices, parse_prices
from analytics.models import ModelPrice
from analytics.services.importing.prices import load_prices
from experiments.core.clock import utc_now
from experiments.core.permissions import Action
from experiments.selectors.actors import actor_for_user

HEAD = ",".join(COLUMNS) + "\n"


class NewPrices(forms.ModelForm):
    """Prices, one a line, and why."""

    lines = forms.CharField(
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 8, "placeholder": "claude-sonnet,2026-03-01,3.00,15.00"}
        ),
        label="Prices",
        help_text=f"One a line: {HEAD.strip()}. Money per million tokens, from that UTC day until the model's next price. "
        "A line for a day that has one corrects it.",
    )
    reason = forms.CharField(required=False, widget=UnfoldAdminTextInputWidget())

    class Meta:
        model = ModelPrice
        fields: tuple[str, ...] = ()

    def clean_lines(self) -> str:
        """Say every fault beside the lines; the service asks again."""
        text: str = self.cleaned_data["lines"]
        try:
            self.last = parse_prices(HEAD + text)[-1]
        except BadPrices as refusal:
            raise forms.ValidationError(list(refusal.reasons)) from None
        return text


@admin.register(ModelPrice)
class ModelPriceAdmin(KeptAdmin):
    """What models cost, from when on; costs that came without money are priced by it."""

    add_right = Action.MANAGE_METRICS
    form = NewPrices
    list_display = ("model", "valid_from", "price_in", "price_out", "set_by", "set_at")
    list_filter = ("model",)
    search_fields = ("model",)
    fields = ("model", "valid_from", "price_in", "price_out", "set_by", "set_at")

    def get_fields(self, request: HttpRequest, obj: ModelPrice | None = None) -> Any:
        return ("lines", "reason") if obj is None else self.fields

    def save_model(self, request: HttpRequest, obj: ModelPrice, form: Any, change: bool) -> None:
        load_prices(
            actor_for_user(request.user),
            utc_now(),
            text=HEAD + form.cleaned_data["lines"],
            reason=form.cleaned_data["reason"],
        )
        row = ModelPrice.objects.get(model=form.last.model, valid_from=form.last.valid_from)
        obj.pk, obj.model, obj.valid_from = row.pk, row.model, row.valid_from
