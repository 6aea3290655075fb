"""What GrowthBook's SDKs get when they let the server evaluate: their own attributes answered, flag by flag.

Whoever the deciding experiment takes is answered with a rule that carries the exposure, which the SDK
reports when the flag is read: the same exposures as under local evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from experiments.core.errors import InvalidInput
from experiments.core.evaluation import Assignment
from experiments.core.growthbook_conditions import ATTRIBUTES
from experiments.core.serving import ServingExperiment
from experiments.core.serving_index import Catalogue
from experiments.core.types import BUCKETS, JSON, Environment, Phase
from experiments.core.units import check_unit_id

_RUNNING = frozenset({Phase.MAIN, Phase.DARK, Phase.TWIN})


def units_of(attributes: Mapping[str, object]) -> dict[str, str]:
    """The units among an SDK's attributes; refuses ids that are not text, which SDKs would hash in ways of their own."""
    units: dict[str, str] = {}
    for unit_type, attribute in ATTRIBUTES.items():
        value = attributes.get(attribute)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise InvalidInput(f"attributes.{attribute}: a unit's id is text, found {str(value)[:64]!r}", f"attributes.{attribute}")
        problem = check_unit_id(value, f"attributes.{attribute}")
        if problem is not None:
            raise InvalidInput(f"{problem.field}: {problem.message}", problem.field, code=problem.code)
        units[unit_type] = value
    return units


def answers(
    catalogue: Catalogue, environment: Environment, attributes: Mapping[str, object], now: datetime, *, client: bool
) -> dict[str, Assignment]:
    """Our own answer for every flag that the key may see."""
    units = units_of(attributes)
    found = catalogue.all_flags(environment, client)(units, attributes, now)
    return dict(zip(catalogue.evaluators(environment, client), found, strict=True))


def feature(answer: Assignment, experiment: ServingExperiment | None, attributes: Mapping[str, object]) -> JSON:
    """One answer as an SDK reads it; ``experiment`` is the one that decides for the flag."""
    value = answer.served.value
    if experiment is None or answer.served.role not in _RUNNING:
        return {"defaultValue": value}
    return {"defaultValue": value, "rules": [{"force": value, "tracks": [_track(answer, experiment, attributes)]}]}


def _track(answer: Assignment, experiment: ServingExperiment, attributes: Mapping[str, object]) -> JSON:
    """The exposure under the arm that owns the bucket, which in a shadow is not the one whose value is served."""
    served = answer.served
    owner = next(index for index, variant in enumerate(experiment.variants) if variant.id == served.variant_id)
    variations: list[JSON] = [variant.value for variant in experiment.variants]
    result: dict[str, JSON] = {
        "featureId": served.flag,
        "variationId": owner,
        "key": experiment.variants[owner].key,
        "name": experiment.variants[owner].name,
        "value": served.value,
        "inExperiment": True,
        "hashUsed": True,
        "hashAttribute": _hashed(experiment, attributes),
        "hashValue": answer.unit_id,
        "bucket": None if answer.bucket is None else answer.bucket / BUCKETS,
    }
    return {"experiment": {"key": experiment.key, "variations": variations, "phase": str(experiment.iteration)}, "result": result}


def _hashed(experiment: ServingExperiment, attributes: Mapping[str, object]) -> str:
    """The attribute whose unit decided; a visitor is the user when known, else the session."""
    derived = ATTRIBUTES["user"] if attributes.get(ATTRIBUTES["user"]) else ATTRIBUTES["session"]
    return ATTRIBUTES.get(experiment.unit_type, derived)
