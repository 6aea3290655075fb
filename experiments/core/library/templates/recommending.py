"""A recommendation engine: how strongly a fine-tuned model counts, and which algorithm
recommends.
"""

from __future__ import annotations

from experiments.core.design.specs import ExperimentSpec, VariantSpec
from experiments.core.library.templates.base import Template, primary, secondary

_READ = secondary("click_through", "engagement_time", "rating_given", "add_to_watchlist")

BOOST_TEST = Template(
    ExperimentSpec(
        name="LoRA boost, first test",
        key="lora_boost_test",
        description="Count the fine-tuned scores by 0.5 instead of 0.3.",
        experiment_type="ranking",
        variants=(
            VariantSpec("control", 500, is_control=True, config={"boost": 0.3}),
            VariantSpec("treatment", 500, config={"boost": 0.5}),
        ),
        traffic=500,
        policy_key="standard",
        metrics=(primary("watch_completion", 0.05), *_READ),
        hypothesis="What the fine-tuned model likes is watched to the end more often.",
    ),
)
BOOST = Template(
    ExperimentSpec(
        name="LoRA boost, three steps",
        key="lora_boost_optimization",
        description="Count the fine-tuned scores by 0.3, 0.5 or 0.7.",
        experiment_type="ranking",
        variants=(
            VariantSpec("boost_0.3", 330, is_control=True, config={"lora_boost": 0.3}),
            VariantSpec("boost_0.5", 340, config={"lora_boost": 0.5}),
            VariantSpec("boost_0.7", 330, config={"lora_boost": 0.7}),
        ),
        traffic=800,
        policy_key="standard",
        metrics=(primary("watch_completion", 0.05), *_READ),
        hypothesis="There is a best boost between too little and too much.",
    ),
    advice="Two test arms share the error that is allowed, so each needs more units than one alone.",
)
ALGORITHM = Template(
    ExperimentSpec(
        name="Second recommendation algorithm",
        key="recommendation_algo_v2",
        description="The new collaborative filter against the present one.",
        experiment_type="ranking",
        variants=(
            VariantSpec("baseline", 500, is_control=True, config={"algorithm": "collaborative_v1"}),
            VariantSpec("new_algo", 500, config={"algorithm": "collaborative_v2"}),
        ),
        policy_key="standard",
        metrics=(
            primary("click_through", 0.05),
            *secondary("watch_completion", "engagement_time", "add_to_watchlist"),
        ),
        hypothesis="The new filter recommends what people click on and then watch.",
    ),
    advice="What is new is clicked because it is new: compare the first week with the later ones.",
)

RECOMMENDING = (BOOST_TEST, BOOST, ALGORITHM)
