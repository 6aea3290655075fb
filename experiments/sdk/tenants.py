"""Experiments on tenants, by functions: the tenant comes first, then the experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

from experiments.core.types import JSON
from experiments.sdk.answers import AssignedVariant
from experiments.sdk.definitions import Experiment, ExperimentVariant
from experiments.sdk.platforms import Platform, default_platform
from experiments.sdk.serving import serve
from experiments.sdk.tracking import track_event


class ExperimentRegistry(MutableMapping[str, Experiment]):
    """Experiments by name; putting one in registers it, and starts it when it is ``enabled``.

    Those that ship are registered when they are first enabled.
    """

    def __init__(self, shipped: Mapping[str, Experiment] | None = None) -> None:
        self._experiments: dict[str, Experiment] = dict(shipped or {})

    def __getitem__(self, name: str) -> Experiment:
        found = self._experiments.get(name) or default_platform().find(name)
        if found is None:
            raise KeyError(name)
        self._experiments[name] = found
        return found

    def __setitem__(self, name: str, experiment: Experiment) -> None:
        experiment.bind(default_platform(), "tenant")
        self._experiments[name] = experiment
        if experiment.wants_to_run:
            experiment.start()

    def __delitem__(self, name: str) -> None:
        """Forget it here; what was registered stays with the platform."""
        del self._experiments[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._experiments)

    def __len__(self) -> int:
        return len(self._experiments)


class ShippedExperiment(Experiment):
    """An experiment that is written down and not registered: most applications never run it."""

    def _bound(self) -> Platform:
        if self._platform is None:
            self.bind(default_platform(), "tenant")
        return super()._bound()


def _shipped(name: str, description: str, configs: Mapping[str, dict[str, JSON]]) -> Experiment:
    arms = [
        ExperimentVariant(arm, traffic_weight=1 / len(configs), config=config)
        for arm, config in configs.items()
    ]
    return ShippedExperiment(name, description, arms, primary_metric="booked")


EXPERIMENTS = ExperimentRegistry(
    {
        one.name: one
        for one in (
            _shipped(
                "enrichment_model",
                "A larger model reads intent and sentiment better, so that more leads book",
                {"control": {"model": "gpt-3.5-turbo"}, "gpt4": {"model": "gpt-4"}},
            ),
            _shipped(
                "followup_timing",
                "A follow-up after five minutes finds more leads still interested than one after thirty",
                {"control": {"delay_seconds": 1800}, "aggressive": {"delay_seconds": 300}},
            ),
            _shipped(
                "prediction_threshold",
                "Following up on confident predictions only costs fewer messages for nearly as many bookings",
                {"control": {"threshold": 0.5}, "high_confidence": {"threshold": 0.7}},
            ),
        )
    }
)


def get_variant(
    tenant: object, experiment: str, attributes: Mapping[str, object] | None = None
) -> str | None:
    """The name of the tenant's variant; ``None`` when the experiment does not serve this tenant."""
    found = _served(tenant, experiment, attributes)
    return None if found is None else found.name


def get_variant_config(
    tenant: object, experiment: str, attributes: Mapping[str, object] | None = None
) -> dict[str, JSON]:
    """The config of the tenant's variant; empty when it has none, so that ``.get(name, default)``
    is the default.
    """
    found = _served(tenant, experiment, attributes)
    return {} if found is None else found.config


def track_outcome(
    tenant: object, experiment: str, variant: str | None, outcome: str, value: float | None = None
) -> bool:
    """Tell that something came of it for the tenant: an event of this name."""
    return track_event(
        outcome,
        {"experiment": experiment, "variant": variant},
        value=value,
        units={"tenant": tenant},
    )


def _served(
    tenant: object, experiment: str, attributes: Mapping[str, object] | None
) -> AssignedVariant | None:
    return serve(default_platform(), experiment, {"tenant": tenant}, attributes)
