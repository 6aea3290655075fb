"""Why an experiment can never decide, as its design and its computed plan say; both doors say it in
the same words.
"""

from __future__ import annotations

from experiments.core.life.undecided import never_decides, never_looks
from experiments.core.types import Item, MetricRole
from experiments.models import Experiment
from experiments.selectors.experiments import open_iteration


def why_undecided(experiment: Experiment) -> str:
    """A sentence, or an empty text. Regions are analysed once, at the end, and imports are over."""
    if experiment.experiment_type == "geo":
        return ""
    primary = next(
        (one.metric for one in experiment.planned_metrics.all() if one.role == MetricRole.PRIMARY),
        None,
    )
    if primary is None:
        return never_decides(
            experiment.key, has_primary=False, auto_promote=experiment.auto_promote
        )
    if (
        primary.window_hours is not None
        or experiment.planned_end is not None
        or experiment.origin == "import"
    ):
        return ""
    said = never_looks(windowless=True, planned_end=None, n_planned=_n_planned(experiment))
    return f"{experiment.key}: {said}." if said else ""


def _n_planned(experiment: Experiment) -> object:
    """The planned size: that of the iteration that runs, else what was computed last."""
    iteration = open_iteration(experiment)
    if iteration is not None:
        return iteration.plan.get("n_planned")
    found = experiment.evidence.filter(item=Item.SAMPLE_SIZE.value).first()
    return None if found is None else found.detail.get("n_planned")
