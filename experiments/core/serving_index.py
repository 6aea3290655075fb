"""The catalogue: one immutable version of everything that serving reads, compiled to answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from experiments.core.evaluation import Evaluator, compiled
from experiments.core.exclusions import Exclusions
from experiments.core.serving import Holdout, ServedFlag, ServingExperiment
from experiments.core.targeting import Segments
from experiments.core.types import Environment


@dataclass(frozen=True)
class ExperimentEntry:
    """Where a look-up by an experiment's key or name leads; without an experiment it serves nothing now."""

    key: str
    flag: ServedFlag
    experiment: ServingExperiment | None
    evaluate: Evaluator = field(compare=False, repr=False)


@dataclass(frozen=True)
class Catalogue:
    """A look-up of a flag or an experiment costs the same however many there are."""

    version: int
    built_at: datetime
    flags: Mapping[str, ServedFlag] = field(default_factory=dict)
    exclusions: Exclusions = field(default_factory=Exclusions)
    holdout: Holdout | None = None
    segments: Segments = field(default_factory=dict)
    _books: Mapping[Environment, _Book] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        production = _book(self, Environment.PRODUCTION)
        alike = {key: evaluate for key, evaluate in production.evaluators.items() if not self.flags[key].previews}
        test = _book(self, Environment.TEST, alike)
        object.__setattr__(self, "_books", {Environment.PRODUCTION: production, Environment.TEST: test})

    def evaluators(self, environment: Environment = Environment.PRODUCTION, client: bool = False) -> Mapping[str, Evaluator]:
        """By flag: what answers for it; a client key's mapping holds only flags that are visible to clients."""
        book = self._books[environment]
        return book.client_evaluators if client else book.evaluators

    def experiment(self, key_or_name: str, environment: Environment = Environment.PRODUCTION) -> ExperimentEntry | None:
        """The experiment of this key, else of this name: serving, rolled out or resting."""
        return self._books[environment].entries.get(key_or_name)

    def serving(self, environment: Environment = Environment.PRODUCTION, client: bool = False) -> tuple[ExperimentEntry, ...]:
        """The experiments that decide now, in the document's order of flags."""
        serving = self._books[environment].serving
        return tuple(entry for entry in serving if entry.flag.client_visible) if client else serving


@dataclass(frozen=True)
class _Book:
    """What keys of one environment see."""

    evaluators: Mapping[str, Evaluator]
    client_evaluators: Mapping[str, Evaluator]
    entries: Mapping[str, ExperimentEntry]
    serving: tuple[ExperimentEntry, ...]


def _book(catalogue: Catalogue, environment: Environment, alike: Mapping[str, Evaluator] | None = None) -> _Book:
    """``alike``: evaluators of another environment that answer this one in the same way; they are not compiled again."""
    known = alike or {}
    evaluators = {
        key: known.get(key) or compiled(flag, flag.served_to(environment), catalogue.exclusions, catalogue.holdout)
        for key, flag in catalogue.flags.items()
    }
    entries = _entries(catalogue, environment, evaluators)
    deciding = (flag.served_to(environment) for flag in catalogue.flags.values())
    return _Book(
        evaluators=evaluators,
        client_evaluators={key: evaluate for key, evaluate in evaluators.items() if catalogue.flags[key].client_visible},
        entries=entries,
        serving=tuple(entries[experiment.key] for experiment in deciding if experiment is not None),
    )


def _entries(catalogue: Catalogue, environment: Environment, evaluators: Mapping[str, Evaluator]) -> dict[str, ExperimentEntry]:
    """By key first, then by name where no key says otherwise; what serves comes before what was rolled out."""
    found = [entry for flag in catalogue.flags.values() for entry in _entries_of(catalogue, flag, environment, evaluators[flag.key])]
    index: dict[str, ExperimentEntry] = {}
    for entry, _name in found:
        index.setdefault(entry.key, entry)
    for entry, name in found:
        index.setdefault(name, entry)
    return index


def _entries_of(
    catalogue: Catalogue, flag: ServedFlag, environment: Environment, evaluate: Evaluator
) -> Iterator[tuple[ExperimentEntry, str]]:
    """Each experiment of the flag with its name; only the one that decides shares the flag's evaluator."""
    deciding = flag.served_to(environment)

    def entry(key: str, experiment: ServingExperiment | None) -> ExperimentEntry:
        if experiment is not None and experiment is deciding and not flag.overrides and flag.rollout is None:
            return ExperimentEntry(key, flag, experiment, evaluate)
        own = compiled(flag, experiment or deciding, catalogue.exclusions, catalogue.holdout, named=key)
        return ExperimentEntry(key, flag, experiment, own)

    previews = flag.previews if environment is Environment.TEST else ()
    for experiment in (*previews, flag.experiment):
        if experiment is not None:
            yield entry(experiment.key, experiment), experiment.name
    if flag.rollout is not None:
        yield entry(flag.rollout.experiment, None), flag.rollout.experiment_name
    for key, name in flag.resting:
        yield entry(key, None), name
