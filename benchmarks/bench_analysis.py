"""What an analysis costs the processor when there is nothing to analyse: twenty experiments without
any event.

``python -m benchmarks.bench_analysis``. The first analysis of a process compiles its questions,
later ones only fill them in. Processor seconds of this process, and what a later analysis costs of
the first one; exit code 1 when that ratio is missed.
"""

from __future__ import annotations

import statistics
import sys
import time

from benchmarks.serving.floors import Floor, table
from benchmarks.serving.place import ground

EXPERIMENTS = 20
RATIO = 0.25
"""Of the first analysis' cost, at most so much for a later one."""
METRICS = ("apply_conversion", "csat", "median_ttr", "conversion_rate")


def main() -> int:
    """Print the table; 1 when the floor is missed."""
    with ground():
        subjects = [_experiment(number) for number in range(EXPERIMENTS)]
        first, *later = [_seconds(pk) for pk in subjects]
    floors = [
        Floor(
            "a later analysis, of the first one",
            statistics.median(later) / first,
            RATIO,
            least=False,
        ),
        Floor(
            "the first analysis of a process",
            first,
            float("inf"),
            least=False,
            form="{:.2f} s",
            note="compiles",
        ),
        Floor(
            "a later analysis, median of 19",
            statistics.median(later),
            float("inf"),
            least=False,
            form="{:.2f} s",
        ),
    ]
    print(table(floors))
    return int(not all(floor.met for floor in floors))


def _seconds(experiment_id: int) -> float:
    from analytics.services.analysis.analysis import analyse
    from experiments.core.clock import utc_now

    began = time.process_time()
    run = analyse(experiment_id, now=utc_now(), may_look=True)
    if run.error or any(one["code"] == "metric_failed" for one in run.health["findings"]):
        raise RuntimeError(f"the analysis of {experiment_id} failed: {run.error or run.health}")
    return time.process_time() - began


def _experiment(number: int) -> int:
    """A running one with a primary metric, three others and all guardrails that ship."""
    from django.contrib.auth.models import Group, User

    from experiments.core.clock import utc_now
    from experiments.core.design.design import ExperimentSpec, MetricPlan, VariantSpec
    from experiments.core.library.presets import PRESETS
    from experiments.core.types import Actor, ActorKind, Role
    from experiments.services.drafts import drafts
    from experiments.services.life import lifecycle

    owner, _ = User.objects.get_or_create(username="bench")
    owner.groups.add(Group.objects.get_or_create(name=Role.PRODUCT_OWNER.value)[0])
    actor = Actor(ActorKind.PERSON, "bench", owner.pk, frozenset({Role.PRODUCT_OWNER}))
    metrics = [
        MetricPlan(METRICS[0], "primary", baseline=0.2, mde=0.1),
        *(MetricPlan(key, "secondary") for key in METRICS[1:]),
    ]
    arms = (
        VariantSpec("control", 500, is_control=True, config={}),
        VariantSpec("treatment", 500, config={"n": 1}),
    )
    spec = ExperimentSpec(
        name=f"bench_{number}",
        key=f"bench_{number}",
        variants=arms,
        metrics=(*metrics, *(preset.plan() for preset in PRESETS)),
    )
    made = drafts.create_experiment(actor, utc_now(), spec=spec)
    return lifecycle.start(actor, utc_now(), experiment_id=made.pk, reason="to be measured").pk


if __name__ == "__main__":
    sys.exit(main())
