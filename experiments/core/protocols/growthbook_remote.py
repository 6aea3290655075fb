"""What GrowthBook's SDKs get when they let the server evaluate: their own attributes answered, flag
by flag.

Whoever the deciding experiment takes is answered with a rule that carries the exposure, which the
SDK reports when the flag is read: the same exposures as under local evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from experiments.core.protocols.growthbook import reported_key
from experiments.core.protocols.growthbook_conditions import ATTRIBUTES
from experiments.core.serving.asking import Asked, asked
from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.entities import ServingExperiment
from experiments.core.serving.evaluation import Assignment
from experiments.core.types import BUCKETS, JSON, Environment, Phase

_RUNNING = frozenset({Phase.MAIN, Phase.DARK, Phase.TWIN})


_FIELDS = {unit_type: f"attributes.{name}" for unit_type, name in ATTRIBUTES.items()}


def asked_in(attributes: Mapping[str, object]) -> Asked:
    """The units among an SDK's attributes; null and the empty string are no unit."""
    sent = {
        kind: attributes[name]
        for kind, name in ATTRIBUTES.items()
        if name in attributes and attributes[name] not in (None, "")
    }
    return asked(sent, attributes, fields=_FIELDS)


def answers(
    catalogue: Catalogue, environment: Environment, asked: Asked, now: datetime, *, client: bool
) -> dict[str, Assignment]:
    """Our own answer for every flag that the key may see."""
    found = catalogue.all_flags(environment, client)(asked.units, asked.attributes, now)
    return dict(zip(catalogue.evaluators(environment, client), found, strict=True))


def feature(
    answer: Assignment, experiment: ServingExperiment | None, units: Mapping[str, str]
) -> JSON:
    """One answer as an SDK reads it; ``experiment`` is the one that decides for the flag."""
    value = answer.served.value
    if experiment is None or answer.served.role not in _RUNNING:
        return {"defaultValue": value}
    return {
        "defaultValue": value,
        "rules": [{"force": value, "tracks": [_track(answer, experiment, units)]}],
    }


def _track(answer: Assignment, experiment: ServingExperiment, units: Mapping[str, str]) -> JSON:
    """The exposure under the arm that owns the bucket, which in a shadow is not the one whose value
    is served.
    """
    served = answer.served
    owner = next(
        index
        for index, variant in enumerate(experiment.variants)
        if variant.id == served.variant_id
    )
    variations: list[JSON] = [variant.value for variant in experiment.variants]
    result: dict[str, JSON] = {
        "featureId": served.flag,
        "variationId": owner,
        "key": reported_key(experiment, experiment.variants[owner]),
        "name": experiment.variants[owner].name,
        "value": served.value,
        "inExperiment": True,
        "hashUsed": True,
        "hashAttribute": _hashed(experiment, units),
        "hashValue": answer.unit_id,
        "bucket": None if answer.bucket is None else answer.bucket / BUCKETS,
    }
    return {
        "experiment": {
            "key": experiment.key,
            "variations": variations,
            "phase": str(experiment.iteration),
        },
        "result": result,
    }


def _hashed(experiment: ServingExperiment, units: Mapping[str, str]) -> str:
    """The attribute whose unit decided; a visitor is the user when known, else the session."""
    derived = ATTRIBUTES["user"] if units.get("user") else ATTRIBUTES["session"]
    return ATTRIBUTES.get(experiment.unit_type, derived)
