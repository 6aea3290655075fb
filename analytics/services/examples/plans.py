"""The example experiments as data: the templates with what is known here, what is true, and how far each has come.

``truth`` drives both the written history and the live traffic, so that every result on the pages can be
held against it.
"""

from __future__ import annotations

from datetime import timedelta

from experiments.core.ramping import RampStep
from experiments.core.types import GuardrailAction, MarginKind, Status

from .base import Asked, Example, Score, guardrail, planned, primary


def _harm(**changed: float) -> dict[str, float]:
    return {"http_5xx": 0.012, "ai_fallback": 0.02, "complaint": 0.02, "opt_out": 0.03, **changed}


ERRORS = guardrail("ai_error_units", 0.032, 0.02, MarginKind.POINTS)
COMPLAINTS = guardrail("complained", 0.02, 0.15, MarginKind.RELATIVE)
OPT_OUT = guardrail("ai_opt_out", 0.03, 0.10, MarginKind.RELATIVE)

MATCHING = Example(
    planned(
        "matching_rerank_v1", primary("apply_conversion", 0.12, 0.15), ERRORS, COMPLAINTS, OPT_OUT, tags=("matching",), auto_promote=True
    ),
    stage=Status.RUNNING,
    truth={"control": _harm(apply=0.12), "cross_encoder": _harm(apply=0.146)},
    age=timedelta(days=28),
    dark_hours=30,
    units_per_day=620,
    scores=(Score("cross_encoder", "ndcg@10", 0.531, 0.517, 0.545, 12_400, "matching-judgements-2026-09"),),
)
"""Wins: beat promotes it within minutes, with a holdback."""

SPAM_GUARD = Example(
    planned("spam_guard_v2", primary("scam_complained", 0.04, 0.20), ERRORS, COMPLAINTS, tags=("trust",)),
    stage=Status.DARK_LAUNCH,
    truth={"control": _harm(scam_complaint=0.04), "spam_v2": _harm(scam_complaint=0.032)},
    dark_hours=30,
    units_per_day=2_000,
    scores=(Score("spam_v2", "roc_auc", 0.934, 0.921, 0.946, 8_000, "spam-reports-2026-10"),),
)
"""In its dark launch, healthy."""

AI_COACH = Example(
    planned("ai_coach_personalization", primary("ai_opt_out", 0.08, 0.20), ERRORS, COMPLAINTS, tags=("coach",), flag_key="ai_coach_v2"),
    stage=Status.DRAFT,
    truth={},
    scores=(Score("personal", "win_rate", 0.371, 0.334, 0.409, 640, "coach-pairs-2026-11"),),
)
"""Stopped by its offline threshold."""

DISPUTES = Example(
    planned("dispute_router_ml", primary("median_ttr", 30.0, 0.15, sd=24.0), ERRORS, COMPLAINTS, tags=("disputes",)),
    stage=Status.DRAFT,
    truth={},
    scores=(Score("ml", "macro_f1", 0.688, 0.664, 0.712, 3_100, "disputes-2026-10"),),
)
"""Its model clears the threshold; it waits for a data scientist's signature."""

FOLLOWUP = Example(
    planned("followup_timing", primary("booked", 0.20, 0.20), tags=("leads",)),
    stage=Status.RUNNING,
    truth={"control": {"booked": 0.20}, "aggressive": {"booked": 0.20}},
    age=timedelta(days=12),
    units_per_day=90,
)
"""Goes on without an effect."""

CONFIDENCE = Example(
    planned("confidence_threshold", primary("apply_conversion", 0.12, 0.15), tags=("assistant",), client_visible=True),
    stage=Status.RUNNING,
    truth={"threshold_60": {"apply": 0.12}, "threshold_70": {"apply": 0.125}},
    age=timedelta(days=5),
    units_per_day=250,
)
"""Too young to say anything."""

MESSAGE = Example(
    planned("message_template", primary("booked", 0.20, 0.20), guardrail("complained", 0.03, 0.15, MarginKind.RELATIVE), tags=("leads",)),
    stage=Status.COMPLETED,
    truth={"control": {"booked": 0.20, "complaint": 0.03}, "friendly": {"booked": 0.21, "complaint": 0.11}},
    age=timedelta(days=16),
    units_per_day=240,
    attended_from=timedelta(days=2),
    lesson="Tenants' customers found it pushy. The wording goes back to the writers; the complaints are in the PRD of the next try.",
)
"""Stopped by a guardrail: too friendly for many."""

MODELS = Example(
    planned(
        "llm_model_comparison",
        primary("user_satisfaction", 0.75, 0.05, sd=0.43),
        guardrail("cost_per_request", 9_000, 0.20, MarginKind.RELATIVE, GuardrailAction.ESCALATE, sd=4_500),
        guardrail("latency_mean", 900, 0.50, MarginKind.RELATIVE, GuardrailAction.HOLD, sd=450),
        tags=("assistant",),
    ),
    stage=Status.RUNNING,
    truth={"gpt4": {}, "claude": {}},
    rated={"gpt4": {"user_satisfaction": 0.75}, "claude": {"user_satisfaction": 0.755}},
    asked={"gpt4": Asked(9_000, 900), "claude": Asked(13_500, 870)},
    age=timedelta(days=9),
    units_per_day=150,
    attended_from=timedelta(days=6),
)
"""Escalated: it costs half as much again, and no gain pays for it."""

RETRIEVAL = Example(
    planned(
        "rag_top_k",
        primary("user_satisfaction", 0.75, 0.05, sd=0.43),
        guardrail("latency_mean", 900, 0.10, MarginKind.RELATIVE, GuardrailAction.HOLD, sd=450),
        tags=("assistant",),
        ramp=[step.as_json() for step in (RampStep(100, 24, 60), RampStep(300, 48, 400), RampStep(1000))],
    ),
    stage=Status.RUNNING,
    truth={"top_3": {}, "top_5": {}, "top_7": {}},
    rated={
        "top_3": {"user_satisfaction": 0.75},
        "top_5": {"user_satisfaction": 0.76},
        "top_7": {"user_satisfaction": 0.76},
    },
    asked={"top_3": Asked(6_000, 900), "top_5": Asked(6_400, 925), "top_7": Asked(6_900, 1_080)},
    age=timedelta(days=6),
    units_per_day=1_000,
    attended_from=timedelta(days=1),
)
"""Holds its ramp at the second step: seven documents make answers slower."""

AA_TEST = Example(
    planned("aa_test", primary("apply_conversion", 0.12, 0.30), COMPLAINTS, tags=("platform",)),
    stage=Status.COMPLETED,
    truth={arm: {"apply": 0.12, "complaint": 0.02} for arm in ("same", "same_again")},
    age=timedelta(days=24),
    units_per_day=300,
    attended_from=timedelta(days=11),
)
"""Nothing to find, and nothing is found."""

EXAMPLES: tuple[Example, ...] = (
    MATCHING, SPAM_GUARD, AI_COACH, DISPUTES, FOLLOWUP, CONFIDENCE, MESSAGE, MODELS, RETRIEVAL, AA_TEST,
)  # fmt: skip
"""Those with a past; of the other templates the demo shows drafts, and a geo pilot of its own."""
