"""How an experiment's variants did, side by side, in the numbers that AI features are judged by.

These describe. Whether a difference means anything is the analysis's to say (``StatisticalAnalyzer``).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from experiments.core.errors import InvalidInput, NotFound
from experiments.sdk.platforms import Platform, default_platform

_DURATION = re.compile(r"[1-9][0-9]{0,4}[mhdw]")
Conversions = Mapping[str, float | None]


@dataclass(frozen=True)
class ExperimentMetrics:
    """One variant's numbers; ``None`` where nothing was measured. Rates are shares of the units, means are of what was told.

    Latency is in milliseconds, cost in dollars a call, errors are per unit. ``means`` and ``counts`` hold every metric by its key.
    """

    variant: str
    sample_size: int = 0
    exposures: int = 0
    avg_similarity: float | None = None
    avg_latency: float | None = None
    avg_cost: float | None = None
    avg_tokens: float | None = None
    errors: float | None = None
    satisfaction: float | None = None
    handoff_rate: float | None = None
    task_completion: float | None = None
    cache_hit_rate: float | None = None
    memory_usage: float | None = None
    means: Mapping[str, float | None] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def _mean(found: Conversions, units: int) -> float | None:
    return found.get("mean")


def _rate(found: Conversions, units: int) -> float | None:
    return found.get("conversion_rate")


def _per_unit(found: Conversions, units: int) -> float | None:
    mean, count = found.get("mean"), found.get("count")
    return None if mean is None or count is None or not units else mean * count / units


_FIELDS: Mapping[str, tuple[str, Callable[[Conversions, int], float | None]]] = {
    "avg_similarity": ("avg_similarity", _mean),
    "avg_latency": ("latency", _mean),
    "avg_cost": ("cost", _mean),
    "avg_tokens": ("token_usage", _mean),
    "errors": ("errors", _per_unit),
    "satisfaction": ("user_satisfaction", _mean),
    "handoff_rate": ("handoff_rate", _rate),
    "task_completion": ("task_completion", _rate),
    "cache_hit_rate": ("cache_hit_rate", _mean),
    "memory_usage": ("memory_usage", _mean),
}
"""Field → the metric it shows, and how."""


class ExperimentMetricsCollector:
    """Reads from the process's platform, unless another one is given."""

    def __init__(self, platform: Platform | None = None) -> None:
        self._platform = platform

    async def compare_variants(
        self, experiment_name: str, variant_names: Sequence[str] | None = None, duration: str = "7d"
    ) -> dict[str, ExperimentMetrics]:
        """Each variant's numbers since the experiment was launched, by name.

        ``duration`` (30m, 24h, 7d, 2w) says how long one means to look; it does not cut: a unit counts from
        its first exposure, and numbers of part of its time would favour whoever acts early.
        """
        if _DURATION.fullmatch(duration) is None:
            raise InvalidInput(f"duration: expected a whole number and m, h, d or w such as 7d; found {duration!r}", "duration")
        platform = self._platform or default_platform()
        answer = await asyncio.to_thread(platform.metrics, experiment_name)
        found = _by_name(answer)
        wanted = list(found) if variant_names is None else list(variant_names)
        unknown = [name for name in wanted if name not in found]
        if unknown:
            raise NotFound(f"{experiment_name} has no variant {unknown[0]!r}; it has {', '.join(found)}", "variant_names")
        return {name: found[name] for name in wanted}


def _by_name(answer: Mapping[str, object]) -> dict[str, ExperimentMetrics]:
    arms = answer.get("variant_metrics")
    return {str(arm["variant_name"]): _metrics(arm) for arm in arms.values()} if isinstance(arms, dict) else {}


def _metrics(arm: Mapping[str, object]) -> ExperimentMetrics:
    conversions, units = arm.get("conversions"), _whole(arm.get("unique_users"))
    found: Mapping[str, Conversions] = conversions if isinstance(conversions, dict) else {}
    shown = {name: how(found[key], units) for name, (key, how) in _FIELDS.items() if key in found}
    return ExperimentMetrics(
        variant=str(arm["variant_name"]),
        sample_size=units,
        exposures=_whole(arm.get("exposures")),
        means={key: one.get("mean") for key, one in found.items()},
        counts={key: _whole(one.get("count")) for key, one in found.items()},
        **shown,
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
