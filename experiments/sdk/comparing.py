"""How an experiment's variants did, side by side, in the numbers that AI features are judged by.

These describe. Whether a difference means anything is the analysis's to say
(``StatisticalAnalyzer``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from experiments.core.durations import parse_duration
from experiments.core.errors import NotFound, Refused
from experiments.sdk.platforms import Platform, default_platform

Conversions = Mapping[str, float | None]


class _Number:
    """A number of a variant; asked for where nothing was measured, it refuses by name, so that
    nobody compares with nothing.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, metrics: ExperimentMetrics | None, owner: type) -> float:
        if metrics is None:
            raise AttributeError(self._name)
        found = metrics.measured.get(self._name)
        if found is None:
            metric, _ = _FIELDS[self._name]
            known = ", ".join(sorted(metrics.measured)) or "nothing"
            message = f"{self._name} of {metrics.variant}: nobody reported {metric} in the last {metrics.duration}; measured: {known}"
            raise Refused(message, self._name)
        return found


@dataclass(frozen=True)
class ExperimentMetrics:
    """One variant's numbers. Rates are shares of the units, means are of what was told.

    Latency is in milliseconds, cost in dollars a call, errors are per unit. A number that was not
    measured raises ``Refused`` when it is asked for; ``measured`` holds those that were, ``means``
    and ``counts`` every metric by its key.
    """

    variant: str
    sample_size: int = 0
    exposures: int = 0
    measured: Mapping[str, float] = field(default_factory=dict)
    means: Mapping[str, float | None] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    duration: str = ""

    avg_similarity = _Number()
    avg_latency = _Number()
    avg_cost = _Number()
    avg_tokens = _Number()
    errors = _Number()
    satisfaction = _Number()
    handoff_rate = _Number()
    task_completion = _Number()
    cache_hit_rate = _Number()
    memory_usage = _Number()


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
        """Each variant's numbers by name, of the units that first met it within ``duration`` (30m,
        24h, 7d, 2w).

        It cuts by the units' first exposure, in all variants alike, and takes all that these units
        have told since: a cut through a unit's own time would favour whoever acts early. Of an
        experiment that is over, the time before its end. Raises what it cannot say: an unknown
        variant, one that no unit met in this time, results that are masked.
        """
        parse_duration(duration)
        platform = self._platform or default_platform()
        answer = await asyncio.to_thread(platform.metrics, experiment_name, duration)
        if answer.get("masked"):
            raise Refused(
                f"{experiment_name}: results are masked: {answer.get('masked_why')}",
                "experiment_name",
            )
        found = _by_name(answer, duration)
        wanted = list(found) if variant_names is None else list(variant_names)
        unknown = [name for name in wanted if name not in found]
        if unknown:
            raise NotFound(
                f"{experiment_name} has no variant {unknown[0]!r}; it has {', '.join(found)}",
                "variant_names",
            )
        unmet = [name for name in wanted if not found[name].sample_size]
        if unmet:
            raise Refused(
                f"{experiment_name}: no unit was exposed to {', '.join(unmet)} in the last {duration}: nothing to compare",
                "duration",
            )
        return {name: found[name] for name in wanted}


def _by_name(answer: Mapping[str, object], duration: str) -> dict[str, ExperimentMetrics]:
    arms = answer.get("variant_metrics")
    return (
        {str(arm["variant_name"]): _metrics(arm, duration) for arm in arms.values()}
        if isinstance(arms, dict)
        else {}
    )


def _metrics(arm: Mapping[str, object], duration: str) -> ExperimentMetrics:
    conversions, units = arm.get("conversions"), _whole(arm.get("unique_users"))
    found: Mapping[str, Conversions] = conversions if isinstance(conversions, dict) else {}
    shown = {
        name: how(found[key], units)
        for name, (key, how) in _FIELDS.items()
        if key in found and found[key].get("count")
    }
    return ExperimentMetrics(
        variant=str(arm["variant_name"]),
        sample_size=units,
        exposures=_whole(arm.get("exposures")),
        measured={name: number for name, number in shown.items() if number is not None},
        means={key: one.get("mean") for key, one in found.items()},
        counts={key: _whole(one.get("count")) for key, one in found.items()},
        duration=duration,
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
