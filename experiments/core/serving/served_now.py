"""What users of a flag get right now, in one line: the order of evaluation read off what is served,
for everybody at once.

``explain`` says it of one unit; this says it of all of them, in the same order and from the same
catalogue. A test compares the two unit by unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from experiments.core.figures import counted, listed, moment
from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.entities import (
    Holdout,
    ServedFlag,
    ServedVariant,
    ServingExperiment,
    ServingRollout,
)
from experiments.core.types import BUCKETS, BucketRole, DarkMode, Status

DEFAULT = "the flag's default"


@dataclass(frozen=True)
class Share:
    """So many thousandths of the units that may take part, and what they get."""

    thousandths: int
    gets: str

    def __str__(self) -> str:
        return f"{self.thousandths / 10:g} % get {self.gets}"


@dataclass(frozen=True)
class ServedNow:
    """The line, whether anything of the experiment is served at all, and the shares behind it."""

    sentence: str
    serving: bool
    shares: tuple[Share, ...] = ()


def served_now(catalogue: Catalogue, flag_key: str, now: datetime) -> ServedNow:
    """What the users of a flag get now."""
    flag = catalogue.flags.get(flag_key)
    if flag is None:
        return ServedNow("The flag is not served yet.", serving=False)
    if not flag.enabled:
        return ServedNow("The flag is switched off: everybody gets its default.", serving=False)
    shares = tuple(_shares(flag, now))
    said = " ".join(filter(None, (_line(flag, shares), *_beside(catalogue, flag, now))))
    return ServedNow(said, flag.experiment is not None or flag.rollout is not None, shares)


def _shares(flag: ServedFlag, now: datetime) -> Iterator[Share]:
    """Of the experiment's units by arm, then what its other units get."""
    experiment, rollout = flag.experiment, flag.rollout
    if experiment is not None:
        yield from _of_experiment(experiment)
    elif rollout is not None:
        yield from _of_rollout(rollout, now)


def _of_experiment(experiment: ServingExperiment) -> Iterator[Share]:
    for position, variant in enumerate(experiment.variants):
        held = sum(owner == position for owner in experiment.table)
        if held:
            yield Share(held, _served(experiment, variant, position))
    for variant in experiment.variants:
        if variant.stopped:
            yield Share(
                len(variant.stopped), f"no variant because “{variant.name}” is switched off"
            )


def _served(experiment: ServingExperiment, variant: ServedVariant, position: int) -> str:
    """A dark launch in shadow marks units and shows them control."""
    dark = BucketRole.DARK in {
        role
        for owner, role in zip(experiment.table, experiment.roles, strict=False)
        if owner == position
    }
    if experiment.stage is Status.DARK_LAUNCH and dark and experiment.dark_mode is DarkMode.SHADOW:
        return f"“{experiment.control.name}” (“{variant.name}” runs in shadow)"
    return f"“{variant.name}”"


def _of_rollout(rollout: ServingRollout, now: datetime) -> Iterator[Share]:
    reached = BUCKETS if rollout.audience.buckets is None else len(rollout.audience.buckets)
    held = (
        len(rollout.holdback)
        if rollout.holdback_until is None or now < rollout.holdback_until
        else 0
    )
    yield Share(reached - held, f"“{rollout.variant.name}”, promoted")
    if held:
        yield Share(
            held, f"“{rollout.control.name}”, held back until {moment(rollout.holdback_until)}"
        )


def _line(flag: ServedFlag, shares: Sequence[Share]) -> str:
    if not shares:
        return f"Everybody gets {DEFAULT}: the flag has no experiment and no rollout."
    left = BUCKETS - sum(share.thousandths for share in shares)
    parts = [str(share) for share in shares] + (
        [f"{left / 10:g} % get {_rest(flag)}"] if left else []
    )
    return f"Of the {_units(flag)}, {listed(parts, most=8)}."


def _units(flag: ServedFlag) -> str:
    of = (
        flag.experiment.unit_type
        if flag.experiment
        else flag.rollout.audience.unit_type
        if flag.rollout
        else "user"
    )
    targeting = (
        flag.experiment.targeting
        if flag.experiment
        else flag.rollout.audience.targeting
        if flag.rollout
        else ()
    )
    return f"{of}s" + (" that match the targeting" if targeting else "")


def _rest(flag: ServedFlag) -> str:
    """What units outside the experiment get: what was promoted before, else the default."""
    if flag.experiment is not None and flag.rollout is not None:
        return f"“{flag.rollout.variant.name}”, promoted before, or {DEFAULT}"
    return DEFAULT


def _beside(catalogue: Catalogue, flag: ServedFlag, now: datetime) -> Iterator[str]:
    """What comes before all that: testers, exclusion lists, the global holdout."""
    testers = sum(now < override.until for override in flag.overrides)
    if testers:
        yield f"{counted(testers, 'tester sees', 'testers see')} a fixed variant."
    if _holds(catalogue.holdout, now) and catalogue.holdout is not None:
        held = f"{len(catalogue.holdout.buckets) / 10:g} % of all {catalogue.holdout.unit_type}s"
        yield f"{held} are held out of everything and get {DEFAULT}."
    if catalogue.exclusions.lists:
        yield f"Units on an exclusion list get {DEFAULT}."


def _holds(holdout: Holdout | None, now: datetime) -> bool:
    return (
        holdout is not None
        and bool(holdout.buckets)
        and (holdout.until is None or now < holdout.until)
    )
