"""What a server key of each environment may read of the catalogue, so that its holder can decide
for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from experiments.core.serving.catalogue_document import (
    CatalogueDocument,
    ExperimentDocument,
    FlagDocument,
    VariantDocument,
)
from experiments.core.types import Environment

_ALLOCATION = ("main", "dark", "twin", "stopped")


def served_document(document: CatalogueDocument, environment: Environment) -> Mapping[str, object]:
    """The catalogue for holders of this environment's keys, who get from it every answer that the
    doors would give them.

    Previews and their allocation are the test keys' alone. What remains of one for production is
    its variants, and only where an override shows them to somebody.
    """
    flags = (
        document["flags"]
        if environment is Environment.TEST
        else [_without_previews(flag) for flag in document["flags"]]
    )
    return {**document, "flags": flags, "environment": environment.value}


def _without_previews(flag: FlagDocument) -> FlagDocument:
    shown = {override["experiment"] for override in flag["overrides"]}
    return {
        **flag,
        "previews": [
            _unallocated(preview) for preview in flag["previews"] if preview["key"] in shown
        ],
    }


def _unallocated(experiment: ExperimentDocument) -> ExperimentDocument:
    variants = [
        {name: value for name, value in variant.items() if name not in _ALLOCATION}
        for variant in experiment["variants"]
    ]
    return {**experiment, "variants": cast("list[VariantDocument]", variants)}
