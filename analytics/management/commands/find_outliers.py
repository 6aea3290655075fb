"""``manage.py find_outliers KEY``: units that counted more than a person would, and what results
are with and without them.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.core.stats.arms.comparison import Comparison
from analytics.readings.outliers import MetricOutliers, find_outliers
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.figures import p_is
from experiments.selectors.experiments import resolve

SHOWN = 20


class Command(BaseCommand):
    help = "Find bots and broken loggers: units with implausible counts, with results shown with and without them. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="Key, name, id or UUID of the experiment.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = find_outliers(resolve(options["key"]).pk, now=utc_now())
        except AssayError as refusal:
            raise CommandError(str(refusal)) from refusal
        if not found:
            self.stdout.write("No planned metric counts anything.")
        for metric in found:
            self.stdout.write("\n".join(_lines(metric)))


def _lines(metric: MetricOutliers) -> list[str]:
    if metric.fence is None:
        return [f"{metric.key}: cannot say, {metric.reason}"]
    fence = f"{metric.key}: of {metric.fence.active:,} units that counted anything, {{}} beyond {metric.fence.value:,.0f}"
    if metric.reason is not None:
        return [fence.format("too many lie"), f"  {metric.reason}"]
    lines = [fence.format(f"{len(metric.units)} lie{'s' if len(metric.units) == 1 else ''}")]
    lines += [f"  {one.unit} in {one.arm}: {one.value:,g}" for one in metric.units[:SHOWN]]
    lines += [f"  … and {len(metric.units) - SHOWN} more"] if len(metric.units) > SHOWN else []
    for arm, both in metric.compared:
        lines.append(f"  control vs {arm}, with them:    {_said(both.whole)}")
        lines.append(f"  control vs {arm}, without them: {_said(both.without)}")
        if both.uneven:
            lines.append(
                f"  The arms hold {both.named_control} and {both.named_treatment} of them: leaving them out would hide what the arm did."
            )
    return lines


def _said(found: Comparison) -> str:
    if found.difference is None or found.ci is None or found.p is None:
        return f"cannot say, {found.reason}"
    return f"difference {found.difference:+.4g} [{found.ci.low:+.4g}, {found.ci.high:+.4g}], {p_is(found.p)}"
