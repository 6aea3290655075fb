"""How often a model is trained again, as an experiment: the variant says after how many days, the
accuracy says whether it pays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from experiments.sdk import AssayClient

EXPERIMENT = "retraining_frequency"
DEFAULT_DAYS = 30
"""What happens without an experiment."""


@dataclass(frozen=True)
class Trained:
    """A tenant's model: when it was last trained."""

    tenant: str
    at: datetime


def retrain_due(
    assay: AssayClient,
    models: Mapping[str, datetime],
    now: datetime,
    train: Callable[[str], float],
    cost_micro: int = 0,
) -> list[Trained]:
    """Train the models that their tenant's variant says are due, and report accuracy and cost; a
    nightly job calls this.

    ``models`` is tenant → last training; ``train`` trains one tenant's model and returns its
    accuracy from 0 to 1.
    """
    trained = []
    for tenant, last in models.items():
        variant = assay.variant(EXPERIMENT, units={"tenant": tenant})
        days = (
            int(variant.config.get("retrain_days", DEFAULT_DAYS))
            if variant is not None
            else DEFAULT_DAYS
        )
        if now - last < timedelta(days=days):
            continue
        accuracy = train(tenant)
        assay.observe(
            "prediction_accuracy", accuracy, units={"tenant": tenant}, experiment=EXPERIMENT
        )
        assay.track(
            "model_retrained",
            units={"tenant": tenant},
            cost_micro=cost_micro,
            experiment=EXPERIMENT,
        )
        trained.append(Trained(tenant, now))
    return trained
