"""A CRM's leads under three experiments on tenants: which model reads a lead, how soon it is
followed up, and whether at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from examples.wsgi import Application, application
from experiments.sdk import get_variant, get_variant_config, track_outcome

ENRICHMENT, TIMING, THRESHOLD = "enrichment_model", "followup_timing", "prediction_threshold"
DEFAULTS = {"model": "gpt-3.5-turbo", "delay_seconds": 1800, "threshold": 0.5}
"""What happens to a tenant that no experiment serves."""

Score = Callable[[str, str], float]
"""A model's name and a lead's message → how probably it books, 0 to 1."""


@dataclass
class Lead:
    """One lead with what was decided for it; ``follow_up_after`` in seconds, None: nobody follows
    up.
    """

    number: int
    tenant: str
    message: str
    model: str
    probability: float
    follow_up_after: int | None
    booked: bool = False


@dataclass
class Leads:
    """The CRM's leads in memory."""

    score: Score
    rows: list[Lead] = field(default_factory=list)

    def create(self, sent: dict[str, Any]) -> tuple[int, object]:
        """Read a lead with the tenant's model, and decide by the tenant's threshold and delay
        whether and when it is followed up.
        """
        tenant, message = sent["tenant"], sent["message"]
        model = get_variant_config(tenant, ENRICHMENT).get("model", DEFAULTS["model"])
        threshold = get_variant_config(tenant, THRESHOLD).get("threshold", DEFAULTS["threshold"])
        delay = get_variant_config(tenant, TIMING).get("delay_seconds", DEFAULTS["delay_seconds"])
        probability = self.score(str(model), message)
        after = int(str(delay)) if probability >= float(str(threshold)) else None
        lead = Lead(len(self.rows), tenant, message, str(model), probability, after)
        self.rows.append(lead)
        return 200, {
            "lead": lead.number,
            "model": lead.model,
            "probability": probability,
            "follow_up_after": after,
        }

    def book(self, sent: dict[str, Any]) -> tuple[int, object]:
        """A lead booked: told to each experiment that the tenant is in, under the tenant's
        variant.
        """
        lead = self.rows[int(sent["lead"])]
        lead.booked = True
        told = {
            name: variant
            for name in (ENRICHMENT, TIMING, THRESHOLD)
            if (variant := get_variant(lead.tenant, name)) is not None
        }
        for name, variant in told.items():
            track_outcome(lead.tenant, name, variant, "booked")
        return 200, {"lead": lead.number, "told": told}


def crm(score: Score) -> Application:
    """``POST /leads`` with tenant and message, ``POST /bookings`` with the lead's number."""
    leads = Leads(score)
    return application({("POST", "/leads"): leads.create, ("POST", "/bookings"): leads.book})
