"""What somebody asks to have built: an experiment, its variants, its planned metrics. Not yet
judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from experiments.core.types import JSON, FlagType, Origin


@dataclass(frozen=True)
class VariantSpec:
    """An arm as asked for; ``weight`` in thousandths. Without a key it is made from the name."""

    name: str
    weight: int
    key: str = ""
    description: str = ""
    is_control: bool = False
    config: JSON = None
    value: JSON = None
    model_hash: str = ""


@dataclass(frozen=True)
class MetricPlan:
    """A metric's use as asked for, by key; the current version is taken. A guardrail needs a margin
    and its kind.

    ``worth_micro``: what one unit of the primary outcome is worth, in USD micros.
    """

    metric: str
    role: str
    baseline: float | None = None
    baseline_sd: float | None = None
    mde: float | None = None
    mde_kind: str = "relative"
    required_improvement: float = 0.0
    margin: float | None = None
    margin_kind: str = ""
    rule: str = ""
    action: str = ""
    covariate: str = ""
    adjusted: bool = False
    worth_micro: int | None = None


@dataclass(frozen=True)
class ExperimentSpec:
    """An experiment as asked for. Empty fields take defaults: the key from the name, the
    organisation's policy, a flag of the experiment's own key (an import from elsewhere gets none).

    ``traffic`` is in thousandths of all units; ``ramp`` are its steps as ``core.ramping`` reads
    them, ``breakdowns`` as ``core.breakdowns`` does. ``template`` is the key of what it began from,
    if anything. ``primary_metric`` and ``secondary_metrics`` are keys; ``metrics`` plans them in
    full. Metrics that nobody has declared are registered as exploratory.
    """

    name: str
    variants: tuple[VariantSpec, ...] = ()
    key: str = ""
    description: str = ""
    experiment_type: str = "feature"
    tags: tuple[str, ...] = ()
    origin: Origin = Origin.LIVE
    flag_key: str = ""
    flag_type: FlagType = FlagType.OBJECT
    client_visible: bool = False
    unit_type: str = "user"
    targeting: JSON = None
    traffic: int = 1000
    ramp: JSON = None
    policy_key: str = ""
    primary_metric: str = ""
    secondary_metrics: tuple[str, ...] = ()
    metrics: tuple[MetricPlan, ...] = ()
    hypothesis: str = ""
    expected_effect: str = ""
    prd_url: str = ""
    prd_text: str = ""
    offline_thresholds: JSON = None
    confidence_level: str = "0.950"
    power: str = "0.800"
    min_sample_size: int = 100
    size_class: str = ""
    dark_mode: str = "shadow"
    auto_promote: bool = False
    time_zone: str = "UTC"
    arrival_grace_seconds: int = 10
    arrival_grace_counts: bool = False
    planned_start: datetime | None = None
    planned_end: datetime | None = None
    budget_micro: int | None = None
    breakdowns: JSON = None
    template: str = ""
