"""What models cost, from when on."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ModelPrice(models.Model):
    """A model's price from a UTC date until the next one: per million tokens, in the currency of
    the costs.

    The price of a million tokens in whole currency is that of one token in millionths. Written by
    ``services.prices`` alone.
    """

    model = models.CharField(max_length=200)
    valid_from = models.DateField()
    price_in = models.DecimalField("per million tokens in", max_digits=12, decimal_places=6)
    price_out = models.DecimalField("per million tokens out", max_digits=12, decimal_places=6)
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    set_at = models.DateTimeField()

    class Meta:
        db_table = "ai_model_prices"
        ordering = ("model", "-valid_from")
        constraints = [
            models.UniqueConstraint(fields=["model", "valid_from"], name="price_once_a_day"),
            models.CheckConstraint(
                condition=models.Q(price_in__gte=0, price_out__gte=0), name="price_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from}"
