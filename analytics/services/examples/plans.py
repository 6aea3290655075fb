"""The example experiments as data: the templates with what is known here, what is true, and how far
each has come.

The truth drives both the written history and the live traffic, so that every result on the pages
can be held against it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from experiments.core.design.design import MetricPlan
from experiments.core.library.templates.base import secondary
from experiments.core.life.ramping import RampStep
from experiments.core.types import GuardrailAction, MarginKind, Status

from .base import Example, RequestProfile, Score, ValueProfile, guarded, guardrail, planned, primary

PRICES = """\
model,valid_from,price_in,price_out
gpt-4,2026-01-01,30.00,60.00
claude-opus-4-6,2026-01-01,45.00,90.00
coach-small,2026-01-01,0.40,1.60
coach-history,2026-01-01,0.40,1.60
"""
"""What the demo's models cost per million tokens; invented, like everything else here."""


def _harm(**changed: float) -> dict[str, float]:
    """How often a unit meets what guardrails watch."""
    return {"http_5xx": 0.012, "ai_fallback": 0.02, "complaint": 0.02, "opt_out": 0.03, **changed}


def _five(
    cost: int, latency_ms: int, *, requests: float = 1.0, opt_out: bool = True
) -> list[MetricPlan]:
    """The plan's five guardrails with what they are today (four where opting out is the
    outcome).
    """
    watched = [
        guarded("error_rate", 0.032 / requests, 0.18 / requests),
        guarded("complaints", 0.01, 0.07),
        guarded("latency_p95", latency_ms * 1.67, latency_ms * 1.2),
        guarded("cost_per_request", cost, cost * 0.3),
    ]
    return [*watched, guarded("opt_out", 0.03)] if opt_out else watched


COMPLAINTS = guardrail("complained", 0.02, 0.15, MarginKind.RELATIVE)

MATCHING = Example(
    planned(
        "matching_rerank_v1",
        primary("apply_rate", 0.25, 0.15, sd=0.30, adjusted=True),
        *secondary("apply_conversion", "mrr_online"),
        *_five(420, 180, requests=2.0),
        tags=("matching",),
        auto_promote=True,
        breakdowns=[{"name": "language", "values": ["de", "en"]}],
    ),
    stage=Status.RUNNING,
    truth={"control": _harm(), "cross_encoder": _harm()},
    counts={
        "control": {"session": 2, "job_view": 4, "job_click": 1.2, "apply": 1.0},
        "cross_encoder": {"session": 2, "job_view": 4, "job_click": 1.4, "apply": 1.3},
    },
    measured={
        "control": {"job_click": ValueProfile(0.42, 0.2, 0.01, 1)},
        "cross_encoder": {"job_click": ValueProfile(0.5, 0.2, 0.01, 1)},
    },
    asked={
        "control": RequestProfile(420, 180, "bi-encoder-v3", (512, 1), times=2.0, useful=0.58),
        "cross_encoder": RequestProfile(450, 320, "ce-mini-v1", (640, 1), times=2.0, useful=0.66),
    },
    past={"job_view": 4, "apply": 1.0},
    languages={"de": 0.6, "en": 0.4},
    age=timedelta(days=21),
    dark_hours=30,
    units_per_day=220,
    scores=(
        Score(
            "cross_encoder", "ndcg@10", 0.531, 0.517, 0.545, 12_400, "matching-judgements-2026-09"
        ),
    ),
)
"""Wins: beat promotes it within minutes, with a holdback. Looks decide by CUPED, from which such a
ratio gains little.
"""

AI_COACH = Example(
    planned(
        "ai_coach_personalization",
        primary("ai_opt_out", 0.16, 0.30),
        *secondary("csat", "human_rating", "useful_answers"),
        *_five(1_000, 900, requests=3.0, opt_out=False),
        tags=("coach",),
        flag_key="ai_coach_v2",
    ),
    stage=Status.RUNNING,
    truth={
        "control": _harm(opt_out=0.16, csat=0.2, human_rating=0.1),
        "personal": _harm(opt_out=0.13, csat=0.2, human_rating=0.1),
    },
    counts={arm: {"session": 3} for arm in ("control", "personal")},
    measured={
        "control": {
            "csat": ValueProfile(3.7, 0.9, 1, 5),
            "human_rating": ValueProfile(3.4, 0.9, 1, 5),
        },
        "personal": {
            "csat": ValueProfile(3.9, 0.9, 1, 5),
            "human_rating": ValueProfile(3.6, 0.9, 1, 5),
        },
    },
    asked={
        "control": RequestProfile(
            960, 900, "coach-small", (1_200, 300), priced=True, times=3.0, useful=0.62, edited=0.2
        ),
        "personal": RequestProfile(
            1_080,
            940,
            "coach-history",
            (1_500, 300),
            priced=True,
            times=3.0,
            useful=0.70,
            edited=0.14,
        ),
    },
    languages={"de": 0.5, "en": 0.3, "ru": 0.2},
    age=timedelta(days=6),
    dark_hours=30,
    units_per_day=172,
    scores=(Score("personal", "win_rate", 0.452, 0.431, 0.473, 2_100, "coach-pairs-2026-11"),),
)
"""Six days old and too young to say: people rate few answers, the feedback looks better."""

SPAM_GUARD = Example(
    planned(
        "spam_guard_v2",
        primary("scam_complaints_per_1k_messages", 0.012, 0.30, sd=0.045),
        *secondary("scam_complained"),
        *_five(300, 140, requests=6.0),
        tags=("trust",),
    ),
    stage=Status.RUNNING,
    truth={"control": _harm(), "spam_v2": _harm()},
    counts={
        "control": {"session": 2, "message": 6, "scam_complaint": 0.072},
        "spam_v2": {"session": 2, "message": 6, "scam_complaint": 0.05},
    },
    asked={
        "control": RequestProfile(300, 140, "spam-v1", (220, 1), times=2.0, useful=0.71),
        "spam_v2": RequestProfile(320, 150, "spam-v2", (220, 1), times=2.0, useful=0.78),
    },
    languages={"de": 0.5, "en": 0.5},
    drift=1.2,
    age=timedelta(days=15),
    dark_hours=30,
    units_per_day=130,
    scores=(Score("spam_v2", "roc_auc", 0.934, 0.921, 0.946, 8_000, "spam-reports-2026-10"),),
)
"""Half way, and the messages change: their embeddings drift in the last week, which the night
finds.
"""

DISPUTES = Example(
    planned(
        "dispute_router_ml",
        primary("median_ttr", 22.0, 0.15, sd=22.0),
        *secondary("routing_accuracy", "dispute_resolved_in_window"),
        *_five(800, 260),
        tags=("disputes",),
    ),
    stage=Status.RUNNING,
    truth={
        "control": _harm(dispute_resolved=0.86, dispute_routed=1),
        "ml": _harm(dispute_resolved=0.9, dispute_routed=1),
    },
    counts={arm: {"session": 1.5} for arm in ("control", "ml")},
    measured={
        "control": {
            "dispute_resolved": ValueProfile(21, 8, 1, 71),
            "dispute_routed": ValueProfile(0.66, 0.3, 0, 1),
        },
        "ml": {
            "dispute_resolved": ValueProfile(18, 8, 1, 71),
            "dispute_routed": ValueProfile(0.8, 0.25, 0, 1),
        },
    },
    asked={
        "control": RequestProfile(800, 240, "router-rules", (300, 20), useful=0.64),
        "ml": RequestProfile(840, 290, "router-ml-v1", (420, 20), useful=0.77),
    },
    languages={"de": 0.7, "en": 0.3},
    age=timedelta(days=9),
    dark_hours=30,
    units_per_day=110,
    scores=(Score("ml", "macro_f1", 0.688, 0.664, 0.712, 3_100, "disputes-2026-10"),),
)
"""Looks good after nine days; two weeks have to pass."""

SPAM_GUARD_3 = Example(
    replace(
        SPAM_GUARD.spec,
        key="spam_guard_v3",
        name="Spam guard, third model",
        template="spam_guard_v2",
        description="Score messages with the third spam model before they are delivered.",
    ),
    stage=Status.DARK_LAUNCH,
    truth=SPAM_GUARD.truth,
    counts=SPAM_GUARD.counts,
    asked=SPAM_GUARD.asked,
    dark_hours=30,
    units_per_day=2_000,
    scores=(Score("spam_v2", "roc_auc", 0.947, 0.936, 0.958, 8_000, "spam-reports-2026-11"),),
)
"""In its dark launch, healthy."""

COACH_TONE = Example(
    replace(
        AI_COACH.spec,
        key="ai_coach_tone",
        name="A warmer tone of the AI coach",
        template="ai_coach_personalization",
        flag_key="",
        description="The coach writes as a friend would.",
        hypothesis="A warmer coach is kept, so fewer people opt out of it.",
        prd_text="In interviews people called the coach correct and cold.",
    ),
    stage=Status.DRAFT,
    truth={},
    scores=(Score("personal", "win_rate", 0.371, 0.334, 0.409, 640, "coach-tone-pairs-2026-11"),),
)
"""Stopped by its offline threshold."""

DISPUTES_LLM = Example(
    replace(
        DISPUTES.spec,
        key="dispute_router_llm",
        name="Routing of disputes by a language model",
        template="dispute_router_ml",
        description="A language model reads the dispute and names the team.",
    ),
    stage=Status.DRAFT,
    truth={},
    scores=(Score("ml", "macro_f1", 0.702, 0.681, 0.723, 3_100, "disputes-2026-11"),),
)
"""Its model clears the threshold; it waits for a data scientist's signature."""

FOLLOWUP = Example(
    planned("followup_timing", primary("booked", 0.20, 0.40), tags=("leads",)),
    stage=Status.RUNNING,
    truth={"control": {"booked": 0.20}, "aggressive": {"booked": 0.31}},
    age=timedelta(days=15),
    units_per_day=80,
)
"""Meets every condition; automatic promotion is off, so a person promotes it."""

PREDICTION = Example(
    planned("prediction_threshold", primary("booked", 0.20, 0.25), tags=("leads",)),
    stage=Status.RUNNING,
    truth={"control": {"booked": 0.20}, "high_confidence": {"booked": 0.20}},
    age=timedelta(days=12),
    units_per_day=90,
)
"""Goes on without an effect."""

BOOST = Example(
    planned(
        "lora_boost_optimization",
        primary("watch_completion", 0.13, 0.20),
        tags=("recommender",),
    ),
    stage=Status.RUNNING,
    truth={
        "boost_0.3": {"recommendation_click": 0.3},
        "boost_0.5": {"recommendation_click": 0.33},
        "boost_0.7": {"recommendation_click": 0.3},
    },
    rated={
        "boost_0.3": {"watch_completion": 0.40},
        "boost_0.5": {"watch_completion": 0.43},
        "boost_0.7": {"watch_completion": 0.41},
    },
    age=timedelta(days=5),
    units_per_day=400,
)
"""The experiment that the demo's recommender asks (examples/recommender)."""

CONFIDENCE = Example(
    planned(
        "confidence_threshold",
        primary("apply_conversion", 0.12, 0.15),
        tags=("assistant",),
        client_visible=True,
    ),
    stage=Status.RUNNING,
    truth={"threshold_60": {"apply": 0.12}, "threshold_70": {"apply": 0.125}},
    age=timedelta(days=5),
    units_per_day=250,
)
"""Too young to say anything."""

MESSAGE = Example(
    planned(
        "message_template",
        primary("booked", 0.20, 0.20),
        guardrail("complained", 0.03, 0.15, MarginKind.RELATIVE),
        tags=("leads",),
    ),
    stage=Status.COMPLETED,
    truth={
        "control": {"booked": 0.20, "complaint": 0.03},
        "friendly": {"booked": 0.21, "complaint": 0.11},
    },
    age=timedelta(days=16),
    units_per_day=240,
    attended_from=timedelta(days=5),
    lesson="Tenants' customers found it pushy. The wording goes back to the writers; the complaints are in the PRD of the next try.",
)
"""Stopped by a guardrail: too friendly for many."""

MODELS = Example(
    planned(
        "llm_model_comparison",
        primary("user_satisfaction", 0.75, 0.05, sd=0.43),
        guardrail(
            "cost_per_request", 9_000, 0.20, MarginKind.RELATIVE, GuardrailAction.ESCALATE, sd=4_500
        ),
        guardrail("latency_mean", 900, 0.50, MarginKind.RELATIVE, GuardrailAction.HOLD, sd=450),
        tags=("assistant",),
    ),
    stage=Status.RUNNING,
    truth={"gpt4": {}, "claude": {}},
    rated={"gpt4": {"user_satisfaction": 0.75}, "claude": {"user_satisfaction": 0.755}},
    asked={
        "gpt4": RequestProfile(9_000, 900, "gpt-4", (150, 75), priced=True, useful=0.7, edited=0.1),
        "claude": RequestProfile(
            13_500, 870, "claude-opus-4-6", (150, 75), priced=True, useful=0.71, edited=0.1
        ),
    },
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
        ramp=[
            step.as_json()
            for step in (RampStep(100, 24, 60), RampStep(300, 48, 400), RampStep(1000))
        ],
    ),
    stage=Status.RUNNING,
    truth={"top_3": {}, "top_5": {}, "top_7": {}},
    rated={
        "top_3": {"user_satisfaction": 0.75},
        "top_5": {"user_satisfaction": 0.76},
        "top_7": {"user_satisfaction": 0.76},
    },
    asked={
        "top_3": RequestProfile(6_000, 900),
        "top_5": RequestProfile(6_400, 925),
        "top_7": RequestProfile(6_900, 1_450),
    },
    age=timedelta(days=6),
    units_per_day=1_000,
    attended_from=timedelta(days=1),
)
"""Holds its ramp at the second step: seven documents make answers much slower.

The harm is far beyond its margin of 10 %, so that some minutes of live traffic do not take its
proof away.
"""

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
    MATCHING, AI_COACH, SPAM_GUARD, DISPUTES, SPAM_GUARD_3, COACH_TONE, DISPUTES_LLM, FOLLOWUP, PREDICTION, BOOST, CONFIDENCE, MESSAGE,
    MODELS, RETRIEVAL, AA_TEST,
)  # fmt: skip
"""Those with a past; of the other templates the demo shows drafts, and a geo pilot of its own."""
