"""Experiments by a manager: registered, started, asked for by name and user."""

from __future__ import annotations

from collections.abc import Mapping

from experiments.core.errors import NotFound
from experiments.sdk.answers import AssignedVariant
from experiments.sdk.definitions import Experiment
from experiments.sdk.platforms import Platform, default_platform
from experiments.sdk.serving import serve


class ExperimentManager:
    """Of the process's platform, unless another one is given. Users are randomised."""

    def __init__(self, platform: Platform | None = None) -> None:
        self._platform = platform
        self._experiments: dict[str, Experiment] = {}

    @property
    def platform(self) -> Platform:
        return self._platform or default_platform()

    def register_experiment(self, experiment: Experiment) -> Experiment:
        """Make it known to the platform as a draft; started at once when it is ``enabled``."""
        experiment.bind(self.platform, "user")
        self._experiments[experiment.name] = experiment
        if experiment.wants_to_run:
            experiment.start()
        return experiment

    def start(self, name: str) -> None:
        """Start a registered experiment."""
        self.get_experiment(name).start()

    def get_experiment(self, name: str) -> Experiment:
        """The experiment of this name, registered here or elsewhere."""
        found = self._experiments.get(name) or self.platform.find(name)
        if found is None:
            raise NotFound(f"there is no experiment {name!r}; register it first")
        return found

    def get_variant(
        self, name: str, user_id: object, attributes: Mapping[str, object] | None = None
    ) -> AssignedVariant | None:
        """The user's variant, with its ``name`` and ``config``; ``None`` when the experiment does
        not serve this user.
        """
        return serve(self.platform, name, {"user": user_id}, attributes)
