"""A design: everything about an experiment that can be judged, frozen and compared.

Not design: title, description, tags, owner, notes, overrides, planned start and end. Secondary
metrics are kept in it but judged by nobody: they decide nothing and may be amended after launch.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias, cast

from experiments.core.design.specs import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.errors import InvalidInput
from experiments.core.types import JSON, DarkMode, Item, MetricRole, Origin

__all__ = [
    "JUDGED", "Design", "DesignMetric", "DesignVariant", "ExperimentSpec", "Facets", "MetricPlan", "OfflineThreshold", "VariantSpec",
    "arm_digest", "canonical", "design_from_json", "diff", "digest", "facets", "judged", "parse_thresholds",
]  # fmt: skip


ARRIVAL_GRACE_SECONDS = 10


@dataclass(frozen=True)
class DesignVariant:
    """One arm; ``weight`` in thousandths of the experiment's traffic, ``value`` null means the
    config is served.
    """

    key: str
    name: str
    is_control: bool
    weight: int
    config: JSON = None
    value: JSON = None
    model_hash: str = ""

    @property
    def served(self) -> JSON:
        """What the flag answers for this arm."""
        return self.config if self.value is None else self.value


@dataclass(frozen=True)
class DesignMetric:
    """A planned use of one version of a metric; numbers as in ``ExperimentMetric``."""

    key: str
    version: int
    kind: str
    role: str
    direction: str
    window_hours: int | None = None
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

    def judged(self) -> dict[str, JSON]:
        """What a verdict on the metric is about. What came later is left out while nobody uses it,
        so that older verdicts stand.
        """
        parts: dict[str, JSON] = asdict(self)
        return {
            name: value
            for name, value in parts.items()
            if value or name not in ("covariate", "adjusted", "worth_micro")
        }


@dataclass(frozen=True)
class Design:
    """What was asked for, in one immutable piece. Shares in thousandths, levels as decimal text,
    money in USD micros.

    ``segments`` is what the segments in the targeting held: their rules, and their ids as counts
    and digests. ``ramp`` are the steps up to ``traffic`` (``core.ramping``); without any, all of it
    is served at once. ``breakdowns`` are frozen but judged by nobody (``core.breakdowns``).
    ``arrival_grace_seconds``: rows so shortly before an exposure that came without a time are not
    its past; ``arrival_grace_counts``: they are outcome. The same in all arms.
    """

    key: str
    origin: str = Origin.LIVE.value
    flag_key: str = ""
    flag_type: str = ""
    unit_type: str = "user"
    layer: str = ""
    targeting: JSON = None
    segments: JSON = None
    traffic: int = 1000
    ramp: JSON = None
    variants: tuple[DesignVariant, ...] = ()
    metrics: tuple[DesignMetric, ...] = ()
    policy_key: str = "standard"
    policy_version: int = 1
    hypothesis: str = ""
    expected_effect: str = ""
    prd_url: str = ""
    prd_text: str = ""
    offline_thresholds: JSON = None
    confidence_level: str = "0.950"
    power: str = "0.800"
    min_sample_size: int = 100
    size_class: str = ""
    dark_mode: str = DarkMode.SHADOW.value
    auto_promote: bool = False
    time_zone: str = "UTC"
    arrival_grace_seconds: int = ARRIVAL_GRACE_SECONDS
    arrival_grace_counts: bool = False
    budget_micro: int | None = None
    breakdowns: JSON = None

    @property
    def control(self) -> DesignVariant | None:
        """The arm the others are compared with."""
        return next((variant for variant in self.variants if variant.is_control), None)

    @property
    def test_arms(self) -> tuple[DesignVariant, ...]:
        """Every arm but control."""
        return tuple(variant for variant in self.variants if not variant.is_control)

    def metrics_of(self, role: MetricRole) -> tuple[DesignMetric, ...]:
        """The planned metrics of one role, in their order."""
        return tuple(metric for metric in self.metrics if metric.role == role.value)

    def variant(self, key: str) -> DesignVariant | None:
        """The arm of that key, or of that name."""
        return next((v for v in self.variants if v.key == key), None) or next(
            (v for v in self.variants if v.name == key), None
        )

    def as_json(self) -> dict[str, JSON]:
        """The form frozen into an iteration; ``design_from_json`` reads it back."""
        document = asdict(self)
        document["variants"] = [asdict(variant) for variant in self.variants]
        document["metrics"] = [asdict(metric) for metric in self.metrics]
        return document


def design_from_json(document: Mapping[str, JSON]) -> Design:
    """A frozen design back from an iteration; names that this version does not know are left
    out.
    """
    plain: dict[str, object] = dict(_known(Design, document))
    plain["variants"] = tuple(
        DesignVariant(**_known(DesignVariant, entry))
        for entry in _objects(document.get("variants"))
    )
    plain["metrics"] = tuple(
        DesignMetric(**_known(DesignMetric, entry)) for entry in _objects(document.get("metrics"))
    )
    return Design(**plain)  # type: ignore[arg-type]  # written by as_json


def _known(
    kind: type, document: Mapping[str, JSON]
) -> dict[str, Any]:  # Any: field values of several dataclasses
    names = {f.name for f in fields(kind)}
    return {name: value for name, value in document.items() if name in names}


def _objects(value: JSON) -> list[dict[str, JSON]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


Facets: TypeAlias = "dict[str, JSON]"

_PLAIN = (
    "origin", "flag_key", "flag_type", "unit_type", "layer", "targeting", "traffic", "policy_key", "policy_version",
    "hypothesis", "expected_effect", "prd_url", "prd_text", "offline_thresholds", "confidence_level", "power",
    "min_sample_size", "size_class", "dark_mode", "auto_promote", "time_zone",
)  # fmt: skip
_PLAN = (
    "metrics",
    "split",
    "traffic",
    "confidence_level",
    "power",
    "min_sample_size",
    "size_class",
    "policy_key",
    "policy_version",
)

JUDGED: dict[Item, tuple[str, ...]] = {
    Item.PRD: ("hypothesis", "expected_effect", "prd_url", "prd_text"),
    Item.FLAG: ("flag_key", "flag_type", "arms"),
    Item.METRICS: ("metrics", "arrival_grace"),
    Item.SAMPLE_SIZE: _PLAN,
    Item.OFFLINE: ("offline_thresholds", "arms"),
    Item.DARK_LAUNCH: (
        "flag_key",
        "flag_type",
        "unit_type",
        "targeting",
        "segments",
        "dark_mode",
        "arms",
        "split",
        "traffic",
    ),
    Item.APPROVAL: (
        *_PLAIN,
        "budget_micro",
        "segments",
        "ramp",
        "arrival_grace",
        "split",
        "arms",
        "metrics",
    ),
}
"""The facets that each item's verdict is about. Changing one of them voids the verdict."""


def facets(design: Design) -> Facets:
    """The design's judgeable parts: its plain fields, the split, the arms' contents, the metrics
    that decide.
    """
    document = design.as_json()
    parts: Facets = {name: document[name] for name in _PLAIN}
    # Left out where there are none, so that verdicts from before there were segments and ramps
    # stand.
    if design.segments:
        parts["segments"] = design.segments
    if design.budget_micro:
        parts["budget_micro"] = design.budget_micro
    if design.ramp:
        parts["ramp"] = design.ramp
    if (design.arrival_grace_seconds, design.arrival_grace_counts) != (
        ARRIVAL_GRACE_SECONDS,
        False,
    ):
        parts["arrival_grace"] = [design.arrival_grace_seconds, design.arrival_grace_counts]
    parts["split"] = {v.key: {"weight": v.weight, "control": v.is_control} for v in design.variants}
    parts["arms"] = {
        v.key: {"config": v.config, "value": v.value, "model_hash": v.model_hash}
        for v in design.variants
    }
    parts["metrics"] = [
        cast("JSON", m.judged()) for m in design.metrics if m.role != MetricRole.SECONDARY.value
    ]
    return parts


def judged(design: Design, item: Item) -> Facets:
    """What a verdict on this item is about."""
    parts = facets(design)
    return {name: parts[name] for name in JUDGED[item] if name in parts}


def canonical(parts: Mapping[str, JSON]) -> str:
    """One text for one meaning: sorted names, no spaces, exact text. NaN is refused."""
    return json.dumps(
        parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(parts: Mapping[str, JSON]) -> str:
    """SHA-256 of the canonical text, in hexadecimal."""
    return hashlib.sha256(canonical(parts).encode("utf-8", "surrogatepass")).hexdigest()


def arm_digest(variant: DesignVariant) -> str:
    """What an offline evaluation is bound to: the arm's contents and its model."""
    return digest(
        {"config": variant.config, "value": variant.value, "model_hash": variant.model_hash}
    )


def diff(signed: Mapping[str, JSON], present: Mapping[str, JSON]) -> tuple[str, ...]:
    """Two lines for each facet that is no longer what was signed: what it was, what it is."""
    lines: list[str] = []
    for name in sorted(signed.keys() | present.keys()):
        if signed.get(name) != present.get(name):
            lines += [
                f"- {name}: {_shown(signed.get(name))}",
                f"+ {name}: {_shown(present.get(name))}",
            ]
    return tuple(lines)


def _shown(value: JSON) -> str:
    text = (
        value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    )
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


_LONGEST_SHOWN = 300


@dataclass(frozen=True)
class OfflineThreshold:
    """An offline score that every test arm must reach: ``ndcg@10 >= 0.5``."""

    metric: str
    op: str
    value: float

    def cleared_by(self, score: float) -> bool:
        """Whether a score (or the bound that counts) reaches the threshold."""
        return score >= self.value if self.op == ">=" else score <= self.value

    def __str__(self) -> str:
        return f"{self.metric} {'≥' if self.op == '>=' else '≤'} {self.value:g}"


def parse_thresholds(document: JSON) -> tuple[OfflineThreshold, ...]:
    """Offline thresholds from their JSON, a list of ``{metric, op, value}``; refuses anything else,
    naming the place.
    """
    if document is None:
        return ()
    if not isinstance(document, list):
        example = '[{"metric": "ndcg@10", "op": ">=", "value": 0.5}]'
        raise InvalidInput(
            f"offline_thresholds: expected a list like {example}", "offline_thresholds"
        )
    return tuple(
        _threshold(entry, f"offline_thresholds[{index}]") for index, entry in enumerate(document)
    )


def _threshold(entry: JSON, path: str) -> OfflineThreshold:
    if not isinstance(entry, dict) or set(entry) != {"metric", "op", "value"}:
        raise InvalidInput(
            f"{path}: expected exactly metric, op and value, found {_shown(entry)}", path
        )
    metric, op, value = entry["metric"], entry["op"], entry["value"]
    if not isinstance(metric, str) or not 1 <= len(metric.strip()) <= MAX_METRIC_KEY:
        raise InvalidInput(
            f"{path}.metric: expected 1 to {MAX_METRIC_KEY} characters, found {_shown(metric)}",
            f"{path}.metric",
        )
    if op not in (">=", "<="):
        raise InvalidInput(f"{path}.op: expected >= or <=, found {_shown(op)}", f"{path}.op")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(
            f"{path}.value: expected a finite number, found {_shown(value)}", f"{path}.value"
        )
    return OfflineThreshold(metric.strip(), str(op), float(value))


MAX_METRIC_KEY = 80
