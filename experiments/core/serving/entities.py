"""The parts of what serving reads: flags, the experiments and rollouts on them, overrides, the
holdout.

Everything is frozen and precomputed when it is built; evaluation only looks things up. Values and
configs are shared between answers: read them, never change them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from experiments.core.errors import InvalidInput
from experiments.core.hashing import bucket_of
from experiments.core.targeting.predicates import Condition, Predicate, Segments, compile_conditions
from experiments.core.types import (
    BUCKETS,
    JSON,
    BucketRole,
    DarkMode,
    Environment,
    FlagType,
    Status,
)

NO_VARIANT = -1


@dataclass(frozen=True)
class ServedVariant:
    """One arm with the buckets it owns: main ones, dark ones, and control's twins of the dark ones.

    ``stopped`` are the buckets of an arm that is switched off alone: it serves nobody there any
    more.
    """

    id: int
    key: str
    name: str
    is_control: bool
    value: JSON
    config: dict[str, JSON]
    main: tuple[int, ...] = ()
    dark: tuple[int, ...] = ()
    twin: tuple[int, ...] = ()
    stopped: tuple[int, ...] = ()

    def held(self) -> Iterator[tuple[int, BucketRole]]:
        """Every bucket with its role."""
        yield from ((index, BucketRole.MAIN) for index in self.main)
        yield from ((index, BucketRole.DARK) for index in self.dark)
        yield from ((index, BucketRole.TWIN) for index in self.twin)


@dataclass(frozen=True)
class ServingExperiment:
    """An experiment as it serves: in its dark launch, running, or (``preview``) shown to test keys
    at full share.

    ``table`` has one entry per bucket: the index of the variant that owns it, or -1; ``stopped``
    are the buckets of arms that are switched off alone. ``segments`` are at least those that the
    targeting names.
    """

    id: int
    key: str
    name: str
    iteration_id: int | None
    iteration: int
    stage: Status
    unit_type: str
    seed: str
    targeting: tuple[Condition, ...]
    variants: tuple[ServedVariant, ...]
    dark_mode: DarkMode = DarkMode.SHADOW
    preview: bool = False
    segments: Segments = field(default_factory=dict, compare=False, repr=False)
    table: Sequence[int] = field(init=False, compare=False, repr=False)
    roles: tuple[BucketRole, ...] = field(init=False, compare=False, repr=False)
    stopped: frozenset[int] = field(init=False, compare=False, repr=False)
    control: ServedVariant = field(init=False, compare=False, repr=False)
    matches: Predicate = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        table, roles = _bucket_table(self.key, self.variants)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "roles", roles)
        object.__setattr__(self, "stopped", _stopped(self.key, self.variants, table))
        object.__setattr__(self, "control", _control_of(self.key, self.variants))
        object.__setattr__(self, "matches", compile_conditions(self.targeting, self.segments))

    def variant_named(self, key: str) -> ServedVariant | None:
        """The variant with this key, if the experiment has it."""
        return next((variant for variant in self.variants if variant.key == key), None)


_ALL_MAIN = (BucketRole.MAIN,) * BUCKETS


def _bucket_table(
    experiment: str, variants: Sequence[ServedVariant]
) -> tuple[Sequence[int], tuple[BucketRole, ...]]:
    """By bucket: which variant holds it, and as what. Kept small, since a catalogue has hundreds of
    them.
    """
    table, roles = [NO_VARIANT] * BUCKETS, [BucketRole.MAIN] * BUCKETS
    for position, variant in enumerate(variants):
        for index, role in variant.held():
            if not 0 <= index < BUCKETS or table[index] != NO_VARIANT:
                raise InvalidInput(
                    f"experiment {experiment}: bucket {index} of variant {variant.key} is out of range or held twice",
                    "buckets",
                )
            table[index], roles[index] = position, role
    kept = tuple(roles)
    return array("h", table), _ALL_MAIN if kept == _ALL_MAIN else kept


def _stopped(
    experiment: str, variants: Sequence[ServedVariant], table: Sequence[int]
) -> frozenset[int]:
    for variant in variants:
        wrong = [
            index
            for index in variant.stopped
            if not 0 <= index < BUCKETS or table[index] != NO_VARIANT
        ]
        if wrong:
            message = f"experiment {experiment}: bucket {wrong[0]} of the stopped variant {variant.key} is out of range or served"
            raise InvalidInput(message, "buckets")
    return frozenset(index for variant in variants for index in variant.stopped)


def _control_of(experiment: str, variants: Sequence[ServedVariant]) -> ServedVariant:
    controls = [variant for variant in variants if variant.is_control]
    if len(controls) != 1:
        raise InvalidInput(
            f"experiment {experiment}: expected one control variant, found {len(controls)}",
            "variants",
        )
    return controls[0]


@dataclass(frozen=True)
class Audience:
    """Who was tested: a targeting and, where less than all units were, their buckets under the
    layer's seed.
    """

    unit_type: str
    targeting: tuple[Condition, ...] = ()
    seed: str = ""
    buckets: frozenset[int] | None = None
    segments: Segments = field(default_factory=dict, compare=False, repr=False)
    matches: Predicate = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", compile_conditions(self.targeting, self.segments))


@dataclass(frozen=True)
class ServingRollout:
    """What a promotion left on the flag: the variant for the tested audience, control for those
    held back.

    After ``holdback_until`` the held back get the variant too.
    """

    experiment_id: int
    experiment: str
    experiment_name: str
    iteration_id: int
    iteration: int
    variant: ServedVariant
    control: ServedVariant
    audience: Audience
    holdback: frozenset[int] = frozenset()
    holdback_until: datetime | None = None

    def needs_unit(self) -> bool:
        """Whether an answer depends on the unit's bucket."""
        return bool(self.holdback) or self.audience.buckets is not None


@dataclass(frozen=True)
class Override:
    """A tester sees this variant until then; never analysed."""

    experiment: str
    unit_type: str
    unit_id: str
    variant: str
    until: datetime


@dataclass(frozen=True)
class Holdout:
    """Units that get every flag's default: no experiment, no rollout."""

    unit_type: str
    seed: str
    buckets: frozenset[int]
    until: datetime | None = None

    def holds(self, unit_id: str | None, now: datetime) -> bool:
        """Whether this unit is held out now; without an id of the holdout's type nobody is."""
        open_now = self.until is None or now < self.until
        return open_now and unit_id is not None and bucket_of(self.seed, unit_id) in self.buckets


@dataclass(frozen=True)
class ServedFlag:
    """A flag and everything that can decide its value.

    ``resting`` are the key and name of each of its experiments that serves nothing now (a draft,
    paused, over): who asks for one of these still gets the flag's value.
    """

    key: str
    type: FlagType
    enabled: bool
    default: JSON
    client_visible: bool = False
    remote_only: bool = False
    experiment: ServingExperiment | None = None
    previews: tuple[ServingExperiment, ...] = ()
    rollout: ServingRollout | None = None
    overrides: tuple[Override, ...] = ()
    resting: tuple[tuple[str, str], ...] = ()
    overrides_of: Mapping[str, Mapping[str, tuple[Override, ...]]] = field(
        init=False, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        index: dict[str, dict[str, tuple[Override, ...]]] = {}
        for override in self.overrides:
            of_type = index.setdefault(override.unit_type, {})
            of_type[override.unit_id] = (*of_type.get(override.unit_id, ()), override)
        object.__setattr__(self, "overrides_of", index)

    def served_to(self, environment: Environment) -> ServingExperiment | None:
        """The experiment that decides: for test keys the first preview, else the one in
        production.
        """
        if environment is Environment.TEST and self.previews:
            return self.previews[0]
        return self.experiment

    def experiments(self) -> tuple[ServingExperiment, ...]:
        """Production's experiment and all previews."""
        return (self.experiment, *self.previews) if self.experiment is not None else self.previews
