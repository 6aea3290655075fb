"""The example experiments as data: what is asked, what is true, and how far each has come.

``truth`` gives, per arm, the chance that a unit has at least one event of a type. It drives both the
written history and the live traffic, so that every result on the pages can be held against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from experiments.core.design import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.types import JSON, FlagType, GuardrailAction, GuardrailRule, MarginKind, MetricRole, Status


@dataclass(frozen=True)
class Score:
    """A recorded offline evaluation of one arm."""

    variant: str
    metric: str
    value: float
    lower: float
    upper: float
    n: int
    dataset: str


@dataclass(frozen=True)
class Example:
    """One example: its plan, its truth, its past. ``units_per_day`` counts units that meet the experiment."""

    spec: ExperimentSpec
    stage: Status
    truth: Mapping[str, Mapping[str, float]]
    age: timedelta = timedelta(0)
    dark_hours: int = 0
    units_per_day: int = 0
    scores: tuple[Score, ...] = ()

    @property
    def key(self) -> str:
        return self.spec.key

    @property
    def control(self) -> VariantSpec:
        """The arm whose truth holds for everybody else, too."""
        return next(variant for variant in self.spec.variants if variant.is_control)


def _primary(metric: str, baseline: float, mde: float) -> MetricPlan:
    return MetricPlan(metric, MetricRole.PRIMARY.value, baseline=baseline, mde=mde, mde_kind="relative")


def _guardrail(metric: str, baseline: float, margin: float, kind: MarginKind) -> MetricPlan:
    """A guardrail whose breach stops, and whose safety a promotion does not wait for."""
    return MetricPlan(
        metric, MetricRole.GUARDRAIL.value, baseline=baseline, margin=margin, margin_kind=kind.value,
        rule=GuardrailRule.NO_BREACH.value, action=GuardrailAction.STOP.value,
    )  # fmt: skip


def _threshold(metric: str, value: float) -> JSON:
    return [{"metric": metric, "op": ">=", "value": value}]


def _harm(**changed: float) -> dict[str, float]:
    return {"http_5xx": 0.012, "ai_fallback": 0.02, "complaint": 0.02, "opt_out": 0.03, **changed}


ERRORS = _guardrail("ai_error_units", 0.032, 0.02, MarginKind.POINTS)
COMPLAINTS = _guardrail("complained", 0.02, 0.15, MarginKind.RELATIVE)
OPT_OUT = _guardrail("ai_opt_out", 0.03, 0.10, MarginKind.RELATIVE)

MATCHING = Example(
    ExperimentSpec(
        name="Cross-encoder re-ranking of job matches",
        key="matching_rerank_v1",
        description="Re-rank the first hundred matches with a cross-encoder before they are shown.",
        experiment_type="ranking",
        tags=("matching", "demo"),
        variants=(
            VariantSpec("Bi-encoder only", 500, key="control", is_control=True, config={"reranker": "none", "depth": 100}),
            VariantSpec(
                "Cross-encoder", 500, key="cross_encoder", config={"reranker": "ce-mini-v1", "depth": 100}, model_hash="ce-mini-v1"
            ),
        ),
        traffic=400,
        policy_key="ai-low",
        metrics=(_primary("apply_conversion", 0.12, 0.15), ERRORS, COMPLAINTS, OPT_OUT),
        hypothesis="A cross-encoder ranks better matches first, so more people apply.",
        expected_effect="Share of people who apply within 72 hours: +15 % or more, from 12 %.",
        prd_text="People leave after the first screen of matches. Offline, the cross-encoder puts the job applied for five places higher.",
        offline_thresholds=_threshold("ndcg@10", 0.50),
        dark_mode="shadow",
        auto_promote=True,
    ),
    stage=Status.RUNNING,
    truth={"control": _harm(apply=0.12), "cross_encoder": _harm(apply=0.146)},
    age=timedelta(days=28),
    dark_hours=30,
    units_per_day=620,
    scores=(Score("cross_encoder", "ndcg@10", 0.531, 0.517, 0.545, 12_400, "matching-judgements-2026-09"),),
)

SPAM_GUARD = Example(
    ExperimentSpec(
        name="Spam guard, second model",
        key="spam_guard_v2",
        description="Score messages with the second spam model before they are delivered.",
        experiment_type="model",
        tags=("trust", "demo"),
        variants=(
            VariantSpec("Rules and first model", 500, key="control", is_control=True, config={"model": "spam-v1", "threshold": 0.8}),
            VariantSpec("Second model", 500, key="spam_v2", config={"model": "spam-v2", "threshold": 0.8}, model_hash="spam-v2-2026-10"),
        ),
        traffic=300,
        policy_key="ai-low",
        metrics=(_primary("scam_complained", 0.04, 0.20), ERRORS, COMPLAINTS),
        hypothesis="The second model catches more scam messages, so fewer people complain of one.",
        expected_effect="Share of people who complain of a scam: -20 %, from 4 %.",
        prd_text="Complaints of scams rose by a third since spring. The second model was trained on the reports of six months.",
        offline_thresholds=_threshold("roc_auc", 0.90),
        dark_mode="shadow",
    ),
    stage=Status.DARK_LAUNCH,
    truth={"control": _harm(scam_complaint=0.04), "spam_v2": _harm(scam_complaint=0.032)},
    dark_hours=30,
    units_per_day=2_000,
    scores=(Score("spam_v2", "roc_auc", 0.934, 0.921, 0.946, 8_000, "spam-reports-2026-10"),),
)

AI_COACH = Example(
    ExperimentSpec(
        name="Personal advice from the AI coach",
        key="ai_coach_personalization",
        flag_key="ai_coach_v2",
        description="The coach reads a person's history before it answers.",
        experiment_type="prompt",
        tags=("coach", "demo"),
        variants=(
            VariantSpec("Same advice for everybody", 500, key="control", is_control=True, config={"prompt": "coach-v1", "history": False}),
            VariantSpec("Personal advice", 500, key="personal", config={"prompt": "coach-v2", "history": True}, model_hash="coach-v2"),
        ),
        traffic=200,
        policy_key="ai-medium",
        metrics=(_primary("ai_opt_out", 0.08, 0.20), ERRORS, COMPLAINTS),
        hypothesis="Advice that knows the person is worth keeping, so fewer people opt out of the coach.",
        expected_effect="Opt-out: -20 %, from 8 %.",
        prd_text="Eight in a hundred switch the coach off. Most say that its advice was not about them.",
        offline_thresholds=_threshold("win_rate", 0.40),
        dark_mode="visible",
    ),
    stage=Status.DRAFT,
    truth={},
    scores=(Score("personal", "win_rate", 0.371, 0.334, 0.409, 640, "coach-pairs-2026-11"),),
)

FOLLOWUP = Example(
    ExperimentSpec(
        name="Follow-up timing",
        key="followup_timing",
        description="Follow up on a lead after five minutes instead of thirty.",
        experiment_type="threshold",
        tags=("leads", "demo"),
        variants=(
            VariantSpec("Thirty minutes", 500, key="control", is_control=True, config={"delay_seconds": 1800}),
            VariantSpec("Five minutes", 500, key="aggressive", config={"delay_seconds": 300}),
        ),
        unit_type="tenant",
        policy_key="standard",
        metrics=(_primary("booked", 0.20, 0.20),),
        hypothesis="A quick follow-up reaches hot leads before they cool.",
        expected_effect="Bookings: +10 to +20 %.",
    ),
    stage=Status.RUNNING,
    truth={"control": {"booked": 0.20}, "aggressive": {"booked": 0.20}},
    age=timedelta(days=12),
    units_per_day=90,
)

CONFIDENCE = Example(
    ExperimentSpec(
        name="Confidence threshold for a handoff",
        key="confidence_threshold",
        flag_type=FlagType.OBJECT,
        client_visible=True,
        description="Hand a conversation to a person below 0.7 instead of 0.6.",
        experiment_type="threshold",
        tags=("assistant", "demo"),
        variants=(
            VariantSpec("Threshold 0.6", 500, key="threshold_60", is_control=True, config={"threshold": 0.6}),
            VariantSpec("Threshold 0.7", 500, key="threshold_70", config={"threshold": 0.7}),
        ),
        policy_key="standard",
        metrics=(_primary("apply_conversion", 0.12, 0.15),),
        hypothesis="An earlier handoff saves conversations that would have gone wrong.",
    ),
    stage=Status.RUNNING,
    truth={"threshold_60": {"apply": 0.12}, "threshold_70": {"apply": 0.125}},
    age=timedelta(days=5),
    units_per_day=250,
)

EXAMPLES: tuple[Example, ...] = (MATCHING, SPAM_GUARD, AI_COACH, FOLLOWUP, CONFIDENCE)
