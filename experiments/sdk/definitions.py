"""Experiments as code writes them down: arms with weights and configs, and what may be done to
them.

A definition is bound to a platform when it is registered; from then on its status is the
platform's, and its arms are fixed once it was started: a changed share would move units, so it is
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from experiments.core.errors import InvalidInput, Refused
from experiments.core.types import JSON

if TYPE_CHECKING:
    from experiments.sdk.platforms import Platform


class ExperimentStatus(StrEnum):
    """Where an experiment stands, in capitals as code compares it."""

    DRAFT = "DRAFT"
    DARK_LAUNCH = "DARK_LAUNCH"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    ARCHIVED = "ARCHIVED"


class Variant:
    """One arm: ``weight`` is its share (fractions that sum to 1; equal ones when left out),
    ``config`` what it is served.
    """

    def __init__(
        self,
        name: str,
        weight: float | None = None,
        config: dict[str, JSON] | None = None,
        *,
        is_control: bool = False,
    ) -> None:
        self.name, self.is_control = name, is_control
        self.config = {} if config is None else config
        self._weight = weight
        self._experiment: Experiment | None = None

    @property
    def weight(self) -> float | None:
        return self._weight

    @weight.setter
    def weight(self, weight: float | None) -> None:
        if self._experiment is not None:
            self._experiment.refuse_a_new_split(self.name, weight)
        self._weight = weight

    def of(self, experiment: Experiment) -> Variant:
        """This arm as part of an experiment."""
        self._experiment = experiment
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.weight}, {self.config!r})"


class ExperimentVariant(Variant):
    """An arm whose share is called ``traffic_weight``."""

    def __init__(
        self,
        name: str,
        traffic_weight: float | None = None,
        config: dict[str, JSON] | None = None,
        *,
        is_control: bool = False,
    ) -> None:
        super().__init__(name, traffic_weight, config, is_control=is_control)

    @property
    def traffic_weight(self) -> float | None:
        return self.weight

    @traffic_weight.setter
    def traffic_weight(self, weight: float | None) -> None:
        self.weight = weight


class Experiment:
    """What to compare. ``unit_type`` is who is randomised; empty: as whoever registers it says (a
    user, a tenant).

    A moment without a zone is local time; a number is seconds since 1970. ``enabled`` starts it
    when it is registered.
    """

    def __init__(
        self,
        name: str,
        description: str = "",
        variants: Iterable[Variant] = (),
        *,
        end_date: datetime | float | None = None,
        start_date: datetime | float | None = None,
        enabled: bool = False,
        primary_metric: str = "",
        secondary_metrics: Sequence[str] = (),
        min_sample_size: int = 100,
        auto_promote: bool = False,
        experiment_type: str = "feature",
        unit_type: str = "",
    ) -> None:
        self.name, self.description = name, description
        self.variants = [variant.of(self) for variant in variants]
        self.start_date, self.end_date = moment(start_date), moment(end_date)
        self.primary_metric, self.secondary_metrics = primary_metric, tuple(secondary_metrics)
        self.min_sample_size, self.auto_promote = min_sample_size, auto_promote
        self.experiment_type, self.unit_type = experiment_type, unit_type
        self.wants_to_run = enabled
        self._platform: Platform | None = None

    def bind(self, platform: Platform, unit_type: str) -> None:
        """Make it this platform's, registering it where it is not known yet."""
        self.unit_type = self.unit_type or unit_type
        self._platform = platform
        platform.register(self)

    def start(self) -> None:
        """Serve it; refused with every reason that stands against it."""
        self._bound().start(self.name)

    def pause(self) -> None:
        """Serve it to nobody until it is started again."""
        self._bound().pause(self.name)

    def complete(self) -> None:
        """Conclude it; what code asks for its variant gets none from now on."""
        self._bound().complete(self.name)

    @property
    def status(self) -> ExperimentStatus:
        return (
            ExperimentStatus.DRAFT if self._platform is None else self._platform.status(self.name)
        )

    @property
    def enabled(self) -> bool:
        return self.status is ExperimentStatus.RUNNING

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self.wants_to_run = enabled
        if enabled:
            self.start()
        elif self.enabled:
            self.pause()

    @property
    def promoted_variant(self) -> str | None:
        """The variant that was rolled out to everybody it was tested on."""
        return None if self._platform is None else self._platform.client.rolled_out(self.name)

    def refuse_a_new_split(self, variant: str, weight: float | None) -> None:
        """Shares are fixed at launch."""
        if self.status is not ExperimentStatus.DRAFT:
            raise Refused(
                f"{self.name}: the share of {variant} cannot become {weight} while the experiment is {self.status}: units would change "
                "their variant. Raise the experiment's traffic step by step instead, or start a new iteration with other shares",
                "weight",
            )

    def _bound(self) -> Platform:
        if self._platform is None:
            raise Refused(
                f"{self.name} is not registered: call register_experiment first, or put it into EXPERIMENTS"
            )
        return self._platform

    def __repr__(self) -> str:
        return f"Experiment({self.name!r}, {self.variants!r})"


def moment(value: datetime | float | None) -> datetime | None:
    """A moment in UTC: without a zone it is local time, a number is seconds since 1970."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if value is None:
        return None
    raise InvalidInput(f"expected a datetime or seconds since 1970, found {value!r}", "start_date")
