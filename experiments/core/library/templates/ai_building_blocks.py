"""Parts of an AI service, one at a time: embedding model, language model, threshold, cache,
retrieval; and the guide's criteria.

They run under Standard, as the guide starts them. Where it lets more than one metric compare, one
decides and the others are read beside it.
"""

from __future__ import annotations

from experiments.core.design.specs import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.library.presets import BY_KEY
from experiments.core.library.templates.base import Template, guarded, primary, secondary
from experiments.core.types import GuardrailAction, GuardrailRule, MarginKind, MetricRole

SLOWER = MetricPlan(
    "latency_mean", MetricRole.GUARDRAIL.value, margin=0.10, margin_kind=MarginKind.RELATIVE.value,
    rule=GuardrailRule.SAFE.value, action=GuardrailAction.HOLD.value,
)  # fmt: skip
"""Ten per cent slower holds what goes on."""
REGRESSIONS = (SLOWER, BY_KEY["error_rate"].plan(), BY_KEY["cost_per_request"].plan())
"""What the guide lets nobody pay for a gain: latency +10 %, errors +2 p.p., cost +20 %."""

EMBEDDING = Template(
    ExperimentSpec(
        name="New embedding model",
        key="new_embedding_model",
        description="nomic-embed v2.0 against v1.5.",
        experiment_type="model",
        variants=(
            VariantSpec(
                "control", 500, is_control=True, config={"model": "nomic-ai/nomic-embed-text-v1.5"}
            ),
            VariantSpec("treatment", 500, config={"model": "nomic-ai/nomic-embed-text-v2.0"}),
        ),
        policy_key="standard",
        size_class="medium",
        metrics=(
            primary("avg_similarity", 0.02),
            *secondary("user_satisfaction", "latency"),
            *REGRESSIONS,
        ),
        hypothesis="The newer model finds passages that are closer to the question.",
        expected_effect="Average similarity: +2 % or more.",
    ),
    advice="Similarities of two models are measured with different rulers: let satisfaction confirm what similarity says.",
)
LANGUAGE_MODEL = Template(
    ExperimentSpec(
        name="Comparison of language models",
        key="llm_model_comparison",
        description="GPT-4 against Claude Opus 4.6.",
        experiment_type="model",
        variants=(
            VariantSpec(
                "gpt4", 500, is_control=True, config={"model": "openai/gpt-4", "temperature": 0.7}
            ),
            VariantSpec(
                "claude", 500, config={"model": "anthropic/claude-opus-4-6", "temperature": 0.7}
            ),
        ),
        policy_key="standard",
        size_class="medium",
        metrics=(primary("user_satisfaction", 0.05), *secondary("task_completion"), *REGRESSIONS),
        hypothesis="The other model answers better, at a cost that its answers are worth.",
        expected_effect="User satisfaction: +5 %.",
    ),
    advice="Say what a satisfied user is worth (worth of one outcome), or no gain will pay for a dearer model.",
)
CONFIDENCE = Template(
    ExperimentSpec(
        name="Confidence threshold for a handoff",
        key="confidence_threshold",
        description="Hand a conversation to a person below 0.7 instead of 0.6.",
        experiment_type="threshold",
        variants=(
            VariantSpec(
                "Threshold 0.6", 500, key="threshold_60", is_control=True, config={"threshold": 0.6}
            ),
            VariantSpec("Threshold 0.7", 500, key="threshold_70", config={"threshold": 0.7}),
        ),
        policy_key="standard",
        size_class="small",
        metrics=(
            primary("task_completion", 0.05),
            *secondary("handoff_rate", "user_satisfaction"),
            *guarded("error_rate"),
        ),
        hypothesis="An earlier handoff saves conversations that would have gone wrong.",
    ),
    advice="Handoffs will rise, that is the point: what they cost is for the people who take them.",
)
CACHE = Template(
    ExperimentSpec(
        name="Time to live of the embedding cache",
        key="cache_ttl",
        description="An hour against a day.",
        experiment_type="cache",
        variants=(
            VariantSpec("ttl_1h", 500, is_control=True, config={"ttl": 3600}),
            VariantSpec("ttl_24h", 500, config={"ttl": 86_400}),
        ),
        policy_key="standard",
        size_class="small",
        metrics=(
            primary("cache_hit_rate", 0.10),
            *secondary("memory_usage", "latency"),
            *REGRESSIONS,
        ),
        hypothesis="What is kept for a day is found more often, and nothing in it grows stale.",
        expected_effect="Cache hit rate: +10 % or more.",
    ),
    advice="Keep one cache for each arm: a shared one is warmed by both, and the difference disappears.",
)
RAG = Template(
    ExperimentSpec(
        name="Documents that retrieval returns",
        key="rag_top_k",
        description="Three, five or seven documents for an answer.",
        experiment_type="rag",
        variants=(
            VariantSpec("top_3", 330, is_control=True, config={"top_k": 3}),
            VariantSpec("top_5", 340, config={"top_k": 5}),
            VariantSpec("top_7", 330, config={"top_k": 7}),
        ),
        policy_key="standard",
        size_class="small",
        metrics=(
            primary("user_satisfaction", 0.05),
            *secondary("avg_similarity", "latency"),
            *REGRESSIONS,
        ),
        hypothesis="More context makes better answers, up to where it costs more than it tells.",
    ),
    advice="Average similarity falls with every further document by itself; it compares nothing here.",
)
CRITERIA = Template(
    ExperimentSpec(
        name="Decision criteria of the guide",
        key="criteria",
        description="The guide's criteria with their units: what must improve by how much, and what may get worse by how little.",
        experiment_type="model",
        variants=(
            VariantSpec("control", 500, is_control=True, config={}),
            VariantSpec("treatment", 500, config={}),
        ),
        policy_key="standard",
        size_class="medium",
        metrics=(primary("user_satisfaction", 0.08, absolute=True, required=0.05), *REGRESSIONS),
        hypothesis="Users are more satisfied, by five points of a hundred at least.",
        expected_effect="User satisfaction: +8 points of a hundred.",
    ),
    advice=(
        "A winner's boundary against 0 is crossed and its estimate is +0.05 or more; latency +10 %, errors +2 p.p. and cost +20 % are"
        " proven not to be exceeded. The plan looks for +0.08: an effect that is just +0.05 falls short of +0.05 every other time."
    ),
)

BUILDING_BLOCKS = (EMBEDDING, LANGUAGE_MODEL, CONFIDENCE, CACHE, RAG, CRITERIA)
