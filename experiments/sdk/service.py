"""Experiments by a service: a user or an anonymous session asks for its variant, results are
recorded, the server analyses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from experiments.core.types import JSON
from experiments.sdk.platforms import Platform, default_platform
from experiments.sdk.serving import serve


class VariantAnswer(TypedDict):
    """As ``POST …/get-variant`` answers it."""

    name: str
    key: str
    is_control: bool
    config: dict[str, JSON]


class _Service:
    def __init__(self, db: object = None, *, platform: Platform | None = None) -> None:
        """``db`` is what the surrounding application passes to all its services; nothing here needs
        a database.
        """
        self._given = platform

    @property
    def platform(self) -> Platform:
        return self._given or default_platform()


class ExperimentService(_Service):
    """Of the process's platform, unless another one is given. Nothing here waits or raises."""

    def get_variant_for_user(
        self,
        experiment_name: str,
        user_id: object = None,
        session_id: object = None,
        attributes: Mapping[str, object] | None = None,
    ) -> VariantAnswer | None:
        """The variant of a user, or of an anonymous session; ``None`` when it is served none."""
        found = serve(
            self.platform, experiment_name, {"user": user_id, "session": session_id}, attributes
        )
        if found is None:
            return None
        return VariantAnswer(
            name=found.name, key=found.key, is_control=found.is_control, config=found.config
        )

    def record_result(
        self,
        experiment_name: str,
        metric_name: str,
        metric_value: float,
        user_id: object = None,
        session_id: object = None,
        metadata: Mapping[str, object] | None = None,
    ) -> bool:
        """A measured value of a metric; false when it was not taken."""
        units = {"user": user_id, "session": session_id}
        fields = {"experiment": experiment_name, "context": dict(metadata) if metadata else None}
        return self.platform.client.observe(metric_name, metric_value, units=units, **fields)


class StatisticalAnalyzer(_Service):
    """Asks the server, which has the data and the statistics; raises what it refuses, and
    ``Unreachable``.
    """

    def analyze_experiment(self, experiment_id: str | int) -> dict[str, object]:
        """Statistics of each variant, p-value, and the winner that the stored decision
        recommends.
        """
        return self.platform.analysis(experiment_id)
