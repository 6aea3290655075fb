"""``manage.py replay_control KEY``: split an experiment's control arm many times and print how
often nothing looks like something.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.core.ground.encoding import restored
from analytics.core.scans.replay import ALPHA, ReplayResult
from analytics.services.analysis.replays import SPLITS, replay_control
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.selectors.experiments import resolve


class Command(BaseCommand):
    help = "Split an experiment's control arm into two pretended arms, many times: the engine's false-positive rate on real data."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="Key, name, id or UUID of the experiment.")
        parser.add_argument("--splits", type=int, default=SPLITS)
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rows = replay_control(
                resolve(options["key"]).pk,
                now=utc_now(),
                splits=options["splits"],
                seed=options["seed"],
            )
        except AssayError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(
            f"{'metric':<28}{'method':<18}{'units':>10}{'p < .05':>10}{'range':>18}{'uniform':>10}  verdict"
        )
        for row in rows:
            self.stdout.write(
                f"{row.metric_key:<28}{row.method:<18}{row.units:>10,}{_said(restored(row.result, ReplayResult))}"
            )


def _said(found: ReplayResult) -> str:
    if found.below is None or found.low is None or found.high is None or found.ks_p is None:
        return f"  cannot say: {found.reason}"
    share = f"{found.below:.4f}".removeprefix("0")
    bounds = f"{found.low:.4f}–{found.high:.4f}".replace("0.", ".")
    verdict = (
        "as promised"
        if found.as_promised
        else f"not {ALPHA:g}: look for heavy tails or units that are alike"
    )
    return f"{share:>10}{bounds:>18}{found.ks_p:>10.3f}  {verdict}"
