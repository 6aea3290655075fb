"""A catalogue as GrowthBook's SDKs read it, so that they decide locally and exactly as we do.

A flag's rules stand in the order of our evaluation: overrides, exclusions, its experiment, its
rollout. An experiment becomes one rule for each arm: a filter with the buckets that the arm owns
under the layer's seed, and ranges that give whoever passes to that arm. So scattered buckets are
exact and an SDK reports the arm under its own index and key. What SDKs cannot decide alike is named
with its reason and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from experiments.core.protocols.growthbook_conditions import (
    Clause,
    Conditions,
    RemoteOnly,
    absent,
    attribute_of,
    both,
)
from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.entities import (
    ServedFlag,
    ServedVariant,
    ServingExperiment,
    ServingRollout,
)
from experiments.core.serving.evaluation import Answers, Served
from experiments.core.serving.order import StepName, in_order
from experiments.core.types import BUCKETS, JSON, Environment, Reason

HASH_VERSION = 2
ASKED_FOR = "its owner wants it decided here, because SDKs hash ids outside ASCII in different ways"
_ALL = frozenset(range(BUCKETS))


@dataclass(frozen=True)
class Payload:
    """What one kind of key is sent. ``remote_only``: why, by flag. Holds from ``since`` until
    ``until`` (``None``: for good).
    """

    features: dict[str, JSON]
    remote_only: dict[str, str]
    since: datetime
    until: datetime | None

    def as_json(self) -> dict[str, JSON]:
        """The document that SDKs fetch. Saved groups would show unit ids, so there never are
        any.
        """
        return envelope(self.features, self.since) | {"remoteOnly": dict(self.remote_only)}


def envelope(features: dict[str, JSON], since: datetime) -> dict[str, JSON]:
    """What SDKs expect around features. They ignore what comes with a ``dateUpdated`` that they
    have.
    """
    return {
        "status": 200,
        "features": features,
        "savedGroups": {},
        "dateUpdated": since.isoformat(),
    }


def payload(
    catalogue: Catalogue, environment: Environment, now: datetime, *, client: bool
) -> Payload:
    """The features that keys of this environment may evaluate; clients see neither hidden flags nor
    unit ids nor private attributes.
    """
    build = _Build(
        catalogue,
        environment,
        now,
        Conditions(catalogue.segments, public=catalogue.public_attributes if client else None),
    )
    features: dict[str, JSON] = {}
    remote_only: dict[str, str] = {}
    for flag in catalogue.flags.values():
        if client and not flag.client_visible:
            continue
        if flag.remote_only:
            remote_only[flag.key] = ASKED_FOR
            continue
        try:
            features[flag.key] = build.feature(flag)
        except RemoteOnly as reason:
            remote_only[flag.key] = str(reason)
    return Payload(features, remote_only, *validity(catalogue, now))


def validity(catalogue: Catalogue, now: datetime) -> tuple[datetime, datetime | None]:
    """Since when what the catalogue says now holds, and until when: overrides, holdbacks and the
    holdout run out by themselves.
    """
    ends = [override.until for flag in catalogue.flags.values() for override in flag.overrides]
    ends += [
        flag.rollout.holdback_until
        for flag in catalogue.flags.values()
        if flag.rollout and flag.rollout.holdback_until
    ]
    if catalogue.holdout is not None and catalogue.holdout.until is not None:
        ends.append(catalogue.holdout.until)
    since = max([catalogue.built_at, *(end for end in ends if end <= now)])
    return since, min((end for end in ends if end > now), default=None)


@dataclass(frozen=True)
class _Gate:
    """A way into an experiment or rollout past the global holdout."""

    filters: tuple[JSON, ...] = ()
    clauses: tuple[Clause, ...] = ()


@dataclass(frozen=True)
class _Build:
    """What is the same for every flag of a payload."""

    catalogue: Catalogue
    environment: Environment
    now: datetime
    conditions: Conditions

    def feature(self, flag: ServedFlag) -> JSON:
        """The flag's default, and its rules if it has any."""
        rules = list(self._rules(flag)) if flag.enabled else []
        return (
            {"defaultValue": flag.default, "rules": rules}
            if rules
            else {"defaultValue": flag.default}
        )

    def _rules(self, flag: ServedFlag) -> Iterator[JSON]:
        experiment = flag.served_to(self.environment)
        answers = Answers(flag, experiment, None)
        for rules_of in _STEPS:
            yield from rules_of(self, flag, experiment, answers)

    def _of_overrides(
        self, flag: ServedFlag, experiment: ServingExperiment | None, answers: Answers
    ) -> Iterator[JSON]:
        for unit_type, by_id in answers.overrides().items():
            shown: list[tuple[JSON, list[str]]] = []
            for unit, entries in by_id.items():
                value = next((served.value for until, served in entries if self.now < until), None)
                if value is not None:
                    _group(shown, value).append(unit)
            for value, units in shown:
                yield {"condition": self.conditions.listed(unit_type, units), "force": value}

    def _of_exclusions(
        self, flag: ServedFlag, experiment: ServingExperiment | None, answers: Answers
    ) -> Iterator[JSON]:
        if experiment is None and flag.rollout is None:
            return
        for entry in self.catalogue.exclusions.lists:
            for clause in self.conditions.any_of(entry.ids, entry.rules):
                yield {"condition": clause, "force": flag.default}

    def _of_experiment(
        self, flag: ServedFlag, experiment: ServingExperiment | None, answers: Answers
    ) -> Iterator[JSON]:
        if experiment is None:
            return
        table = answers.table()
        attribute = attribute_of(experiment.unit_type)
        clauses = self.conditions.rule(experiment.targeting)
        for served, buckets in _owners(table):
            for gate in self._gates(attribute):
                own = _filter(experiment.seed, attribute, buckets)
                yield _arm(experiment, served, attribute) | _for(own, gate, clauses)

    def _of_rollout(
        self, flag: ServedFlag, experiment: ServingExperiment | None, answers: Answers
    ) -> Iterator[JSON]:
        if flag.rollout is None:
            return
        arms = answers.rolled_out()[Reason.DEFAULT]
        yield from self._rollout(flag.rollout, arms.variant.value, arms.held_back.value)

    def _rollout(self, rollout: ServingRollout, value: JSON, control: JSON) -> Iterator[JSON]:
        audience = rollout.audience
        clauses = self.conditions.rule(audience.targeting)
        if not rollout.needs_unit():
            yield from ({"force": value} | _for(None, gate, clauses) for gate in self._gates(None))
            return
        attribute = attribute_of(audience.unit_type)
        tested = audience.buckets if audience.buckets is not None else _ALL
        held_open = rollout.holdback_until is None or self.now < rollout.holdback_until
        for served, buckets in (
            (control, tested & rollout.holdback if held_open else frozenset()),
            (value, tested),
        ):
            own = _filter(audience.seed, attribute, buckets)
            yield from (
                {"force": served} | _for(own, gate, clauses)
                for gate in self._gates(attribute)
                if buckets
            )

    def _gates(self, attribute: str | None) -> tuple[_Gate, ...]:
        """A filter lets nobody pass without its id, whom our holdout does not hold; so they get a
        gate of their own.
        """
        holdout = self.catalogue.holdout
        if holdout is None or (holdout.until is not None and holdout.until <= self.now):
            return (_Gate(),)
        asked = attribute_of(holdout.unit_type)
        free = _Gate(filters=(_filter(holdout.seed, asked, _ALL - holdout.buckets),))
        return (free,) if asked == attribute else (free, _Gate(clauses=(absent(asked),)))


_STEPS = in_order(
    "GrowthBook's payload",
    (
        (StepName.OVERRIDE, _Build._of_overrides),
        (StepName.EXCLUSIONS, _Build._of_exclusions),
        (StepName.BUCKET, _Build._of_experiment),
        (StepName.ROLLOUT, _Build._of_rollout),
    ),
)
"""Rules in the order in which an SDK tries them. Targeting and holdout are conditions of each."""


def _group(shown: list[tuple[JSON, list[str]]], value: JSON) -> list[str]:
    """The units that are shown this very value; a new list at the end when there are none yet."""
    found = next((units for known, units in shown if known is value), None)
    if found is None:
        shown.append((value, found := []))
    return found


def _owners(table: Sequence[Served]) -> list[tuple[Served, list[int]]]:
    """Each arm that owns buckets, with what they are served; in a shadow that is control's, in the
    test arm's buckets.
    """
    owned: dict[tuple[int | None, str | None], list[int]] = {}
    for bucket, served in enumerate(table):
        if served.variant is not None:
            owned.setdefault((served.variant_id, served.variant), []).append(bucket)
    return [(table[buckets[0]], buckets) for buckets in owned.values()]


def _arm(experiment: ServingExperiment, served: Served, attribute: str) -> dict[str, JSON]:
    """The rule that gives whoever it takes to the arm that owns the bucket, with the value that is
    served there.
    """
    owner = next(
        index
        for index, variant in enumerate(experiment.variants)
        if variant.id == served.variant_id
    )
    variations = [
        served.value if index == owner else variant.value
        for index, variant in enumerate(experiment.variants)
    ]
    ranges: list[JSON] = [[0, 1 if index == owner else 0] for index in range(len(variations))]
    return {
        "id": f"{experiment.key}/{experiment.variants[owner].key}",
        "key": experiment.key,
        "phase": str(experiment.iteration),
        "seed": experiment.seed,
        "hashAttribute": attribute,
        "hashVersion": HASH_VERSION,
        # A remembered variant would outlive the iteration, the audience and the override it comes
        # from.
        "disableStickyBucketing": True,
        "variations": variations,
        "meta": [
            {"key": reported_key(experiment, variant), "name": variant.name}
            for variant in experiment.variants
        ],
        "ranges": ranges,
    }


def reported_key(experiment: ServingExperiment, variant: ServedVariant) -> str:
    """The key under which SDKs report an arm: from the second iteration on with its number, since
    they report nothing else of it.
    """
    return variant.key if experiment.iteration <= 1 else f"{variant.key}@{experiment.iteration}"


def _for(own: JSON, gate: _Gate, clauses: Sequence[Clause]) -> dict[str, JSON]:
    """Whom a rule takes: its own buckets, past the gate, in the audience."""
    found: dict[str, JSON] = {}
    filters = [entry for entry in (own, *gate.filters) if entry is not None]
    if filters:
        found["filters"] = [*filters]
    if condition := both([*clauses, *gate.clauses]):
        found["condition"] = condition
    return found


def _filter(seed: str, attribute: str, buckets: Iterable[int]) -> JSON:
    return {
        "seed": seed,
        "attribute": attribute,
        "hashVersion": HASH_VERSION,
        "ranges": _ranges(buckets),
    }


def _ranges(buckets: Iterable[int]) -> list[JSON]:
    """The buckets as half-open intervals of [0, 1), neighbours joined: bucket i is [i/1000,
    (i+1)/1000).
    """
    runs: list[list[int]] = []
    for bucket in sorted(buckets):
        if runs and runs[-1][1] == bucket:
            runs[-1][1] = bucket + 1
        else:
            runs.append([bucket, bucket + 1])
    return [[first / BUCKETS, end / BUCKETS] for first, end in runs]
