"""The catalogue: one immutable version of everything that serving reads, compiled to answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from experiments.core.serving.entities import Holdout, ServedFlag, ServingExperiment
from experiments.core.serving.evaluation import Alone, Compiled, Evaluator, compiled
from experiments.core.serving.together import Together
from experiments.core.targeting.exclusions import Exclusions
from experiments.core.targeting.predicates import Segments
from experiments.core.types import Environment


@dataclass(frozen=True)
class ExperimentEntry:
    """Where a look-up by an experiment's key or name leads; without an experiment it serves nothing
    now.
    """

    key: str
    flag: ServedFlag
    experiment: ServingExperiment | None
    evaluate: Evaluator = field(compare=False, repr=False)
    alone: Alone | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Catalogue:
    """A look-up of a flag or an experiment costs the same however many there are."""

    version: int
    built_at: datetime
    flags: Mapping[str, ServedFlag] = field(default_factory=dict)
    exclusions: Exclusions = field(default_factory=Exclusions)
    holdout: Holdout | None = None
    segments: Segments = field(default_factory=dict)
    public_attributes: frozenset[str] = frozenset()
    _books: Mapping[Environment, _Book] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        production = _book(self, Environment.PRODUCTION)
        alike = {
            key: one for key, one in production.compiled.items() if not self.flags[key].previews
        }
        test = _book(self, Environment.TEST, alike)
        object.__setattr__(
            self, "_books", {Environment.PRODUCTION: production, Environment.TEST: test}
        )

    def evaluators(
        self, environment: Environment = Environment.PRODUCTION, client: bool = False
    ) -> Mapping[str, Evaluator]:
        """By flag: what answers for it; a client key's mapping holds only flags that are visible to
        clients.
        """
        return self._books[environment].evaluators[client]

    def experiment(
        self, key_or_name: str, environment: Environment = Environment.PRODUCTION
    ) -> ExperimentEntry | None:
        """The experiment of this key, else of this name: serving, rolled out or resting."""
        return self._books[environment].entries.get(key_or_name)

    def serving(
        self, environment: Environment = Environment.PRODUCTION, client: bool = False
    ) -> tuple[ExperimentEntry, ...]:
        """The experiments that decide now, in the document's order of flags."""
        return self._books[environment].serving[client]

    def all_experiments(
        self, environment: Environment = Environment.PRODUCTION, client: bool = False
    ) -> Together:
        """What asks all of ``serving`` at once."""
        return self._books[environment].all_experiments[client]

    def all_flags(
        self, environment: Environment = Environment.PRODUCTION, client: bool = False
    ) -> Together:
        """What asks all of ``evaluators`` at once, in their order."""
        return self._books[environment].all_flags[client]


@dataclass(frozen=True)
class _Book:
    """What keys of one environment see; by whether it is a client's key where that makes a
    difference.
    """

    catalogue: Catalogue
    compiled: Mapping[str, Compiled]
    entries: Mapping[str, ExperimentEntry]
    serving: Mapping[bool, tuple[ExperimentEntry, ...]]
    evaluators: Mapping[bool, Mapping[str, Evaluator]]

    @cached_property
    def all_experiments(self) -> Mapping[bool, Together]:
        return {
            client: self._together(Compiled(entry.evaluate, entry.alone) for entry in entries)
            for client, entries in self.serving.items()
        }

    @cached_property
    def all_flags(self) -> Mapping[bool, Together]:
        return {
            client: self._together(self.compiled[key] for key in evaluators)
            for client, evaluators in self.evaluators.items()
        }

    def _together(self, asked: Iterable[Compiled]) -> Together:
        return Together(tuple(asked), self.catalogue.exclusions, self.catalogue.holdout)


def _book(
    catalogue: Catalogue, environment: Environment, alike: Mapping[str, Compiled] | None = None
) -> _Book:
    """``alike``: flags that answer another environment in the same way; they are not compiled
    again.
    """
    known = alike or {}
    made = {
        key: known.get(key)
        or compiled(flag, flag.served_to(environment), catalogue.exclusions, catalogue.holdout)
        for key, flag in catalogue.flags.items()
    }
    entries = _entries(catalogue, environment, made)
    deciding = (flag.served_to(environment) for flag in catalogue.flags.values())
    serving = tuple(entries[experiment.key] for experiment in deciding if experiment is not None)
    evaluators = {key: one.evaluate for key, one in made.items()}
    return _Book(
        catalogue=catalogue,
        compiled=made,
        entries=entries,
        serving={
            False: serving,
            True: tuple(entry for entry in serving if entry.flag.client_visible),
        },
        evaluators={
            False: evaluators,
            True: {
                key: one for key, one in evaluators.items() if catalogue.flags[key].client_visible
            },
        },
    )


def _entries(
    catalogue: Catalogue, environment: Environment, made: Mapping[str, Compiled]
) -> dict[str, ExperimentEntry]:
    """By key first, then by name where no key says otherwise; what serves comes before what was
    rolled out.
    """
    found = [
        entry
        for flag in catalogue.flags.values()
        for entry in _entries_of(catalogue, flag, environment, made[flag.key])
    ]
    index: dict[str, ExperimentEntry] = {}
    for entry, _name in found:
        index.setdefault(entry.key, entry)
    for entry, name in found:
        index.setdefault(name, entry)
    return index


def _entries_of(
    catalogue: Catalogue, flag: ServedFlag, environment: Environment, made: Compiled
) -> Iterator[tuple[ExperimentEntry, str]]:
    """Each experiment of the flag with its name; only the one that decides shares what answers for
    the flag.
    """
    deciding = flag.served_to(environment)

    def entry(key: str, experiment: ServingExperiment | None) -> ExperimentEntry:
        if (
            experiment is not None
            and experiment is deciding
            and not flag.overrides
            and flag.rollout is None
        ):
            return ExperimentEntry(key, flag, experiment, *made)
        own = compiled(
            flag, experiment or deciding, catalogue.exclusions, catalogue.holdout, named=key
        )
        return ExperimentEntry(key, flag, experiment, *own)

    previews = flag.previews if environment is Environment.TEST else ()
    for experiment in (*previews, flag.experiment):
        if experiment is not None:
            yield entry(experiment.key, experiment), experiment.name
    if flag.rollout is not None:
        yield entry(flag.rollout.experiment, None), flag.rollout.experiment_name
    for key, name in flag.resting:
        yield entry(key, None), name
