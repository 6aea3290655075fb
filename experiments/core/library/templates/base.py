"""What a template is: a whole experiment as somebody would ask for it, but for what only its owner
knows.

Policy, arms, share, metrics and guardrails stand in it; today's values of the metrics do not, since
nobody can ship them: they are read from the past or entered before a launch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from experiments.core.design.specs import ExperimentSpec, MetricPlan
from experiments.core.errors import InvalidInput
from experiments.core.library.presets import BY_KEY as PRESETS
from experiments.core.types import JSON, MetricRole

PLANNED_AS_ONE = frozenset({"metrics", "primary_metric", "secondary_metrics"})
"""Fields of a spec that make up one plan of metrics: who says one of them replaces the template's
plan.
"""


@dataclass(frozen=True)
class Template:
    """A spec to begin from; its key is the template's. ``advice`` says what to think of before
    launching it.
    """

    spec: ExperimentSpec
    advice: str = ""

    @property
    def key(self) -> str:
        return self.spec.key

    def spec_for(
        self, name: str = "", key: str = "", changes: Mapping[str, object] | None = None
    ) -> ExperimentSpec:
        """The spec of a new draft: named otherwise it gets a key from that name; ``changes`` are
        fields of the spec that win.
        """
        changes = dict(changes or {})
        unknown = sorted(set(changes) - set(ExperimentSpec.__dataclass_fields__))
        if unknown:
            raise InvalidInput(
                f"template {self.key}: an experiment has no field {unknown[0][:80]!r}", unknown[0]
            )
        if changes.keys() & PLANNED_AS_ONE:
            changes = {"metrics": (), **changes}
        named = {
            "name": name or self.spec.name,
            "key": key or ("" if name else self.spec.key),
            "template": self.key,
        }
        return replace(self.spec, **{**changes, **named})  # type: ignore[arg-type]  # names checked above


def primary(
    metric: str, mde: float, *, absolute: bool = False, required: float = 0.0
) -> MetricPlan:
    """The metric that decides, and the smallest effect worth finding: relative, or in the metric's
    own units.
    """
    kind = "absolute" if absolute else "relative"
    return MetricPlan(
        metric, MetricRole.PRIMARY.value, mde=mde, mde_kind=kind, required_improvement=required
    )


def secondary(*metrics: str) -> tuple[MetricPlan, ...]:
    """Metrics to read beside it; they decide nothing."""
    return tuple(MetricPlan(metric, MetricRole.SECONDARY.value) for metric in metrics)


def guarded(*keys: str) -> tuple[MetricPlan, ...]:
    """Guardrails that ship, by key, in the order named."""
    return tuple(PRESETS[key].plan() for key in keys)


def threshold(metric: str, value: float) -> JSON:
    """An offline score that every test arm must reach."""
    return [{"metric": metric, "op": ">=", "value": value}]


def by_key(templates: Collection[Template]) -> Mapping[str, Template]:
    """Templates by key; two of one key are a mistake of ours."""
    found = {template.key: template for template in templates}
    if len(found) != len(templates):
        raise ValueError("two templates have the same key")
    return found
