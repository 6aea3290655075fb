"""The four AI features of the plan: what each is believed to do, its share by risk, and the offline
score that lets it in.

Test arms get 20, 10, 15 and 10 % of all units, beside a control of the same size.
"""

from __future__ import annotations

from experiments.core.design.specs import ExperimentSpec, VariantSpec
from experiments.core.library.templates.base import Template, guarded, primary, secondary, threshold

HARM = guarded("error_rate", "complaints", "opt_out", "latency_p95", "cost_per_request")
"""The plan's five guardrails."""

MATCHING = Template(
    ExperimentSpec(
        name="Cross-encoder re-ranking of job matches",
        key="matching_rerank_v1",
        description="Re-rank the first hundred matches with a cross-encoder before they are shown.",
        experiment_type="ranking",
        variants=(
            VariantSpec(
                "Bi-encoder only",
                500,
                key="control",
                is_control=True,
                config={"reranker": "none", "depth": 100},
            ),
            VariantSpec(
                "Cross-encoder",
                500,
                key="cross_encoder",
                config={"reranker": "ce-mini-v1", "depth": 100},
                model_hash="ce-mini-v1",
            ),
        ),
        traffic=400,
        policy_key="ai-low",
        metrics=(primary("apply_rate", 0.15), *secondary("apply_conversion", "mrr_online"), *HARM),
        hypothesis="A cross-encoder ranks better matches first, so more people apply.",
        expected_effect="Applications per job view: +15 % or more.",
        prd_text="People leave after the first screen of matches. Offline, the cross-encoder puts the job applied for five places higher.",
        offline_thresholds=threshold("ndcg@10", 0.50),
        dark_mode="shadow",
    ),
    advice="Latency is what a cross-encoder costs: watch p95 in the dark launch.",
)
COACH = Template(
    ExperimentSpec(
        name="Personal advice from the AI coach",
        key="ai_coach_personalization",
        description="The coach reads a person's history before it answers.",
        experiment_type="prompt",
        variants=(
            VariantSpec(
                "Same advice for everybody",
                500,
                key="control",
                is_control=True,
                config={"prompt": "coach-v1", "history": False},
            ),
            VariantSpec(
                "Personal advice",
                500,
                key="personal",
                config={"prompt": "coach-v2", "history": True},
                model_hash="coach-v2",
            ),
        ),
        traffic=200,
        policy_key="ai-medium",
        metrics=(
            primary("ai_opt_out", 0.20),
            *secondary("csat", "human_rating"),
            *guarded("error_rate", "complaints", "latency_p95", "cost_per_request"),
        ),
        hypothesis="Advice that knows the person is worth keeping, so fewer people opt out of the coach.",
        expected_effect="Opt-out: -20 %.",
        prd_text="Many switch the coach off. Most say that its advice was not about them.",
        offline_thresholds=threshold("win_rate", 0.40),
        dark_mode="visible",
    ),
    advice="Opting out is the outcome here, so it is no guardrail. People rate few answers: plan for the opt-out, read the ratings.",
)
SPAM_GUARD = Template(
    ExperimentSpec(
        name="Spam guard, second model",
        key="spam_guard_v2",
        description="Score messages with the second spam model before they are delivered.",
        experiment_type="model",
        variants=(
            VariantSpec(
                "Rules and first model",
                500,
                key="control",
                is_control=True,
                config={"model": "spam-v1", "threshold": 0.8},
            ),
            VariantSpec(
                "Second model",
                500,
                key="spam_v2",
                config={"model": "spam-v2", "threshold": 0.8},
                model_hash="spam-v2-2026-10",
            ),
        ),
        traffic=300,
        policy_key="ai-low",
        metrics=(
            primary("scam_complaints_per_1k_messages", 0.20),
            *secondary("scam_complained"),
            *HARM,
        ),
        hypothesis="The second model catches more scam messages, so fewer people complain of one.",
        expected_effect="Scam complaints per thousand messages: -20 %.",
        prd_text="Complaints of scams rose by a third since spring. The second model was trained on the reports of six months.",
        offline_thresholds=threshold("roc_auc", 0.90),
        dark_mode="shadow",
    ),
    advice="Spam crosses arms: a scammer who is stopped for one half writes to the other. Read the effect as a lower bound.",
)
DISPUTES = Template(
    ExperimentSpec(
        name="Routing of disputes by a model",
        key="dispute_router_ml",
        description="A model sends each dispute to the team that can resolve it, instead of a list of rules.",
        experiment_type="routing",
        variants=(
            VariantSpec("Rules", 500, key="control", is_control=True, config={"router": "rules"}),
            VariantSpec(
                "Model", 500, key="ml", config={"router": "router-ml-v1"}, model_hash="router-ml-v1"
            ),
        ),
        traffic=200,
        policy_key="ai-medium",
        metrics=(
            primary("median_ttr", 0.15),
            *secondary("routing_accuracy", "dispute_resolved_in_window"),
            *HARM,
        ),
        hypothesis="A dispute that reaches the right team at once is resolved sooner.",
        expected_effect="Median time to resolve: -15 %.",
        prd_text="Every third dispute changes teams before somebody resolves it, and each change costs half a day.",
        offline_thresholds=threshold("macro_f1", 0.65),
        dark_mode="shadow",
    ),
    advice=(
        "Disputes that are open at the window's end count as infinitely late: where fewer than half are resolved in time, there is no"
        " median, and the share resolved in time is what can be compared."
    ),
)

AI_FEATURES = (MATCHING, COACH, SPAM_GUARD, DISPUTES)
