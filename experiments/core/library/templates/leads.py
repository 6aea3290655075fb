"""From a lead to a booking, sticky per tenant: which model reads the lead, when and whom to follow
up, in which words.
"""

from __future__ import annotations

from experiments.core.design.specs import ExperimentSpec, VariantSpec
from experiments.core.library.templates.base import Template, guarded, primary, secondary

_DILUTED = (
    "Tenants are randomised, so tenants are counted: a hundred leads of one tenant are one unit."
)

ENRICHMENT = Template(
    ExperimentSpec(
        name="Enrichment model",
        key="enrichment_model",
        description="Which model scores a lead's intent and mood.",
        experiment_type="model",
        variants=(
            VariantSpec("control", 500, is_control=True, config={"model": "gpt-3.5-turbo"}),
            VariantSpec("gpt4", 500, config={"model": "gpt-4"}),
        ),
        unit_type="tenant",
        policy_key="standard",
        metrics=(primary("booked", 0.10), *guarded("error_rate", "cost_per_request")),
        hypothesis="The larger model reads intent and mood better, so more leads book.",
        expected_effect="Bookings: +5 to +10 %.",
    ),
    advice=_DILUTED,
)
FOLLOWUP = Template(
    ExperimentSpec(
        name="Follow-up timing",
        key="followup_timing",
        description="Follow up on a lead after five minutes instead of thirty.",
        experiment_type="threshold",
        variants=(
            VariantSpec(
                "Thirty minutes",
                500,
                key="control",
                is_control=True,
                config={"delay_seconds": 1800},
            ),
            VariantSpec("Five minutes", 500, key="aggressive", config={"delay_seconds": 300}),
        ),
        unit_type="tenant",
        policy_key="standard",
        metrics=(primary("booked", 0.20),),
        hypothesis="A quick follow-up reaches hot leads before they cool.",
        expected_effect="Bookings: +10 to +20 %.",
    ),
    advice=_DILUTED,
)
PREDICTION = Template(
    ExperimentSpec(
        name="Threshold of the booking prediction",
        key="prediction_threshold",
        description="Follow up only on leads that are 70 % likely to book, instead of 50 %.",
        experiment_type="threshold",
        variants=(
            VariantSpec("control", 500, is_control=True, config={"threshold": 0.5}),
            VariantSpec("high_confidence", 500, config={"threshold": 0.7}),
        ),
        unit_type="tenant",
        policy_key="standard",
        metrics=(primary("booked", 0.20), *secondary("bookings")),
        hypothesis="Fewer, better follow-ups bring nearly as many bookings for half the work.",
        expected_effect="Half the follow-ups; bookings fall by a quarter at most.",
    ),
    advice=(
        "A trade: bookings are expected to fall, so nothing is promoted by itself. Decide by what a booking and an hour of work are worth."
    ),
)
MESSAGE = Template(
    ExperimentSpec(
        name="Wording of the follow-up",
        key="message_template",
        description="A friendly message against a professional one.",
        experiment_type="prompt",
        variants=(
            VariantSpec(
                "control", 500, is_control=True, config={"template": "Hi {name}, following up..."}
            ),
            VariantSpec("friendly", 500, config={"template": "Hey {name}! 👋 Just checking in..."}),
        ),
        unit_type="tenant",
        policy_key="standard",
        min_sample_size=150,
        auto_promote=True,
        metrics=(primary("booked", 0.20), *guarded("complaints")),
        hypothesis="People answer a friendly message sooner.",
        expected_effect="Bookings: +20 %.",
    ),
    advice=f"{_DILUTED} 150 tenants an arm are a floor; the computed size decides when there is enough.",
)

LEADS = (ENRICHMENT, FOLLOWUP, PREDICTION, MESSAGE)
