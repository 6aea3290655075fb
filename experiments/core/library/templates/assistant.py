"""An assistant in a CRM: a prompt, a model, an agent's settings, a feature; and two models by the
quality of their answers.
"""

from __future__ import annotations

from experiments.core.design.specs import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.library.templates.base import Template, guarded, primary, secondary
from experiments.core.types import JSON

_READ = secondary("response_time", "token_usage")

_CLAUDE: dict[str, JSON] = {
    "provider": "anthropic",
    "model": "claude-3-5-sonnet-20241022",
    "max_tokens": 2000,
}
_GPT: dict[str, JSON] = {"provider": "openai", "model": "gpt-4-turbo-preview", "max_tokens": 2000}

PROMPT = Template(
    ExperimentSpec(
        name="Lead qualification prompt",
        key="prompt_few_shot",
        description="The present prompt against one with examples in it.",
        experiment_type="prompt",
        variants=(
            VariantSpec(
                "Control",
                500,
                is_control=True,
                config={
                    "system_prompt": "You are an AI assistant for mortgage CRM...",
                    "temperature": 0.7,
                    "include_examples": False,
                },
            ),
            VariantSpec(
                "Treatment - Few Shot Examples",
                500,
                key="few_shot",
                config={
                    "system_prompt": "You are an AI assistant for mortgage CRM...",
                    "temperature": 0.7,
                    "include_examples": True,
                    "examples": ["What documents do I need?", "How long does approval take?"],
                },
            ),
        ),
        policy_key="standard",
        metrics=(
            primary("resolution_rate", 0.05),
            *secondary("satisfaction_score", "response_time"),
        ),
        hypothesis="An assistant that has seen good answers resolves more inquiries.",
    ),
    advice="Examples are tokens: every answer costs them again.",
)
MODEL = Template(
    ExperimentSpec(
        name="Model of the assistant",
        key="assistant_model",
        description="Claude 3.5 Sonnet against GPT-4 Turbo.",
        experiment_type="model",
        variants=(
            VariantSpec(
                "Claude 3.5 Sonnet", 500, key="claude", is_control=True, config=dict(_CLAUDE)
            ),
            VariantSpec("GPT-4", 500, key="gpt4", config=dict(_GPT)),
        ),
        policy_key="standard",
        metrics=(
            primary("resolution_rate", 0.05),
            *_READ,
            *guarded("error_rate", "cost_per_request"),
        ),
        hypothesis="The other model resolves more inquiries.",
    ),
)
AGENT = Template(
    ExperimentSpec(
        name="Settings of the agent",
        key="agent_config",
        description="A careful agent against one that approves by itself.",
        experiment_type="agent_config",
        variants=(
            VariantSpec(
                "Conservative",
                500,
                key="conservative",
                is_control=True,
                config={"confidence_threshold": 0.95, "auto_approve": False, "max_retries": 2},
            ),
            VariantSpec(
                "Aggressive",
                500,
                key="aggressive",
                config={"confidence_threshold": 0.85, "auto_approve": True, "max_retries": 3},
            ),
        ),
        policy_key="standard",
        metrics=(
            primary("escalation_rate", 0.10),
            *secondary("response_accuracy", "first_contact_resolution"),
            *guarded("complaints"),
        ),
        hypothesis="An agent that dares more hands fewer people on, and is wrong no more often.",
    ),
    advice="Three settings change at once: a difference will not say which of them made it.",
)
FEATURE = Template(
    ExperimentSpec(
        name="Smart routing",
        key="smart_routing",
        description="The present workflow against one that suggests and routes.",
        experiment_type="feature",
        variants=(
            VariantSpec(
                "Existing Workflow",
                500,
                key="existing",
                is_control=True,
                config={"enable_smart_routing": False, "use_ai_suggestions": False},
            ),
            VariantSpec(
                "New AI-Powered Workflow",
                500,
                key="ai_powered",
                config={
                    "enable_smart_routing": True,
                    "use_ai_suggestions": True,
                    "suggestion_threshold": 0.8,
                },
            ),
        ),
        policy_key="standard",
        metrics=(
            primary("conversion_rate", 0.05),
            *secondary("first_contact_resolution", "context_relevance"),
            *guarded("complaints"),
        ),
        hypothesis="Whoever is led to the right place converts more often.",
    ),
)
QUALITY = Template(
    ExperimentSpec(
        name="Claude against GPT-4",
        key="claude_vs_gpt4",
        description="Two models by the quality that reviewers give their answers.",
        experiment_type="model",
        variants=(
            VariantSpec("GPT-4", 500, key="gpt4", is_control=True, config=dict(_GPT)),
            VariantSpec("Claude", 500, key="claude", config=dict(_CLAUDE)),
        ),
        policy_key="standard",
        metrics=(
            primary("response_quality", 0.05),
            MetricPlan("satisfaction_score", "secondary"),
            *_READ,
            *guarded("error_rate", "cost_per_request"),
        ),
        hypothesis="Reviewers who do not know which model answered prefer the other one.",
    ),
    advice="Let nobody who rates an answer see who gave it.",
)

ASSISTANT = (PROMPT, MODEL, AGENT, FEATURE, QUALITY)
