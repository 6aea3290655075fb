"""Which variant a unit gets, and why: one answer for every door, SDK and simulation.

The order of evaluation is compiled into the catalogue (``evaluation``); here is what is asked of
it. Always a value with a reason; never an exception for typed input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.evaluation import Assignment, Served, assignment_of, bare
from experiments.core.targeting.predicates import Attributes
from experiments.core.types import Environment, Reason

__all__ = ["Assignment", "AssignmentRequest", "Served", "assign", "assign_all", "assignment_of"]


@dataclass(frozen=True)
class AssignmentRequest:
    """What an application asks: a flag, or an experiment by key or name, for a map of units.

    ``client`` marks a client key, which sees only flags that are visible to clients.
    """

    flag: str | None = None
    experiment: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)
    environment: Environment = Environment.PRODUCTION
    client: bool = False


def assign(catalogue: Catalogue, request: AssignmentRequest, now: datetime) -> Assignment:
    """The answer to one request; what a client key may not see looks like what does not exist."""
    if request.experiment is not None:
        entry = catalogue.experiment(request.experiment, request.environment)
        if entry is None or (request.client and not entry.flag.client_visible):
            return assignment_of(
                bare(None, Reason.NOT_SERVING, None, experiment=request.experiment)
            )
        return entry.evaluate(request.units, request.attributes, now)
    evaluate = catalogue.evaluators(request.environment, request.client).get(request.flag or "")
    if evaluate is None:
        return assignment_of(bare(request.flag, Reason.UNKNOWN_FLAG, None))
    return evaluate(request.units, request.attributes, now)


def assign_all(
    catalogue: Catalogue,
    units: Mapping[str, str],
    attributes: Attributes,
    now: datetime,
    environment: Environment = Environment.PRODUCTION,
    client: bool = False,
) -> tuple[Assignment, ...]:
    """One answer for each serving experiment that the key may see."""
    return tuple(catalogue.all_experiments(environment, client)(units, attributes, now))
